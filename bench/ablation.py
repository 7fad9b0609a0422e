"""An ablation on real snakes: what each usual change does to a short fine-tuning, with seeds, paired intervals and a
noise floor.

    python bench/ablation.py --data DIR --weights FILE.safetensors --out nbs/studies/ablation.json \\
        [--seeds 3] [--runs runs/ablation]

DIR holds snakes_ph (with labels.csv). Rows are grouped by near-duplicates and split by us: 15 % test, never read, and
of the rest a third valid, so that differences can be told at all. One thread. The base is repeated with twice as many
seeds. Killed, it goes on where it stopped; the logbook of its runs is written beside them, and its table into --out.

With --halving it is another table: eleven changes of a base with a new head, two epochs at 96 px, tried first on two
cheap stages (48 and 64 px, one epoch), each of which drops half of them. This is how a table of twelve rows on about
1,000 pictures stays below an hour on two cores.
"""
import argparse
import time
from pathlib import Path

import torch
from the_project.all import Recipe, Stage, group_duplicates, read_table, split_table
from the_project.core.env import environment
from the_project.core.files import write_json
from the_project.experiments.ablate import ablate
from the_project.experiments.logbook import Logbook
from the_project.experiments.sweep import read_log

CHANGES = {
    "MixUp 0.4": dict(mixup=.4),
    "albumentations, light": dict(pipeline="albumentations", augment="light"),
    "albumentations, strong": dict(pipeline="albumentations", augment="strong"),
    "SGD, ten times the rate": dict(optimiser="sgd", lr=5e-3, weight_decay=5e-4),
    "ADOPT": dict(optimiser="adopt"),
    "cosine": dict(schedule="cosine"),
    "flat": dict(schedule="constant"),
    "frozen": dict(stages=(Stage(96, 0, 3),)),
    "a new head instead of the probe's": dict(linear_probe=False),
}

MORE = {
    "the probe's head instead of a new one": dict(linear_probe=True),
    "MixUp 0.4": dict(mixup=.4),
    "CutMix 1": dict(cutmix=1.),
    "strong augmentation": dict(augment="strong"),
    "albumentations, light": dict(pipeline="albumentations"),
    "ADOPT": dict(optimiser="adopt"),
    "cosine": dict(schedule="cosine"),
    "a fifth of the rate": dict(lr=1e-4),
    "four times the rate": dict(lr=2e-3),
    "one rate for all layers": dict(lr_decay=1.),
    "EMA 0.9": dict(ema=.9),
}
CHEAP = ((Stage(48, 1),), (Stage(64, 1),))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--halving", action="store_true", help="eleven changes, cheap stages first")
    args = parser.parse_args()
    torch.set_num_threads(1)
    table = group_duplicates(read_table(args.data / "snakes_ph" / "labels.csv"), progress=False)
    table = split_table(table, valid=.28, test=.15, seed=0)
    base = Recipe(arch="mobilenetv1_100", weights=str(Path(args.weights).absolute()), stages=(Stage(96, 3),), mixup=0.,
                  lr=5e-4,
                  augment="light", precision="float32", memory_format="channels_last", notes="base")
    sizes = table["split"].value_counts()
    if args.halving: base = base.replace(stages=(Stage(96, 2),), linear_probe=False)
    changes, cheap = (MORE, CHEAP) if args.halving else (CHANGES, ())
    for seeds in range(1, args.seeds + 1):  # a table after each seed: stopped early, there is one with fewer
        found = ablate(base, table, changes, args.runs, seeds=seeds, cheap=cheap)
        logs = [log for path in args.runs.glob("*/log.json") if "memory_mb" in (log := read_log(path.parent))]
        write_json(args.out, dict(
            rows=found.table.to_dict("records"), floor=found.floor, base_scores=found.base_scores,
            markdown=found.markdown,
            metric=found.metric, sizes={split: int(sizes[split]) for split in ("train", "valid", "test")}, seeds=seeds,
            trainings=len(logs), seconds=sum(log["seconds"] for log in logs),
            cpu_seconds=sum(log["cpu_seconds"] for log in logs),  # cheap stages too
            made_with=environment()["packages"], date=time.strftime("%Y-%m-%d")))
    Logbook(args.runs).write()
    print(found.markdown)


if __name__ == "__main__":
    main()
