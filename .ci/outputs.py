"""Committed outputs are true: what a notebook shows is what running it prints.

    python .ci/outputs.py          fail on a committed output with a warning, a path of a machine, or a time
    python .ci/test.py             compares, while a notebook runs as a test, every text output with the committed one

Text is what a cell printed (stdout and stderr) and the plain text of what it displayed; pictures and HTML are not compared. A cell whose numbers
differ from processor to processor (a trained network's) says `#| varies: why`: there the words are compared, not the numbers.
"""
import difflib
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
NUMBER = re.compile(r"[-+]?(?:\d[\d.,]*(?:e[-+]?\d+)?%?|\bnan\b)")
UNWANTED = {
    "a warning": re.compile(r"\b\w*Warning:"),
    "a path of this machine": re.compile(r"(?<![\w.:/])/(?:tmp|work|home|root|usr|mnt|private|Users|content)/\w"),
    "a time": re.compile(r"\b\d+(?:\.\d+)? ?(?:s|ms|sec|seconds?|it/s|s/it)\b|\b\d+:\d\d<"),
    "a progress bar": re.compile(r"█|\d+%\|"),
}


def texts(outputs: list) -> dict[str, str]:
    "The text of a cell's outputs: what went to stdout and stderr, and the plain text of what was displayed"
    found = {}
    for output in outputs or []:
        kind = output["output_type"]
        if kind == "stream": name, text = output["name"], output["text"]
        elif kind == "error": name, text = "error", output["evalue"]
        elif any(key.startswith("image/") for key in output["data"]): continue
        else: name, text = "result", output["data"].get("text/plain", "")
        found[name] = found.get(name, "") + "".join(text) + "\n" * (kind != "stream")
    return {name: ADDRESS.sub("", text).rstrip() for name, text in found.items()}


def difference(committed: list, ran: list, varies: bool) -> str:
    "A short diff of two lists of outputs; with `varies`, of their words alone"
    was, now = texts(committed), texts(ran)
    lines = []
    for name in sorted(was.keys() | now.keys()):
        old, new = was.get(name, "").splitlines(), now.get(name, "").splitlines()
        if varies: old, new = ([re.sub(r"\s+", " ", NUMBER.sub("#", line)) for line in side] for side in (old, new))
        lines += [line[:160] for line in list(difflib.unified_diff(old, new, lineterm="", n=0))[2:] if line[:2] != "@@"]
    return "\n".join(lines[:8] + [f"... {len(lines) - 8} more lines"] * (len(lines) > 8))


def unwanted(notebook: Path) -> list[str]:
    "Committed outputs of a notebook that hold a warning, a path of a machine, a time or a progress bar"
    found = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for line in "\n".join(texts(cell.get("outputs")).values()).splitlines():
            found += [f"{notebook.relative_to(ROOT)}: cell {cell['id']} shows {what}: {line.strip()[:120]}"
                      for what, sign in UNWANTED.items() if sign.search(line)]
    return found


def main() -> int:
    notebooks = [p for p in sorted((ROOT / "nbs").rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts]
    found = [line for notebook in notebooks for line in unwanted(notebook)]
    print("\n".join(found) or f"the outputs of {len(notebooks)} notebooks hold no warning, path or time")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
