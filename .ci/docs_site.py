"""Make a checkout ready for nbdev-docs: for the docs workflow alone, since it changes notebooks.

    python .ci/docs_site.py

To show what a module exports, nbdev runs the cells that import something, and no others. A test that imports what it needs in its own first line would be
run without what stands before it, and fail. So its imports move to a hidden cell of their own.
"""
import ast
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def split(cell: dict) -> list[dict]:
    "A code cell that imports and does more, as two; any other cell as it is"
    source = "".join(cell["source"])
    if cell["cell_type"] != "code" or re.search(r"(?m)^#\|\s*(exports?|default_exp)\b", source): return [cell]
    try: body = ast.parse(source).body
    except SyntaxError: return [cell]  # a magic, or a line of shell
    imports = [part for part in body if isinstance(part, (ast.Import, ast.ImportFrom))]
    if not imports or len(imports) == len(body): return [cell]
    lines = source.splitlines()
    taken = {line for part in imports for line in range(part.lineno, part.end_lineno + 1)}
    first = ["#| hide", *(lines[line - 1] for line in sorted(taken))]
    rest = [line for number, line in enumerate(lines, 1) if number not in taken]
    return [dict(cell, id=f"{cell['id']}-imports", source="\n".join(first), outputs=[]),
            dict(cell, source="\n".join(rest))]


def main() -> int:
    changed = 0
    for path in (ROOT / "nbs").rglob("*.ipynb"):
        book = json.loads(path.read_text(encoding="utf-8"))
        cells = [part for cell in book["cells"] for part in split(cell)]
        if len(cells) > len(book["cells"]):
            changed += 1
            path.write_text(json.dumps(book | dict(cells=cells)), encoding="utf-8")
    print(f"imports of tests moved to cells of their own in {changed} notebooks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
