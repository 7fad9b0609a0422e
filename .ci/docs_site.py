"""Make a checkout ready for nbdev-docs: for the docs workflow alone, since it changes notebooks.

    python .ci/docs_site.py

To show what a module exports, nbdev runs its exported cells and every cell that imports something, but no others. A test that imports what it needs
would be run without what stands before it, and fail. So such cells are marked as not to be run; what they print stands in the notebook. And names
that stand in quoted annotations, of libraries that are imported only where they are used, are imported first.
"""
import ast
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = "#| hide\nimport gradio, matplotlib.figure, pandas\nfrom matplotlib.figure import Figure\nfrom the_project.core.recipe import Recipe"
FIRST = dict(cell_type="code", id="annotations", metadata={}, outputs=[], execution_count=None, source=NAMES)


def needs_others(source: str) -> bool:
    "Whether a cell imports and does more, so that it can't be run alone"
    if re.search(r"(?m)^#\|\s*(exports?|default_exp|eval)\b", source): return False
    try: tree = ast.parse(source)
    except SyntaxError: return False  # a magic, or a line of shell
    kinds = (ast.Import, ast.ImportFrom)
    return any(isinstance(node, kinds) for node in ast.walk(tree)) and not all(isinstance(part, kinds) for part in tree.body)


def main() -> int:
    changed = 0
    for path in (ROOT / "nbs").rglob("*.ipynb"):
        book = json.loads(path.read_text(encoding="utf-8"))
        alone = [c for c in book["cells"] if c["cell_type"] == "code" and needs_others("".join(c["source"]))]
        for cell in alone: cell["source"] = "#| eval: false\n" + "".join(cell["source"])
        title = next((n for n, cell in enumerate(book["cells"], 1) if cell["cell_type"] == "markdown"), 0)
        book["cells"].insert(title, FIRST)
        path.write_text(json.dumps(book), encoding="utf-8")
        changed += len(alone)
    print(f"{changed} cells that import and do more are not run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
