"""A search that is killed on the way: 20 trials on real snakes from the shell, kill -9, the same command again.

    OMP_NUM_THREADS=1 python bench/search.py --data DIR --weights FILE.safetensors \\
        --out nbs/studies/search.json [--runs runs/search] [--trials 20] [--kill 7]

The command is `the_project search`, in a process of its own; after --kill trials, in the middle of the next one, it
gets kill -9, and is then started again as it was. Afterwards the best recipe meets the default at the same budget,
with other seeds, on valid (where it was chosen) and on test (which the search never saw). A stage is cheap: 96
px, three epochs, and hopeless trials are stopped after one. Killed itself, this goes on, too.
"""
import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from the_project.all import Recipe, Stage, group_duplicates, read_table, split_table
from the_project.core.env import environment
from the_project.core.files import read_json, write_json
from the_project.evaluate.paired import paired_difference
from the_project.experiments.ablate import ablate
from the_project.experiments.search import search
from the_project.experiments.sweep import read_log

SPACE = {"lr": {"low": 1e-7, "high": 1e-2, "log": True}, "lr_decay": {"low": .03, "high": 1., "log": True},
         "linear_probe": [True, False], "mixup": {"low": 0., "high": .8}, "augment": ["light", "standard", "strong"]}
COMMAND = "from the_project.commands.cli import main; raise SystemExit(main())"


def prepare(data: Path, weights: str, runs: Path):
    "Table, recipe and space as files, for the command"
    runs.mkdir(parents=True, exist_ok=True)
    if not (runs / "table.csv").exists():
        table = group_duplicates(read_table(data / "snakes_ph" / "labels.csv"), progress=False)
        split_table(table, valid=.15, test=.25, seed=0).to_csv(runs / "table.csv", index=False)
    recipe = Recipe(arch="mobilenetv1_100", weights=weights, stages=(Stage(96, 3),), presize=144,
                    precision="float32", memory_format="channels_last")
    recipe.save(runs / "base.json")
    write_json(runs / "space.json", SPACE)
    return read_table(runs / "table.csv"), recipe


def killed_in_time(process: subprocess.Popen, runs: Path, after: int) -> bool:
    "Whether it could be killed in the middle of a trial, `after` trials being finished"
    while process.poll() is None:
        logs = [read_log(path.parent) for path in runs.glob("*/log.json")]
        going = [path.parent for path in runs.glob("*/recipe.json") if (path.parent / "history.csv").exists()
                 and not read_log(path.parent).get("memory_mb")]
        if sum("memory_mb" in log for log in logs) >= after and going:  # its first epoch is over
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            write_json(runs / "killed.json", dict(run=going[0].name, finished=sum("memory_mb" in log for log in logs),
                                                  epochs=len((going[0] / "history.csv").read_text().splitlines()) - 1))
            return True
        time.sleep(.2)
    return False


def run_command(runs: Path, trials: int, kill: int) -> int:
    "The search from the shell, killed once; how often it was started"
    words = ["search", runs / "table.csv", "--recipe", runs / "base.json", "--space", runs / "space.json", "--trials",
             trials, "--runs", runs / "trials"]
    command = [sys.executable, "-W", "ignore", "-c", COMMAND, *map(str, words)]
    print(shlex.join(["the_project", *map(str, words)]), flush=True)
    if not (runs / "killed.json").exists():
        process = subprocess.Popen(command)
        if not killed_in_time(process, runs / "trials", kill): raise RuntimeError("it ended before it could be killed")
        (runs / "trials" / "killed.json").rename(runs / "killed.json")
    subprocess.run(command, check=True)
    return 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/search"))
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--kill", type=int, default=7)
    parser.add_argument("--confirm", type=int, default=3, help="seeds a side, at the end")
    args = parser.parse_args()
    torch.set_num_threads(1)
    table, recipe = prepare(args.data, str(Path(args.weights).absolute()), args.runs)
    starts = run_command(args.runs, args.trials, args.kill)
    found = search(recipe, table, SPACE, args.trials, args.runs / "trials")  # all there: read, not trained
    killed, trials = read_json(args.runs / "killed.json"), found.table
    write_json(args.out, dict(
        trials=trials.drop(columns=["seconds", "run"]).to_dict("records"), importance=found.importance(),
        changes=dict(found.changes.items()), best=found.study.best_value, starts=starts,
        killed=killed | dict(attempts=read_log(args.runs / "trials" / killed["run"]).get("attempts"),
                             numbers=trials.loc[trials["run"] == killed["run"], "number"].tolist()),
        cpu_seconds=round(sum(read_log(path.parent)["cpu_seconds"] for path in args.runs.glob("trials/*/log.json"))),
        space=SPACE, date=time.strftime("%Y-%m-%d"), made_with=environment()["packages"]))
    found.plot().savefig(args.runs / "plot.png", dpi=110)
    print(found, found.changes, flush=True)
    compared = ablate(recipe.replace(seed=1), table, {"best of the search": found.changes}, args.runs / "confirm",
                      seeds=args.confirm, base_seeds=args.confirm)
    tests = [[run.predictions("test") for run in result.runs] for result in compared.results]
    rows = {metric: paired_difference(tests[1], tests[0], metric) for metric in ("f1_macro", "accuracy", "top_3")}
    write_json(args.out, read_json(args.out) | dict(
        valid=compared.table.drop(columns="seconds").to_dict("records"), floor=compared.floor,
        test={metric: dict(value=d.value, low=d.low, high=d.high, verdict=d.verdict) for metric, d in rows.items()},
        confirm_cpu_seconds=round(sum(read_log(run.folder)["cpu_seconds"] for result in compared.results
                                      for run in result.runs))))
    print(compared.markdown, rows, sep="\n")


if __name__ == "__main__":
    main()
