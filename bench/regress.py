"""Heads and losses for numbers on the same folds: linear heads on one frozen backbone, beside scikit-learn and beside
always saying the mean.

    python bench/regress.py house_prices bccd camvid --data DATA \\
        --weights mobilenetv1_100_imagenet12of13.safetensors --out results_numbers.json

Every row learns from the same features of the same training rows; its penalty and the reach of its intervals are
chosen on the fold beside; the scores are of the answers to the held-out folds together. camvid's folds are its three
films, so nothing of a street is on two sides. One processor, about a minute a target.
"""
import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from the_project.core.files import atomic_write
from the_project.core.recipe import Recipe, Stage
from the_project.core.task import find_task
from the_project.data.loaders import make_loader
from the_project.data.splits import kfold_table
from the_project.data.table import read_table
from the_project.evaluate.baseline import REGRESSORS
from the_project.evaluate.numbers import apply_margin, fit_margin, mean_answers, number_scores
from the_project.models.backbone import create_backbone, input_stats
from the_project.models.numbers import NumberLoss, fit_numbers, scaled_error
from the_project.models.probe import frozen_features
from the_project.ship.numbers import from_scale, to_scale
from the_project.tasks.regress import count_outputs, number_table

SETS = {  # name: table, targets, recipe fields, folds, group, bounds
    "house_prices": ("labels.csv", {"label": "price"}, dict(target_scale="log"), 5, None),
    "bccd": ("counts.csv", {"n_rbc": "red cells"}, dict(fit="squish", target_low=0.), 5, None),
    "camvid": ("labels.csv",
               {"frac_road": "share of road", "frac_building": "share of buildings", "frac_sky": "share of sky"},
               dict(fit="squish", target_low=0., target_high=1.), 3, "sequence")}
ROWS = {
    "plain, Huber": {}, "plain, L1": dict(loss="l1"), "plain, MSE": dict(loss="mse"),
    "plain, gaussian": dict(loss="gaussian"),
    "sigmoid, Huber": dict(head="sigmoid"), "clamp, Huber": dict(head="clamp"),
    "10 bins": dict(head="bins", bins=10), "20 bins": dict(head="bins", bins=20),
    "20 bins, weighted": dict(head="bins", bins=20, class_weights="inverse"),
    "20 bins, ordinal": dict(head="bins", bins=20, loss="ordinal")}
STRENGTHS = (.01, .1, 1.)


def linear(recipe, measured, parts):
    "Outputs of the linear head whose penalty did best on valid, for valid and test"
    loss, n_out, best = NumberLoss(recipe, measured), count_outputs(measured["names"], recipe), None
    for strength in STRENGTHS:
        weight, bias = fit_numbers(*parts["train"], loss, n_out, strength, 60)
        said = {name: x @ weight.T + bias for name, (x, _) in parts.items()}
        error = scaled_error(loss, said["valid"], parts["valid"][1])
        if best is None or error < best[0]: best = error, said
    return {name: best[1][name].double().numpy() for name in ("valid", "test")}


def regressor(method, measured, parts):
    "A scikit-learn regressor's answers as outputs of a plain head"
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    model = make_pipeline(StandardScaler(), REGRESSORS[method](1))
    model.fit(parts["train"][0].numpy(), to_scale(parts["train"][1].numpy(), measured))
    return {name: model.predict(parts[name][0].numpy()).reshape(-1, 1) for name in ("valid", "test")}


def answers_of_fold(recipe, rows, data, fold, k, outputs):
    "A predictions table of one held-out fold, its intervals fitted on the fold beside"
    sides = {"test": rows.fold == fold, "valid": rows.fold == (fold + 1) % k}
    sides["train"] = ~(sides["test"] | sides["valid"])
    parts = {name: tuple(part[torch.tensor(on.to_numpy())] for part in data) for name, on in sides.items()}
    measured = find_task("regress").measure(rows[sides["train"]], list(recipe.targets), recipe)
    said = outputs(recipe, measured, parts)
    shown = (measured if said["test"].shape[1] == count_outputs(measured["names"], recipe)
             else measured | dict(head="plain", loss="huber"))
    tables = {name: number_table(rows.file[sides[name]], parts[name][1].double().numpy(), said[name], shown)
              for name in said}
    told = apply_margin(tables["test"], shown, fit_margin(tables["valid"], shown)).assign(loss=0.)
    if "group" in rows: told["group"] = rows.group[sides["test"]].to_numpy()
    return told, shown, mean_answers(told, rows[sides["train"]], shown)


def compare(name, data, weights):
    "Every row of one data set's targets"
    file, targets, fields, k, group = SETS[name]
    base = Recipe(task="regress", arch="mobilenetv1_100", weights=weights, stages=(Stage(192, 1),), cache=False,
                  **fields)
    results = []
    for target, shown in targets.items():
        recipe = base.replace(target=target)
        rows = read_table(Path(data)/name/file, columns={group: "group"} if group else None, target=target)
        rows[target] = rows[target].astype(float)
        rows = kfold_table(rows, k, target=target) if not group else rows.assign(fold=pd.factorize(rows.group)[0])
        loader = make_loader(rows, recipe, find_task("regress").blocks(recipe), [target], *input_stats(recipe),
                             recipe.last_size)
        if not results: backbone = create_backbone(recipe)
        features = frozen_features(backbone, loader)
        ways = {row: (recipe.replace(**more), linear) for row, more in ROWS.items()}
        ways |= {f"scikit-learn, {method}": (recipe, lambda r, m, p, method=method: regressor(method, m, p))
                 for method in REGRESSORS}
        for row, (settings, outputs) in ways.items():
            start, folds = time.process_time(), [answers_of_fold(settings, rows, features, fold, k, outputs)
                                                 for fold in range(k)]
            results.append(score(name, shown, row, folds, 0, time.process_time() - start))
            print(results[-1], flush=True)
        results.append(score(name, shown, "always the mean", folds, 2, 0.))
    return results


def score(name, target, row, folds, which, seconds):
    "One line of the table: all held-out answers together"
    table, numbers = pd.concat([fold[which] for fold in folds], ignore_index=True), folds[0][1]
    numbers = numbers | dict(head="plain", tolerance=[np.median([fold[1]["tolerance"][0] for fold in folds])])
    scores = number_scores(table, numbers)
    return dict(set=name, target=target, row=row, pictures=len(table), folds=len(folds), cpu_seconds=round(seconds, 1),
                tolerance=numbers["tolerance"][0],
                **{key: [round(float(x), 6) for x in triple] for key, triple in scores.items()})


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("sets", nargs="+", choices=SETS)
    for flag in ("--data", "--weights", "--out"): p.add_argument(flag, required=True)
    args = p.parse_args()
    torch.set_num_threads(1)
    out = Path(args.out)
    for name in args.sets:
        known = json.loads(out.read_text()) if out.exists() else []
        known = [row for row in known if row["set"] != name] + compare(name, args.data, args.weights)
        atomic_write(out, json.dumps(known, indent=1) + "\n")
