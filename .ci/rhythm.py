"""The rhythm of the notebooks: export, demo, assert. Lists what breaks it and fails when there is more of it than .ci/rhythm.json says.

    python .ci/rhythm.py           numbers, and a failure where one has grown
    python .ci/rhythm.py --list    every place
    python .ci/rhythm.py --update  store today's numbers, where they are lower; with --reset, all of them
"""
import argparse
import ast
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STORED = ROOT / ".ci/rhythm.json"
ROW, LINES, WIDTH, NOTEBOOK, WORDS = 4, 40, 120, 400, 120


def source(cell: dict) -> str:
    "Text of a cell"
    return "".join(cell["source"])


def code(cell: dict) -> list[str]:
    "Lines of a code cell without blank ones and directives"
    return [line for line in source(cell).splitlines() if line.strip() and not line.startswith("#|")]


def only_imports(cell: dict) -> bool:
    "Whether a cell shows and defines nothing: imports and comments alone"
    try: return all(isinstance(part, (ast.Import, ast.ImportFrom)) for part in ast.parse("\n".join(code(cell))).body)
    except SyntaxError: return False


def rows_of_exports(cells: list[dict]) -> list[tuple[str, int]]:
    "(id of the first cell, length) of each row of export cells that no demo or assert interrupts"
    rows, row = [], []
    for cell in cells:
        if cell["cell_type"] != "code" or only_imports(cell): continue
        if re.search(r"(?m)^#\|\s*exports?\b", source(cell)): row.append(cell["id"])
        elif not re.search(r"(?m)^#\|\s*eval:\s*false", source(cell)):
            rows.append(row)
            row = []
    return [(row[0], len(row)) for row in (*rows, row) if row]


def look(notebook: Path) -> dict[str, list[str]]:
    "What breaks the rhythm of a notebook, by rule"
    cells, name = json.loads(notebook.read_text(encoding="utf-8"))["cells"], notebook.relative_to(ROOT)
    codes = [cell for cell in cells if cell["cell_type"] == "code"]
    exports = [cell for cell in codes if re.search(r"(?m)^#\|\s*exports?\b", source(cell))]
    lines = sum(len(code(cell)) for cell in codes)
    words = sum(len(source(cell).split()) for cell in cells if cell["cell_type"] == "markdown")
    return {
        f"more than {ROW} export cells in a row without a demo or an assert":
            [f"{name}: {n} from cell {first}" for first, n in rows_of_exports(cells) if n > ROW],
        f"export cells of more than {LINES} lines": [f"{name}: cell {cell['id']}, {len(code(cell))} lines"
                                                     for cell in exports if len(code(cell)) > LINES
                                                     and not only_imports(cell)],
        f"exported lines of more than {WIDTH} columns":
            [f"{name}: cell {cell['id']}: {line.strip()[:80]}" for cell in exports
             for line in code(cell) if len(line) > WIDTH],
        f"other code lines of more than {WIDTH} columns":
            [f"{name}: cell {cell['id']}: {line.strip()[:80]}" for cell in codes if cell not in exports
             for line in code(cell) if len(line) > WIDTH],
        f"notebooks of more than {NOTEBOOK} lines of code": [f"{name}: {lines}"] if lines > NOTEBOOK else [],
        f"notebooks of commands with fewer than {WORDS} words of prose": [f"{name}: {words}"]
        if notebook.parent.name == "commands" and words < WORDS else [],
    }


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
THEIRS = re.compile(r"(before|after)_\w+|forward")  # fastai and PyTorch say what these are


def classes_of(trees: dict[str, ast.Module]) -> dict[str, ast.ClassDef]:
    "The package's classes by name"
    return {node.name: node for tree in trees.values() for node in tree.body if isinstance(node, ast.ClassDef)}


def inherits(node: ast.ClassDef, method: str, classes: dict[str, ast.ClassDef]) -> bool:
    "Whether a class of ours, above this one, says what a method does"
    above = [classes[name] for name in (ast.unparse(base).rpartition(".")[2] for base in node.bases) if name in classes]
    told = any(isinstance(part, FUNCTIONS) and part.name == method and ast.get_docstring(part)
               for one in above for part in one.body)
    return told or any(inherits(one, method, classes) for one in above if one is not node)


def undocumented(where: str, nodes: list, classes: dict, parent: ast.ClassDef | None = None) -> dict[str, list[str]]:
    "Public functions, classes and methods without a docstring, and parameters of which nothing is said"
    bare, silent = [], []
    for node in nodes:
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)) or node.name.startswith("_"): continue
        if parent and (THEIRS.fullmatch(node.name) or inherits(parent, node.name, classes)): continue
        place, text = f"{where}.{node.name}", ast.get_docstring(node) or ""
        if not text: bare.append(place)
        if isinstance(node, ast.ClassDef):
            inner = list(undocumented(place, node.body, classes, node).values())
            bare, silent = bare + inner[0], silent + inner[1]
            continue
        arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        told = {*re.findall(r"(?m)^(\w+)(?: : .*)?\n    \S", text), "self", "cls"}
        silent += [f"{place}({argument.arg})" for argument in arguments if argument.arg not in told]
    return {"public functions, classes and methods without a docstring": bare,
            "parameters of public functions without a comment": silent}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--reset", action="store_true")
    args = parser.parse_args()
    found: dict[str, list[str]] = {}
    notebooks = [p for p in sorted((ROOT / "nbs").rglob("*.ipynb"))
                 if not any(part[0] in "._" for part in p.relative_to(ROOT).parts)]
    modules = [p for p in sorted((ROOT / "the_project").rglob("*.py")) if p.name[0] != "_"]
    trees = {".".join(p.relative_to(ROOT / "the_project").with_suffix("").parts): ast.parse(p.read_text(encoding="utf-8"))
             for p in modules}
    classes = classes_of(trees)
    told = [undocumented(name, tree.body, classes) for name, tree in trees.items()]
    for rules in (*map(look, notebooks), *told):
        for rule, places in rules.items(): found.setdefault(rule, []).extend(places)
    stored = json.loads(STORED.read_text()) if STORED.exists() and not args.reset else {}
    now = {rule: len(places) for rule, places in found.items()}
    for rule, places in found.items():
        if args.list: print(*places, sep="\n")
        print(f"{now[rule]:5} {rule}" + (f" ({stored[rule]} before: mend it, --list says where)"
                                         if now[rule] > stored.get(rule, now[rule]) else ""))
    if args.update or args.reset:
        STORED.write_text(json.dumps({rule: min(count, stored.get(rule, count)) for rule, count in now.items()},
                                     indent=1) + "\n")
    return int(any(count > stored.get(rule, count) for rule, count in now.items()))


if __name__ == "__main__":
    sys.exit(main())
