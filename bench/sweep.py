"""Trials an hour: a fresh process a trial against workers that stay warm.

    python bench/sweep.py [--trials 6] [--epochs 2]

Both train the same tiny recipes (drawn pictures, a small network) one after the other, in turns, one process at a
time and one thread. The answer is a ratio: it depends on how long a trial trains beside the seconds that an import
takes.
"""
import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from the_project.core.recipe import Recipe, Stage
from the_project.core.sample import sample_table
from the_project.data.splits import split_table
from the_project.experiments.sweep import Job
from the_project.experiments.workers import WarmWorkers

FRESH = """
import sys, pandas, torch
from the_project.core.recipe import load_recipe
from the_project.experiments.sweep import run_recipe
torch.set_num_threads(1)
run_recipe(load_recipe(sys.argv[1]), pandas.read_pickle(sys.argv[2]), sys.argv[3])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=2)
    args = parser.parse_args()
    place = Path(tempfile.mkdtemp())
    table = split_table(sample_table(place / "pictures", n=120, size=64, species=4, plant=False))
    table.to_pickle(place / "table.pkl")
    base = Recipe(arch="small_cnn", weights=None, stages=(Stage(48, args.epochs),), lr=4e-3, precision="float32",
                  memory_format="plain")
    took = dict(fresh=0., warm=0.)
    with WarmWorkers(1, threads=1) as workers:
        workers([Job(base.replace(seed=10_000), table)], place / "warm")  # started, and imported, before it counts
        for seed in range(args.trials):
            recipe, begun = base.replace(seed=seed), time.perf_counter()
            recipe.save(place / "recipe.json")
            subprocess.run([sys.executable, "-W", "ignore", "-c", FRESH, str(place / "recipe.json"),
                            str(place / "table.pkl"), str(place / "fresh")],
                           check=True, capture_output=True)
            middle = time.perf_counter()
            if workers([Job(recipe, table)], place / "warm") == [None]:
                raise RuntimeError("a warm trial failed: its log.json says why")
            took["fresh"] += middle - begun
            took["warm"] += time.perf_counter() - middle
    for name, seconds in took.items():
        print(f"{name}: {args.trials / seconds * 3600:.0f} trials an hour, {seconds / args.trials:.1f} s each")
    print(f"warm / fresh: {took['fresh'] / took['warm']:.1f} times as many trials")


if __name__ == "__main__":
    main()
