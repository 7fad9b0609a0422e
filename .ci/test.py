"""Run every notebook as a test.

The heavy libraries are imported once; each notebook runs in a forked child through nbdev's own `test_nb`, two at a
time. A child that dies or overruns its limit is a failure, and so is finding nothing to run. The closing line counts
cells: passed (code cells of notebooks that ran through), failed (one a notebook that did not), skipped (flagged cells).
A notebook fails too when a cell that ran shows another text than the committed one (.ci/outputs.py says what is compared);
with --save, such a cell's outputs are written into the notebook instead.

    python .ci/test.py [PATH ...] [--flags "slow net"] [--workers 2] [--limit 600] [--save]
    python .ci/test.py --smoke     a handful of notebooks that touch everything, in under a minute

Cells flagged `data` run where the real data lies (THE_PROJECT_DATA, or ../shared/data beside the checkout),
`gpu` where there is one; `slow` and `net` when asked for, by --flags or in TEST_FLAGS.
"""
import argparse
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
os.environ["TQDM_DISABLE"] = "1"
SMOKE = ("core.recipe", "data.table", "models.heads", "answer.predict", "evaluate.report", "train.best", "bundle.card",
         "page.parts")
sys.path[:0] = [str(ROOT), str(ROOT / ".ci")]


def find_notebooks(paths: list[str]) -> list[Path]:
    "All notebooks below `paths` (default: nbs), slowest first as far as their size tells"
    found = set()
    for path in map(Path, paths or [str(ROOT / "nbs")]):
        if not path.exists(): sys.exit(f"{path} does not exist: name a notebook or a folder of notebooks")
        found |= {path} if path.is_file() else {p for p in path.rglob("*.ipynb")
                                                if not any(s[0] in "._" for s in p.parts[1:])}
    return sorted((p.resolve() for p in found), key=lambda p: ("studies" in p.parts, p.name != "index.ipynb", p))


def smoke() -> list[str]:
    "The README's notebook, which goes from a table to a bundle, and a notebook of each folder that takes seconds"
    made = {}
    for path in (ROOT / "nbs").rglob("*.ipynb"):
        exported = re.search(r'#\|\s*default_exp\s+([\w.]+)', path.read_text(encoding="utf-8"))
        if exported: made[exported[1]] = str(path)
    lost = [name for name in SMOKE if name not in made]
    if lost: sys.exit(f"no notebook makes {', '.join(lost)}: mend SMOKE in .ci/test.py")
    return [str(ROOT / "nbs/index.ipynb"), *(made[name] for name in SMOKE)]


def available_flags() -> set[str]:
    "Flags whose cells can run here without being asked for"
    flags = set(os.environ.get("TEST_FLAGS", "").split())
    for name, folder in dict(THE_PROJECT_DATA="data", THE_PROJECT_WEIGHTS="weights").items():
        beside = ROOT.parent / "shared" / folder
        if name not in os.environ and beside.is_dir(): os.environ[name] = str(beside)
    if all(Path(os.environ.get(name, "")).is_dir() and os.environ.get(name)
           for name in ("THE_PROJECT_DATA", "THE_PROJECT_WEIGHTS")):
        flags.add("data")
    import torch
    if torch.cuda.is_available(): flags.add("gpu")
    return flags


def own_folder(log: Path) -> Path:
    "Where one notebook's temporary files lie; short, since sockets live there too"
    return log.parent / str(abs(hash(log.name)) % 10**6)


def watch_outputs(changed: dict[str, tuple[str, list]]) -> None:
    "From now on in this process, note each cell that shows another text than the notebook has: its diff and its outputs"
    from execnb.shell import CaptureShell
    from outputs import difference
    run = CaptureShell.cell

    def cell(self, cell, **settings):
        committed = cell.get("outputs")
        run(self, cell, **settings)
        if self.exc is None and (diff := difference(committed, cell.outputs, "varies" in cell.directives_)):
            changed[cell["id"]] = diff, json.loads(json.dumps(cell.outputs))
    CaptureShell.cell = cell


