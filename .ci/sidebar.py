"""Write nbs/sidebar.yml, the documentation site's sidebar, from the folders; .ci/export.py calls it, so it is never stale.

    python .ci/sidebar.py          write it; `python .ci/export.py --check` fails when it is not what this would write
"""
from pathlib import Path

import yaml
from layout import ORDER

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "nbs/sidebar.yml"
START = ("index.ipynb", "tutorials/t01_first_run.ipynb", "tutorials/t02_your_photos.ipynb")
HOW_TO = ("tutorials/t04_publish.ipynb", "tutorials/t03_new_task_or_data.ipynb", "tutorials/t09_many_machines.ipynb")


def pages(folder: str) -> list[str]:
    "Notebooks and text pages below a folder of nbs, by name"
    found = [p for ending in ("ipynb", "qmd") for p in (ROOT / "nbs" / folder).rglob(f"*.{ending}")]
    return sorted(p.relative_to(ROOT / "nbs").as_posix()
                  for p in found if not any(part[0] in "._" for part in p.parts[1:]))


def sidebar() -> str:
    "The sidebar: start, tutorials, how to, reference in the order of the folders, studies"
    tutorials, studies = pages("tutorials"), pages("studies")
    others = sorted(p.name for p in (ROOT / "nbs").iterdir() if p.is_dir()
                    and p.name not in {*ORDER, "tutorials", "studies", "howto"})
    reference = [dict(section=folder, contents=pages(folder)) for folder in (*ORDER, *others) if pages(folder)]
    first = [page for page in START if (ROOT / "nbs" / page).exists()]
    how = [page for page in HOW_TO if page in tutorials]
    sections = [dict(section="Start", contents=first),
                dict(section="Tutorials", contents=[page for page in tutorials if page not in (*first, *how)]),
                dict(section="How to", contents=[*pages("howto"), *how]),
                dict(section="Reference", contents=["all.ipynb", *reference]),
                dict(section="Studies", contents=studies)]
    return "# Written by .ci/sidebar.py from the folders.\n" + yaml.safe_dump(dict(website=dict(sidebar=dict(contents=sections))), sort_keys=False, width=120)


if __name__ == "__main__": FILE.write_text(sidebar(), encoding="utf-8")
