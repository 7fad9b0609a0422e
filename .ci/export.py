"""Export every notebook from nothing, so that no stale module stays; with --check, fail when that changes anything.

    python .ci/export.py           clean notebooks, remove generated modules, export
    python .ci/export.py --check   exit 1 when notebooks are not clean or the package differs from the notebooks
    python .ci/export.py --lines   lines of the export cells by folder; writes nothing

The comments on parameters become docstrings on the way (.ci/docstrings.py). That makes the modules longer, so the lines that count are those before it:
what nbdev writes. Both are printed.
"""
import json
import re
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import sidebar
from docstrings import rewrite

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "the_project"


def snapshot() -> dict[str, bytes]:
    "Content of every notebook and every generated file"
    paths = [*(ROOT / "nbs").rglob("*.ipynb"), *PACKAGE.rglob("*.py"), *(PACKAGE / "page/assets").glob("*"), *(p for p in [sidebar.FILE] if p.exists())]
    return {str(p.relative_to(ROOT)): p.read_bytes() for p in paths if ".ipynb_checkpoints" not in p.parts}


def export() -> None:
    "Clean, empty the package, export, write the site's sidebar"
    from nbdev.clean import nbdev_clean
    from nbdev.doclinks import nbdev_export
    nbdev_clean()
    version = (PACKAGE / "__init__.py").read_text()
    for path in [*PACKAGE.rglob("*.py")]: path.unlink()
    (PACKAGE / "__init__.py").write_text(version)
    nbdev_export()
    modules = [p for p in PACKAGE.rglob("*.py") if p.name != "_modidx.py"]
    lines = Counter()
    for path in modules:
        text = path.read_text(encoding="utf-8")
        new = rewrite(text, str(path.relative_to(ROOT)))
        path.write_text(new, encoding="utf-8")
        lines.update(nbdev=text.count("\n"), docstrings=new.count("\n"))
    print(f"{len(modules)} modules of {lines['nbdev']} lines as nbdev writes them, {lines['docstrings']} with docstrings")
    for folder in {p.parent for p in PACKAGE.rglob("*.py")}: (folder / "__init__.py").touch()
    sidebar.FILE.write_text(sidebar.sidebar(), encoding="utf-8")


def count_lines() -> dict[str, int]:
    "Lines of the export cells of each folder: code, comments and blank lines, without directives"
    found = Counter()
    for path in (ROOT / "nbs").rglob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "code" and re.search(r"(?m)^#\|\s*exports?\b", source):
                found[path.parent.name] += len([line for line in source.strip().splitlines()
                                                if not line.startswith("#|")])
    return dict(sorted(found.items()))


def main() -> int:
    if "--lines" in sys.argv:
        lines = count_lines()
        print("\n".join(f"{count:6} {folder}" for folder, count in lines.items()),
              f"{sum(lines.values()):6} lines of export cells", sep="\n")
        return 0
    before = snapshot()
    backup = Path(tempfile.mkdtemp()) / "the_project"
    shutil.copytree(PACKAGE, backup, ignore=shutil.ignore_patterns("__pycache__"))
    try: export()
    except BaseException:
        shutil.copytree(backup, PACKAGE, dirs_exist_ok=True)
        raise
    after = snapshot()
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    print(f"{'stale' if '--check' in sys.argv else 'changed'}: {', '.join(changed)}" if changed
          else "notebooks are clean and the export is fresh")
    return int(bool(changed) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
