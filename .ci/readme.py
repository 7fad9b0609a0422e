"""Make README.md from nbs/index.ipynb: nbdev's own processing, nbconvert's markdown, pictures beside the notebook.

    python .ci/readme.py           write README.md and nbs/index_files/
    python .ci/readme.py --check   exit 1 when they are stale
"""
import base64
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = "nbs/index_files"


def render() -> dict[str, bytes]:
    "Path -> content of README.md and its pictures"
    import json

    import nbformat
    from nbconvert.exporters import MarkdownExporter
    from nbdev.process import NBProcessor
    from nbdev.processors import clean_magics, hide_, hide_line, rm_export, strip_ansi
    nb = NBProcessor(ROOT / "nbs/index.ipynb", procs=[hide_, hide_line, rm_export, strip_ansi, clean_magics],
                     process=True).nb
    cells = []
    for cell in nb.cells:
        if (getattr(cell, "directives_", None) or {}).get("echo") == "false": cell["source"] = ""
        fields = {k: v for k, v in cell.items() if k in ("cell_type", "id", "metadata", "source", "outputs",
                                                         "execution_count")}
        if cell.cell_type != "code":
            fields = {k: v for k, v in fields.items() if k not in ("outputs", "execution_count")}
        cells.append(fields)
    book = nbformat.from_dict(json.loads(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5))))
    body, resources = MarkdownExporter().from_notebook_node(book)
    files, pictures = {}, dict(resources.get("outputs", {}))
    for number, (name, data) in enumerate(sorted(pictures.items()), 1):
        new = f"{FILES}/picture_{number}{Path(name).suffix}"
        body = body.replace(f"({name})", f"({new})")
        files[new] = data if isinstance(data, bytes) else base64.b64decode(data)
    body = re.sub(r"```\n+```\n", "", body)
    body = "\n".join(line.rstrip() for line in body.splitlines())
    note = "<!-- Made from nbs/index.ipynb by .ci/readme.py: edit that notebook. -->\n"
    files["README.md"] = (note + re.sub(r"\n{3,}", "\n\n", body).strip() + "\n").encode()
    return files


def main() -> int:
    files = render()
    stale = [name for name, data in files.items() if not (ROOT / name).exists() or (ROOT / name).read_bytes() != data]
    stale += [str(p.relative_to(ROOT)) for p in (ROOT / FILES).glob("*") if str(p.relative_to(ROOT)) not in files]
    if "--check" in sys.argv:
        print(f"stale: {', '.join(stale)}; run python .ci/readme.py" if stale else "README.md is fresh")
        return int(bool(stale))
    for name in stale:
        if name in files:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_bytes(files[name])
        else: (ROOT / name).unlink()
    print(f"wrote {', '.join(stale) or 'nothing: all was fresh'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
