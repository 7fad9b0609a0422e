"""Fail on an import that settings.ini does not declare, that an ordinary Windows lacks, or of a name of ours that is gone.

    python .ci/declared.py

A package that comes along with another one today is gone when that one drops it. And Python on Windows has no fcntl, resource, pwd and the like: a
module that imports one of them at its top can't be imported there at all. The scripts of bench/ and .ci/ are not run by CI: that what they import from
the library is still there is looked up here.
"""
import ast
import configparser
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
POSIX = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")
# Import name: what to install, where the two differ and the package may be absent here.
NAMES = {"ray": "ray", "cleanlab": "cleanlab", "pytorch_optimizer": "pytorch_optimizer", "IPython": "ipython",
         "spaces": "spaces",
         "pillow_heif": "pillow-heif", "tensorflow": "tensorflow", "diffusers": "diffusers", "mlflow": "mlflow-skinny"}
# Comes only with what is declared: a notebook is run by ipykernel, and a Space brings spaces.
ALONG = {"ipython", "spaces", "tensorflow", "diffusers"}


def normal(name: str) -> str: return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    "Every package that settings.ini names, for the library and for its extras"
    settings = configparser.ConfigParser()
    settings.read(ROOT / "settings.ini", encoding="utf-8")
    lists = [value for name, value in settings["DEFAULT"].items() if name.endswith("requirements")]
    return {normal(re.match(r"[\w.-]+", line)[0]) for value in lists for line in value.split("\n") if line.strip()}


def imports(path: Path) -> set[tuple[str, bool]]:
    "(top-level name, at the top of the module?) of every absolute import"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level: names = [node.module]
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "require" and isinstance(node.args[0], ast.Constant):
            names = [node.args[0].value]
        found |= {(name.split(".")[0], node in tree.body) for name in names}
    return found


def defined(path: Path) -> set[str]:
    "Names that a module or a package's folder has"
    if path.is_dir(): return {p.stem for p in path.iterdir()} | defined(path / "__init__.py")
    if not path.exists(): return set()
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)): found.add(node.name)
        if isinstance(node, (ast.Import, ast.ImportFrom)): found |= {alias.asname or alias.name for alias in node.names}
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store): found.add(node.id)
    return found


def gone(script: Path) -> list[str]:
    "What a script imports from the library and the library no longer has"
    found = []
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("the_project"): continue
        place = ROOT / node.module.replace(".", "/")
        names = defined(place if place.is_dir() else place.with_suffix(".py"))
        found += [f"{script.relative_to(ROOT)}:{node.lineno}: {node.module} has no {alias.name}" for alias in node.names
                  if alias.name not in names and alias.name != "*"]
    return found


def main() -> int:
    known, installed = declared(), metadata.packages_distributions()
    problems = [line for folder in ("bench", ".ci") for path in sorted((ROOT / folder).glob("*.py")) for line in gone(path)]
    for path in sorted((ROOT / "the_project").rglob("*.py")):
        for name, top in sorted(imports(path)):
            where = f"{path.relative_to(ROOT)}: {name}"
            if top and name in POSIX:
                problems.append(f"{where} is not there on Windows: import it inside the function, with another way")
            if name in sys.stdlib_module_names or name == "the_project": continue
            packages = {normal(package) for package in [*installed.get(name, []), NAMES.get(name, name)]}
            if not packages & (known | ALONG): problems.append(f"{where} is declared nowhere in settings.ini")
    script = ("import importlib, pkgutil, sys\n"
              f"for name in {POSIX}: sys.modules[name] = None\n"  # as on Windows: importing it raises
              "import the_project\n"
              "for module in pkgutil.walk_packages(the_project.__path__, 'the_project.'): importlib.import_module(module.name)\n")
    # what the library stands on may load those modules itself: it is imported first
    ready = "import sys, torch, fastai.vision.all, timm, sklearn, matplotlib.pyplot, pandas, multiprocessing.connection, subprocess, filelock, albumentations\n"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", ready + script], cwd=ROOT, capture_output=True,
                          text=True)
    if done.returncode: problems.append(f"without {', '.join(POSIX)}: {done.stderr.strip().splitlines()[-1]}")
    print("\n".join(problems) or f"every import is declared ({len(known)} packages), none needs POSIX, and scripts import what is there")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
