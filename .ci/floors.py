"""Fail on an import that goes up or sideways in the house (see "The house" in CONTRIBUTING.md).

    python .ci/floors.py
"""
import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "the_project"
BELOW = {  # floor: the floors it may import; within a floor, only a notebook of a lower number
    "core": set(), "data": {"core"}, "models": {"core", "data"}, "train": {"core", "data", "models"},
    "evaluate": {"core", "data", "models", "train"},
    "audit": {"core", "data", "models", "train", "evaluate"},  # looks at data with models, before any experiment
    "experiments": {"core", "data", "models", "train", "evaluate", "audit"},
    "tasks": {"core", "data", "models"}, "ship": {"core"}}
# Module: what of ours it may import. They are copied into Spaces, and every floor may stand on them, so that a picture
# is opened, prepared and answered by one definition.
GROUND = {
    # depth and colours of pixels; what a file may cost; opens a picture
    "ship.colour": set(),
    "ship.work": {"ship.colour"},
    "ship.picture": {"ship.colour", "ship.work"},
    # where on the earth a raster lies
    "ship.place": set(),
    # reads windows of a raster
    "ship.raster": {"ship.colour", "ship.picture", "ship.place", "ship.work"},
    # pads, tiles and blends, cleans a mask
    "ship.tiles": set(),
    # brings it to the model's size and numbers
    "ship.prepare": {"ship.picture"},
    # probabilities to an answer
    "ship.decide": set(),
    # a model's numbers to values and intervals
    "ship.numbers": set(),
    # colours of classes, a raster as a picture, a mask over it
    "core.mask_view": {"core.figure"},  # inside functions, where a figure is drawn
    # a scene of any size under its mask, and what is covered, as HTML
    "ship.mask_parts": {"core.mask_view", "ship.raster"},
    # checks a bundle's bands and classes of masks
    "ship.mask_fields": set(),
    # which values each field of config.json may have
    "ship.config_fields": set(),
    # reads and checks a bundle's config.json
    "ship.config": {"ship.config_fields", "ship.decide", "ship.mask_fields", "ship.numbers", "ship.prepare"},
    # scenes to masks by a bundle's model
    "ship.mask_predict": {"ship.config", "ship.picture", "ship.raster", "ship.tiles"},
    # lets a model run once in a process of its own
    "ship.first_run": {"ship.config"},
    # runs a bundle's model
    "ship.model": {"ship.config", "ship.first_run", "ship.decide", "ship.mask_predict", "ship.numbers", "ship.prepare"},
    # answers a picture with a bundle
    "ship.predict": {"ship.config", "ship.decide", "ship.model", "ship.numbers", "ship.picture", "ship.prepare"},
}
ROOF = {"ship.cli", "all"}  # compose everything; so does every room of commands/, the command line's own floor
LAZY = {"wandb", "gradio", "gradio_client", "optuna", "ray", "segmentation_models_pytorch", "diffusers", "onnx", "onnxruntime",
        "onnxscript", "albumentations", "tensorboard", "pyarrow", "pytorch_optimizer", "tensorflow", "mlflow", "trackio", "IPython", "cleanlab", "tifffile",
        "rasterio", "spyndex"}


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


def main() -> int:
    order, problems = numbers(), twice()
    modules = {".".join(p.relative_to(ROOT / PACKAGE).with_suffix("").parts): p for p in (ROOT / PACKAGE).rglob("*.py") if p.name[0] != "_"}
    for name, path in sorted(modules.items()):
        floor = name.split(".")[0]
        for target, line, top in imports(path):
            where = f"{path.relative_to(ROOT)}:{line}"
            if not target.startswith(PACKAGE + "."):
                if top and target.split(".")[0] in LAZY: problems.append(f"{where}: {target} is optional or slow: import it inside the function")
                continue
            inner = target.removeprefix(PACKAGE + ".")
            module = next((m for m in (inner, inner.rpartition(".")[0]) if m in modules), inner)
            if inner == "__version__": continue
            if name in GROUND:
                if module not in GROUND[name]: problems.append(f"{where}: {name} is copied into Spaces, it must not import {module}")
            elif name in ROOF or module in GROUND or floor not in BELOW: continue
            elif module in ROOF: problems.append(f"{where}: {name} imports {module}, which stands above it")
            elif module.split(".")[0] == floor:
                if floor == "tasks": problems.append(f"{where}: a task never imports a task ({module})")
                elif order.get(module, 0) >= order.get(name, 0): problems.append(f"{where}: {name} imports {module} of a higher number")
            elif module.split(".")[0] not in BELOW[floor] and module != "tasks": problems.append(f"{where}: {name} imports {module}: no arrow goes there")
        if name not in order: problems.append(f"{path.relative_to(ROOT)}: no notebook makes this module")
    print("\n".join(problems) or f"floors hold: {len(modules)} modules")
    return int(bool(problems) or not modules)


if __name__ == "__main__":
    sys.exit(main())
