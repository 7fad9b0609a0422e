"""Fail on an import against the order of the folders (see "Layout" in CONTRIBUTING.md), on a circle, and on hidden imports.

    python .ci/layout.py

A folder imports itself and folders listed before it; within a folder a notebook imports lower numbers only. `answer` is
copied into Spaces: at the top of its modules stand the standard library, numpy and Pillow alone. Modules of ours are
imported by name only where plugs are found (`core.plugs`).
"""
import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "the_project"
ORDER = ["answer", "core", "data", "models", "inputs", "train", "evaluate", "tasks", "bundle", "page", "runs", "audit", "experiments", "commands", "all"]
APART = {"inputs", "tasks"}  # one folder a kind, and kinds never import each other
ANSWER = {*sys.stdlib_module_names, "numpy", "PIL"}
LAZY = {"wandb", "gradio", "gradio_client", "optuna", "ray", "segmentation_models_pytorch", "diffusers", "onnx", "onnxruntime",
        "onnxscript", "albumentations", "tensorboard", "pyarrow", "pytorch_optimizer", "tensorflow", "mlflow", "trackio", "IPython", "cleanlab", "tifffile",
        "rasterio", "spyndex", "pillow_heif"}
BY_NAME = {"core.plugs"}  # may look modules of ours up by name


def numbers() -> dict[str, int]:
    "Number of the notebook that makes each module"
    found = {}
    for notebook in (ROOT / "nbs").rglob("*.ipynb"):
        exported = re.search(r'#\|\s*default_exp\s+([\w.]+)', notebook.read_text(encoding="utf-8"))
        number = re.match(r"\d+", notebook.name)
        if exported: found[exported[1]] = int(number[0]) if number else 999
    return found


def twice() -> list[str]:
    "Numbers that two notebooks of one folder have"
    seen, found = {}, []
    for notebook in sorted((ROOT / "nbs").rglob("*.ipynb")):
        number = re.match(r"[a-z]?\d+", notebook.name)
        if number is None or any(part[0] in "._" for part in notebook.parts[1:]): continue
        other = seen.setdefault((notebook.parent, number[0]), notebook)
        if other != notebook: found.append(f"{notebook.relative_to(ROOT)}: has the number of {other.name}")
    return found


def imports(path: Path) -> list[tuple[str, int, bool]]:
    "(absolute name, line, at the top level?) of every import of a module"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    here = (PACKAGE, *path.relative_to(ROOT / PACKAGE).with_suffix("").parts)
    found = []
    for node in ast.walk(tree):
        top = node in tree.body
        if isinstance(node, ast.Import): found += [(alias.name, node.lineno, top) for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            base = ".".join(here[:-node.level]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            found += [(f"{module}.{alias.name}", node.lineno, top) for alias in node.names]
    return found


def by_name(path: Path) -> list[int]:
    "Lines that import a module of ours through importlib"
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call) and node.args]
    named = [call for call in calls if ast.unparse(call.func).rpartition(".")[2] in ("import_module", "__import__")]
    return [call.lineno for call in named if PACKAGE in ast.unparse(call.args[0]) or "__package__" in ast.unparse(call)]


def main() -> int:
    order, problems = numbers(), twice()
    modules = {".".join(p.relative_to(ROOT / PACKAGE).with_suffix("").parts): p for p in (ROOT / PACKAGE).rglob("*.py") if p.name[0] != "_"}
    for name, path in sorted(modules.items()):
        folder = name.split(".")[0]
        if name not in order: problems.append(f"{path.relative_to(ROOT)}: no notebook makes this module")
        if folder not in ORDER:
            problems.append(f"{path.relative_to(ROOT)}: the folder {folder} is not in ORDER")
            continue
        if name not in BY_NAME: problems += [f"{path.relative_to(ROOT)}:{line}: {name} imports a module of ours by name" for line in by_name(path)]
        for target, line, top in imports(path):
            where = f"{path.relative_to(ROOT)}:{line}"
            if not target.startswith(PACKAGE + "."):
                first = target.split(".")[0]
                if top and first in LAZY: problems.append(f"{where}: {target} is optional or slow: import it inside the function")
                elif top and folder == "answer" and first not in ANSWER: problems.append(f"{where}: answer is copied into Spaces, it must not import {target}")
                continue
            inner = target.removeprefix(PACKAGE + ".")
            module = next((m for m in (inner, inner.rpartition(".")[0]) if m in modules), inner)
            if inner == "__version__": continue
            other = module.split(".")[0]
            if other == folder:
                if folder in APART and name.split(".")[1] != module.split(".")[1]:
                    problems.append(f"{where}: {name} imports {module}: kinds of {folder} never import each other")
                elif order.get(module, 0) >= order.get(name, 0): problems.append(f"{where}: {name} imports {module} of a higher number")
            elif name not in BY_NAME and ORDER.index(other) > ORDER.index(folder): problems.append(f"{where}: {name} imports {module}, whose folder comes later")
    print("\n".join(problems) or f"the layout holds: {len(modules)} modules in {len(ORDER) - 1} folders")
    return int(bool(problems) or not modules)


if __name__ == "__main__":
    sys.exit(main())
