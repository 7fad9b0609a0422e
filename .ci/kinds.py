"""Nobody asks which kind of input or task it is: find the places that do, outside the kinds' own folders.

    python .ci/kinds.py            fail when there are more such places than .ci/kinds.json says
    python .ci/kinds.py --list     every place, with its line
    python .ci/kinds.py --update   store today's numbers, when they are lower
    python .ci/kinds.py --at DIR   count in another checkout, without failing

What depends on a kind is a method of its `Input`, its `Task`, or its reader or decoder in `answer`. So these are found, by syntax tree: a name of a kind or
of its output compared with ==, != or in, or matched; isinstance of a kind's class; a dict keyed by kinds; reading what a task or a bundle says is its
output; and modules of ours imported by name.
"""
import argparse
import ast
import json
import sys
from collections import Counter
from pathlib import Path

from layout import BY_NAME

ROOT = Path(__file__).resolve().parent.parent
STORED = ROOT / ".ci/kinds.json"
TASKS = {"classify", "regress", "segment", "tag", "detect", "generate"}
INPUTS = {"picture", "raster", "sound"}
OUTPUTS = {"label", "labels", "number", "numbers", "mask", "masks", "tags", "boxes"}
KINDS = TASKS | INPUTS | OUTPUTS
# ordinary words and columns too
COLUMNS = {"label", "labels", "mask", "masks", "number", "numbers", "picture", "tags", "boxes"}
ASKED = ("task", "output", "input", "kind", "follow")  # with those, they are kinds when compared with one of these
CLASSES = {"Classify", "Tag", "Regress", "Segment", "Detect", "Generate", "Picture", "Raster", "Sound"}
OTHERS = {"args", "graph", "node"}  # their .output is a shell's option, or ONNX's
OWN_FOLDERS = {"inputs", "tasks"}
OWN_ANSWERS = {"kinds", "labels", "tags", "numbers", "masks", "boxes", "picture", "raster", "sound"}


def own(module: tuple[str, ...]) -> bool:
    "Whether a module belongs to a kind"
    return module[0] in OWN_FOLDERS or module[0] == "answer" and module[1] in OWN_ANSWERS


def words(node: ast.AST) -> set[str]:
    "Names of kinds in a constant, or in a list, tuple, set or dict of constants"
    parts = node.elts if isinstance(node, (ast.Tuple, ast.List, ast.Set)) else node.keys if isinstance(node, ast.Dict) else [node]
    return {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)} & KINDS


def last_name(node: ast.AST) -> str:
    "What an expression is called: its last attribute, key or name"
    if isinstance(node, ast.Attribute): return node.attr
    if isinstance(node, ast.Name): return node.id
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant): return str(node.slice.value)
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        return str(node.args[0].value)
    return ""


def compared(node: ast.Compare) -> set[str]:
    "Kinds that a comparison asks for"
    sides = [node.left, *node.comparators]
    found = set().union(*(words(side) for side in sides))
    asked = any(word in last_name(side).lower() for side in sides for word in ASKED)
    return found if asked else found - COLUMNS


def keyed(node: ast.AST) -> set[str]:
    "Kinds that are the keys of a dict, if all are"
    if isinstance(node, ast.Dict): keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
    else: keys = [keyword.arg for keyword in node.keywords]
    if len(keys) < 2 or not all(isinstance(key, str) for key in keys): return set()
    return set(keys) if any(set(keys) <= group for group in (TASKS, INPUTS, {"label", "number", "mask"})) else set()


def asks(node: ast.AST) -> str:
    "What a part of the syntax tree asks about a kind; empty: nothing"
    if isinstance(node, ast.Compare) and (found := compared(node)): return f"compares with {', '.join(sorted(found))}"
    if isinstance(node, ast.MatchValue) and (found := words(node.value)): return f"matches {', '.join(sorted(found))}"
    if isinstance(node, ast.Attribute) and node.attr == "output" and isinstance(node.ctx, ast.Load):
        return "" if last_name(node.value) in OTHERS else "reads .output"
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and words_of_slice(node) == "output":
        return 'reads ["output"]'
    if isinstance(node, ast.Dict) and (found := keyed(node)): return f"a dict keyed by {', '.join(sorted(found))}"
    if not isinstance(node, ast.Call): return ""
    name = last_name(node.func) if not isinstance(node.func, ast.Call) else ""
    if name in ("isinstance", "issubclass") and len(node.args) == 2:
        classes = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
        found = {last_name(part) for part in classes} & CLASSES
        return f"{name} of {', '.join(sorted(found))}" if found else ""
    if name == "get" and node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == "output":
        return 'reads .get("output")'
    if name == "dict" and not node.args and (found := keyed(node)): return f"a dict keyed by {', '.join(sorted(found))}"
    return ""


def words_of_slice(node: ast.Subscript) -> str:
    "The constant key of a subscript"
    return node.slice.value if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str) else ""


def by_name(node: ast.AST) -> bool:
    "Whether this imports a module of ours through importlib"
    if not isinstance(node, ast.Call) or not node.args: return False
    text = ast.unparse(node)
    return ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__") and ("the_project" in text or "__package__" in text)


def look(root: Path) -> tuple[list[tuple[str, str]], list[str]]:
    "(folder, line of what is asked) of a checkout; and the imports of our own modules by name"
    found, named = [], []
    for path in sorted((root / "the_project").rglob("*.py")):
        module = path.relative_to(root / "the_project").with_suffix("").parts
        if path.name[0] == "_" or len(module) < 2: continue
        lines = {}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if by_name(node) and ".".join(module) not in BY_NAME:
                named.append(f"{path.relative_to(root)}:{node.lineno}: imports a module of ours by name")
            if not own(module) and (what := asks(node)): lines.setdefault(node.lineno, []).append(what)
        found += [(module[0], f"{path.relative_to(root)}:{line}: {', '.join(sorted(set(what)))}")
                  for line, what in sorted(lines.items())]
    return found, named


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--at", type=Path, default=ROOT)
    args = parser.parse_args()
    found, named = look(args.at.resolve())
    counts = Counter(folder for folder, _ in found)
    if args.list: print("\n".join([*(line for _, line in found), *named]))
    print(", ".join(f"{folder} {n}" for folder, n in sorted(counts.items())) or "nowhere",
          f"| {len(found)} places ask which kind it is; {len(named)} imports of ours by name", sep=" ")
    if args.at != ROOT: return 0
    stored = json.loads(STORED.read_text()) if STORED.exists() else dict(places=len(found), by_name=len(named))
    now = dict(places=len(found), by_name=len(named), folders=dict(sorted(counts.items())))
    if args.update or not STORED.exists():
        if now["places"] <= stored["places"] and now["by_name"] <= stored["by_name"]:
            STORED.write_text(json.dumps(now, indent=1) + "\n")
    more = [name for name, count in (("places", len(found)), ("by_name", len(named))) if count > stored[name]]
    for name in more:
        print(f"{name}: {now[name]}, {stored[name]} before: make it a method of the kind; --list shows where, {STORED.name} has the numbers by folder")
    return int(bool(more))


if __name__ == "__main__":
    sys.exit(main())