def save_outputs(notebook: Path, changed: dict[str, tuple[str, list]]) -> None:
    "Write the outputs of changed cells into a notebook, and clean it"
    from nbdev.clean import nbdev_clean
    book = json.loads(notebook.read_text(encoding="utf-8"))
    for cell in book["cells"]:
        if cell["id"] in changed: cell["outputs"] = changed[cell["id"]][1]
    notebook.write_text(json.dumps(book, sort_keys=True, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    nbdev_clean(str(notebook))


def start(notebook: Path, skip: list[str], log: Path, save: bool) -> int:
    "Fork a child that runs one notebook, with a folder of its own for temporary files; the child's process id"
    pid = os.fork()
    if pid: return pid
    code = 1
    try:
        os.setsid()
        tempfile.tempdir = os.environ["TMPDIR"] = str(own_folder(log))
        os.makedirs(tempfile.tempdir)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout, sys.stderr = os.fdopen(os.dup(1), "w"), os.fdopen(os.dup(2), "w")
        sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
        from nbdev.test import nb_test_cells, test_nb
        run, every = len(nb_test_cells(notebook, skip)), len(nb_test_cells(notebook))
        watch_outputs(changed := {})
        passed, _ = test_nb(notebook, skip_flags=skip, basepath=ROOT, cell_timeout=None)
        log.with_suffix(".json").write_text(json.dumps(dict(run=run, skipped=every - run)))
        for name, (diff, _) in changed.items():
            print(f"cell {name} shows another text than the committed one (- committed, + now):\n{diff}",
                  file=sys.__stderr__)
        if changed and save and passed: save_outputs(notebook, changed)
        elif changed: print("save the new outputs with --save, or print less", file=sys.__stderr__)
        code = 0 if passed and (save or not changed) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--flags", default="", help="flagged cells to run besides those that can run here")
    parser.add_argument("--workers", type=int, default=2, help="notebooks at a time")
    parser.add_argument("--limit", type=float, default=600, help="seconds a notebook may take")
    parser.add_argument("--save", action="store_true", help="write changed outputs into the notebooks")
    parser.add_argument("--smoke", action="store_true", help="the README's notebook and one quick notebook a folder")
    args = parser.parse_args()
    notebooks = find_notebooks(smoke() if args.smoke else args.paths)
    from nbdev.config import get_config
    os.chdir(ROOT)
    skip = sorted(set(get_config().tst_flags.split()) - available_flags() - set(args.flags.split()))
    import fastai.vision.all  # noqa: F401  preloaded for every child
    import nbdev.test  # noqa: F401
    import pandas as pd  # noqa: F401
    import timm  # noqa: F401
    logs = Path(tempfile.mkdtemp(prefix="nbtest-"))
    print(f"{len(notebooks)} notebooks, {args.workers} at a time; cells flagged {' '.join(skip) or 'nothing'} are skipped", flush=True)
    waiting, running, passed, failed, skipped = list(notebooks), {}, 0, 0, 0
    begun = time.monotonic()
    while waiting or running:
        while waiting and len(running) < max(1, args.workers):
            notebook = waiting.pop(0)
            log = logs / ("_".join(notebook.with_suffix("").parts[-2:]) + ".log")
            running[start(notebook, skip, log, args.save)] = (notebook, log, time.monotonic())
        pid, status = os.waitpid(-1, os.WNOHANG)
        late = [p for p, (_, _, t) in running.items() if time.monotonic() - t > args.limit]
        if pid == 0 and not late:
            time.sleep(.05)
            continue
        why = ""
        if pid == 0:
            pid, why = late[0], f"overran {args.limit:.0f} s"
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            status = 1
        if pid not in running: continue
        notebook, log, t = running.pop(pid)
        shutil.rmtree(own_folder(log), ignore_errors=True)  # or a run of all notebooks leaves gigabytes
        name, seconds = notebook.relative_to(ROOT) if notebook.is_relative_to(ROOT) else notebook, time.monotonic() - t
        result = log.with_suffix(".json")
        if status == 0 and result.exists():
            counts = json.loads(result.read_text())
            passed, skipped = passed + counts["run"], skipped + counts["skipped"]
            print(f"  ok    {name}  {counts['run']} cells, {seconds:.0f} s"
                  + (f", {counts['skipped']} skipped" * bool(counts["skipped"])), flush=True)
        else:
            failed += 1
            if not why: why = f"died of signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "failed"
            tail = log.read_text(errors="replace")[-6000:] if log.exists() else ""
            print(f"  FAIL  {name}  {why} after {seconds:.0f} s\n{tail}", flush=True)
    shutil.rmtree(logs, ignore_errors=True)
    if passed + failed == 0: print("no test was found: that is a failure")
    print(f"{time.monotonic() - begun:.0f} s in all")
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return int(failed > 0 or passed == 0)


if __name__ == "__main__":
    sys.exit(main())
