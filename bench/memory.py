"""Memory that a training holds, with and without giving freed memory back after every epoch.

    OMP_NUM_THREADS=1 python bench/memory.py [--epochs 4] [--arch mobilenetv1_100]

Trains from random weights at 224 px, batch 32, on 736 drawn pictures, in a process of its own each way. Prints, in MB
of anonymous memory (Linux): the most that a step held, and what was held when the last epoch had ended. Ratio last.
"""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from fastai.callback.core import Callback

from the_project.core.recipe import Recipe, Stage
from the_project.core.sample import sample_table
from the_project.train import learner
from the_project.train.stages import run_stages


def held() -> float:  # MB
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


class Watch(Callback):
    "Notes memory after every batch, and after every epoch when all else is done"
    order = 100
    def __init__(self): self.peak, self.left = 0., []
    def after_batch(self): self.peak = max(self.peak, held())
    def after_epoch(self): self.left.append(held())


def train(arch: str, epochs: int, trim: bool, pictures: Path) -> None:
    table = sample_table(pictures, n=800, size=224, plant=False)
    table["split"] = ["valid" if i < 64 else "train" for i in range(len(table))]
    if not trim: learner.trim_memory = lambda: False
    watch = Watch()
    recipe = Recipe(arch=arch, weights=None, stages=(Stage(224, epochs),), precision="float32",
                    memory_format="channels_last", mixup=0.)
    run_stages(recipe, table, cbs=[watch], device="cpu")
    print("measured", round(watch.peak), *map(round, watch.left))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--arch", default="mobilenetv1_100")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child: return train(args.arch, args.epochs, args.child[0] == "trim", Path(args.child[1]))
    left = {}
    with tempfile.TemporaryDirectory() as pictures:
        for way in ("trim", "keep"):
            command = [sys.executable, __file__, "--epochs", str(args.epochs), "--arch", args.arch, "--child", way,
                       pictures]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            peak, *ends = map(int, next(line for line in out.splitlines() if line.startswith("measured")).split()[1:])
            left[way] = ends[-1]
            print(f"{way}: at most {peak} MB in a step, {', '.join(map(str, ends))} MB after each epoch", flush=True)
    print(f"kept without it / with it: {left['keep'] / left['trim']:.1f}x (torch {torch.__version__})")


if __name__ == "__main__":
    main()
