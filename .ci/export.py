"""Export every notebook from nothing, so that no stale module stays; with --check, fail when that changes anything.

    python .ci/export.py           clean notebooks, remove generated modules, export
    python .ci/export.py --check   exit 1 when notebooks are not clean or the package differs from the notebooks
"""
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "the_project"


def snapshot() -> dict[str, bytes]:
    "Content of every notebook and every generated file"
    paths = [*(ROOT / "nbs").rglob("*.ipynb"), *PACKAGE.rglob("*.py")]
    return {str(p.relative_to(ROOT)): p.read_bytes() for p in paths if ".ipynb_checkpoints" not in p.parts}


def export() -> None:
    "Clean, empty the package, export"
    from nbdev.clean import nbdev_clean
    from nbdev.doclinks import nbdev_export
    nbdev_clean()
    version = (PACKAGE / "__init__.py").read_text()
    for path in [*PACKAGE.rglob("*.py")]: path.unlink()
    (PACKAGE / "__init__.py").write_text(version)
    nbdev_export()
    for folder in {p.parent for p in PACKAGE.rglob("*.py")}: (folder / "__init__.py").touch()


def main() -> int:
    before = snapshot()
    backup = Path(tempfile.mkdtemp()) / "the_project"
    shutil.copytree(PACKAGE, backup, ignore=shutil.ignore_patterns("__pycache__"))
    try: export()
    except BaseException:
        shutil.copytree(backup, PACKAGE, dirs_exist_ok=True)
        raise
    after = snapshot()
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    print(f"{'stale' if '--check' in sys.argv else 'changed'}: {', '.join(changed)}" if changed else "notebooks are clean and the export is fresh")
    return int(bool(changed) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
