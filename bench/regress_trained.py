"""Networks trained through `train` for numbers, on the folds of bench/regress.py, beside ridge regression on the frozen
features and always saying the mean.

    python bench/regress_trained.py house_prices camvid camvid_random --data DATA \\
        --weights mobilenetv1_100_imagenet12of13.safetensors --runs RUNS --out results_numbers.json

Every row is a run a fold: started from the linear probe, fine-tuned at 128 px, its best epoch and the reach of its
intervals from validation rows, its scores from the held-out folds together. `vs mean` and `vs ridge` are paired
differences of the absolute error on the same pictures. Killed, it goes on with the runs that are missing. One
processor, about fifteen minutes; 3e-4 was the best of three learning rates on bccd, which is not among the sets.
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from regress import SETS, keep, read_rows, score, splits_of

from the_project.core.recipe import Recipe, Stage
from the_project.tasks.regress.baseline import baseline_answers
from the_project.tasks.regress.scores import apply_margin, mean_answers
from the_project.evaluate.paired import paired_difference
from the_project.runs.run import train
from the_project.train.best import read_best

ROWS = {"plain, Huber": {}, "plain, gaussian": dict(loss="gaussian"), "20 bins": dict(head="bins", bins=20),
        "20 bins, ordinal": dict(head="bins", bins=20, loss="ordinal")}
TRAINED = dict(stages=(Stage(128, 10),), batch_size=16, lr=3e-4, precision="float32", memory_format="plain")
WHOLE = dict(augment="none", pipeline="albumentations", transforms=("horizontal_flip", "random_brightness_contrast"))
FEWER = {"camvid_random": ("plain, Huber", "20 bins")}  # rows enough to say what chance folds would claim


def table_of_fold(name, rows, fold):
    "What `train` is given: the late part of a film, which validates, is a group of its own"
    table = rows.drop(columns="fold").assign(split=splits_of(name, rows, fold))
    late = np.where(table["split"] == "valid", " late", "")
    return table.assign(group=table["group"].astype(str) + late) if "group" in table else table


def of_one(table, target, numbers):
    "One number's columns of a predictions table of several"
    end, i = (f":{target}" if len(numbers["names"]) > 1 else ""), numbers["names"].index(target)
    columns = {name: table[f"{name}{end}"] for name in ("truth", "prediction", "low", "high", "spread")}
    group = dict(group=table["group"]) if "group" in table else {}
    own = {name: [value[i]] for name, value in numbers.items() if isinstance(value, list)}
    return pd.DataFrame(dict(file=table["file"]) | columns | dict(loss=table["loss"]) | group), numbers | own


def fold_answers(run, ridge):
    "What a run, ridge regression and the mean say of its held-out rows"
    told = apply_margin(run.predictions("test"), run.measured, run.scores["margin"])
    training = run.table[run.table["split"] == "train"]
    ways = {"trained": told, "mean": mean_answers(told, training, run.measured)}
    if ridge: ways["ridge"] = baseline_answers(run, "test", "ridge")
    return ways, run.measured


def against(ours, theirs):
    "Paired difference in absolute error: value, low, high; below 0 is better"
    found = paired_difference(ours, theirs, "mae")
    return [round(float(x), 6) for x in (found.value, found.low, found.high)]


def by_film(table):
    "Bias and MAE of each film, and what is left of the MAE when each film's own bias is taken off"
    gap = table["prediction"] - table["truth"]
    films = {str(film): dict(bias=round(float(part.mean()), 4), mae=round(float(part.abs().mean()), 4),
                             truth=round(float(table.truth[part.index].mean()), 4), pictures=len(part))
             for film, part in gap.groupby(table["group"])}
    left = gap - gap.groupby(table["group"]).transform("mean")
    truth = table["truth"] - table.groupby("group")["truth"].transform("mean")
    return dict(films=films, mae_without_bias=round(float(left.abs().mean()), 6),
                r2_without_bias=round(float(1 - (left**2).sum() / (truth**2).sum()), 4))


def compare(name, data, weights, runs):
    "Every trained row of a set, the two it is compared with, and the differences"
    _, targets, fields, k, _ = SETS[name]
    rows, told, results = read_rows(name, data), {}, []
    base = Recipe(task="regress", target=",".join(targets), arch="mobilenetv1_100", weights=weights,
                  **fields | TRAINED | (WHOLE if name.startswith("camvid") else {}))
    for row in FEWER.get(name, ROWS):
        won = 0
        for fold in range(k):
            table = table_of_fold(name, rows, fold)
            run = train(table, base.replace(**ROWS[row]), runs,
                        f"{name}-{row.replace(', ', '-').replace(' ', '-')}-{fold}")
            won += read_best(run.folder/"best.safetensors")["epoch"] >= 0
            told.setdefault(row, []).append(fold_answers(run, not results and row == next(iter(ROWS))))
        told[row].append((0., won))
    for target, shown in targets.items():
        tables = {}
        for row, (*folds, (seconds, won)) in told.items():
            for way in folds[0][0]:
                called = dict(trained=row, mean="always the mean", ridge="scikit-learn, ridge")[way]
                if called in tables: continue
                parts = [of_one(ways[way], target, numbers) for ways, numbers in folds]
                tables[called] = pd.concat([part for part, _ in parts], ignore_index=True)
                line = score(name, shown, called, parts, 0, seconds, "trained") | dict(cpu_seconds=None)
                results.append(line | (dict(epochs_won=won) if way == "trained" else {}))
        for line in results[-len(tables):]:
            for other, key in (("always the mean", "vs_mean"), ("scikit-learn, ridge", "vs_ridge")):
                if line["row"] != other: line[key] = against(tables[line["row"]], tables[other])
            if "group" in tables[line["row"]]: line |= by_film(tables[line["row"]])
            print({key: value for key, value in line.items() if key in ("target", "row", "mae", "r2", "vs_mean")},
                  flush=True)
    return results


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("sets", nargs="+", choices=SETS)
    for flag in ("--data", "--weights", "--runs", "--out"): p.add_argument(flag, required=True)
    args = p.parse_args()
    torch.set_num_threads(1)
    for name in args.sets:
        keep(Path(args.out), name, "trained", compare(name, args.data, args.weights, Path(args.runs)))
