"""Trials an hour: a fresh process a trial against workers that stay warm.

    python bench/sweep.py [--trials 6] [--epochs 2] [--out nbs/studies/sweep.json]

Both train the same tiny recipes (drawn pictures, a small network) one after the other, in turns, one process at a
time and one thread. The answer is a ratio: it depends on how long a trial trains beside the seconds that an import
takes. The load of the machine is told beside it, and the CPU seconds, which a busy machine hardly changes.
"""
import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from the_project.core.env import environment
from the_project.core.files import write_json
from the_project.core.recipe import Recipe, Stage
from the_project.core.sample import sample_table
from the_project.data.splits import split_table
from the_project.experiments.sweep import Job, read_log
from the_project.experiments.workers import WarmWorkers

FRESH = """
import sys, pandas, torch
from the_project.core.recipe_text import load_recipe
from the_project.experiments.sweep import run_recipe
torch.set_num_threads(1)
run_recipe(load_recipe(sys.argv[1]), pandas.read_pickle(sys.argv[2]), sys.argv[3])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place: found = measure(Path(place), args.trials, args.epochs)
    for name in ("fresh", "warm"):
        print(f"{name}: {3600 / found[name]['seconds']:.0f} trials an hour, {found[name]['seconds']:.1f} s each, "
              f"{found[name]['cpu_seconds']:.1f} CPU s (load {found['load']:.1f})")
    print(f"warm / fresh: {found['ratio']:.1f} times as many trials, {found['cpu_ratio']:.1f} times in CPU seconds")
    if args.out: write_json(args.out, found | dict(date=time.strftime("%Y-%m-%d"), made_with=environment()["packages"]))


def children_cpu() -> float:
    "CPU seconds of all processes that were started and have ended"
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(place: Path, trials: int, epochs: int) -> dict:
    "Mean seconds of a trial either way, in turns"
    table = split_table(sample_table(place / "pictures", n=120, size=64, species=4, plant=False))
    table.to_pickle(place / "table.pkl")
    base = Recipe(arch="small_cnn", weights=None, stages=(Stage(48, epochs),), lr=4e-3, precision="float32",
                  memory_format="plain")
    took, cpu, load = dict(fresh=[], warm=[]), dict(fresh=[], warm=[]), []
    with WarmWorkers(1, threads=1) as workers:
        workers([Job(base.replace(seed=10_000), table)], place / "warm")  # started, and imported, before it counts
        for seed in range(trials):
            recipe, begun, used = base.replace(seed=seed), time.perf_counter(), children_cpu()
            recipe.save(place / "recipe.json")
            subprocess.run([sys.executable, "-W", "ignore", "-c", FRESH, str(place / "recipe.json"),
                            str(place / "table.pkl"), str(place / "fresh")],
                           check=True, capture_output=True)
            middle = time.perf_counter()
            cpu["fresh"].append(children_cpu() - used)
            [run] = workers([Job(recipe, table)], place / "warm")
            if run is None: raise RuntimeError("a warm trial failed: its log.json says why")
            took["fresh"].append(middle - begun)
            took["warm"].append(time.perf_counter() - middle)
            cpu["warm"].append(read_log(run.folder)["cpu_seconds"])
            load.append(os.getloadavg()[0])
    means = {name: dict(seconds=statistics.mean(took[name]), cpu_seconds=statistics.mean(cpu[name]),
                        spread=statistics.stdev(took[name])) for name in took}
    return means | dict(trials=trials, epochs=epochs, load=statistics.mean(load),
                        ratio=means["fresh"]["seconds"] / means["warm"]["seconds"],
                        cpu_ratio=means["fresh"]["cpu_seconds"] / means["warm"]["cpu_seconds"])


if __name__ == "__main__":
    main()
