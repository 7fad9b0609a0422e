"""Heads and losses for numbers on the same folds: linear heads on one frozen backbone, beside scikit-learn and beside
always saying the mean.

    python bench/regress.py house_prices bccd camvid camvid_random --data DATA \\
        --weights mobilenetv1_100_imagenet12of13.safetensors --out results_numbers.json

Every row learns from the same features of the same training rows; its penalty and the reach of its intervals are
chosen on validation rows; the scores are of the answers to the held-out folds together. camvid's folds are its three
films, so nothing of a street is on two sides, and the last quarter of each other film validates; camvid_random is the
same with frames dealt out by chance: what a careless split would have claimed. One processor, about three minutes.
"""
import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from the_project.core.files import atomic_write
from the_project.core.problems import as_numbers
from the_project.core.recipe import Recipe, Stage
from the_project.core.plugs import find_task
from the_project.data.loaders import make_loader
from the_project.data.splits import kfold_table
from the_project.data.table import read_table
from the_project.tasks.regress.baseline import REGRESSORS
from the_project.tasks.regress.scores import apply_margin, fit_margin, mean_answers, number_scores
from the_project.models.backbone import create_backbone
from the_project.tasks.regress.loss import NumberLoss, fit_numbers, scaled_error
from the_project.models.probe import frozen_features
from the_project.answer.numbers import to_scale
from the_project.tasks.regress.task import count_outputs, number_table

SHARES = {"frac_road": "share of road", "frac_building": "share of buildings", "frac_sky": "share of sky"}
FRAME = dict(fit="squish", target_low=0., target_high=1., tolerance=.05)
SETS = {  # name: folder and table, targets, recipe fields, folds, group
    "house_prices": ("house_prices/labels.csv", {"label": "price"}, dict(target_scale="log"), 5, None),
    "bccd": ("bccd/counts.csv", {"n_rbc": "red cells"}, dict(fit="squish", target_low=0., tolerance=2.), 5, None),
    "camvid": ("camvid/labels.csv", SHARES, FRAME, 3, "sequence"),
    "camvid_random": ("camvid/labels.csv", SHARES, FRAME, 3, None)}
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


def read_rows(name, data):
    "A set's rows with `fold`, and `group` where folds are films"
    file, targets, _, k, group = SETS[name]
    first = next(iter(targets))
    rows = read_table(Path(data)/file, columns={group: "group"} if group else None, target=first)
    rows = as_numbers(rows, tuple(targets))
    return rows.assign(fold=pd.factorize(rows.group)[0]) if group else kfold_table(rows, k, target=first)


def splits_of(name, rows, fold):
    "train, valid or test of each row: the fold beside validates, or a quarter of the rest (of films: the last)"
    k, group = SETS[name][3:]
    split = pd.Series("train", rows.index).mask(rows.fold == fold, "test")
    if k > 3: return split.mask(rows.fold == (fold + 1) % k, "valid")
    rest = rows[split == "train"]
    if group:
        place = rest.sort_values("file").groupby("group").file.transform(lambda files: np.arange(1, len(files) + 1)
                                                                             / len(files))
    else: place = pd.Series(np.random.default_rng(fold).permutation(len(rest)) / len(rest), rest.index)
    return split.mask(place.reindex(rows.index, fill_value=0) > .75, "valid")


def answers_of_fold(name, recipe, rows, data, fold, outputs):
    "A predictions table of one held-out fold, its intervals fitted on validation rows"
    split = splits_of(name, rows, fold)
    sides = {part: split == part for part in ("train", "valid", "test")}
    parts = {part: tuple(values[torch.tensor(on.to_numpy())] for values in data) for part, on in sides.items()}
    measured = find_task("regress").measure(rows[sides["train"]], list(recipe.targets), recipe)
    said = outputs(recipe, measured, parts)
    shown = (measured if said["test"].shape[1] == count_outputs(measured["names"], recipe)
             else measured | dict(head="plain", loss="huber"))
    tables = {part: number_table(rows.file[sides[part]], parts[part][1].double().numpy(), said[part], shown)
              for part in said}
    told = apply_margin(tables["test"], shown, fit_margin(tables["valid"], shown)).assign(loss=0.)
    if "group" in rows: told["group"] = rows.group[sides["test"]].to_numpy()
    return told, shown, mean_answers(told, rows[sides["train"]], shown)


def compare(name, data, weights):
    "Every row of one data set's targets"
    _, targets, fields, k, _ = SETS[name]
    rows, results = read_rows(name, data), []
    base = Recipe(task="regress", arch="mobilenetv1_100", weights=weights, stages=(Stage(192, 1),), cache=False,
                  **fields)
    for target, shown in targets.items():
        recipe = base.replace(target=target)
        loader = make_loader(rows, recipe, [target],
                             recipe.last_size)
        if not results: backbone = create_backbone(recipe)
        features = frozen_features(backbone, loader)
        ways = {row: (recipe.replace(**more), linear) for row, more in ROWS.items()}
        ways |= {f"scikit-learn, {method}": (recipe, lambda r, m, p, method=method: regressor(method, m, p))
                 for method in REGRESSORS}
        for row, (settings, outputs) in ways.items():
            start, folds = time.process_time(), [answers_of_fold(name, settings, rows, features, fold, outputs)
                                                 for fold in range(k)]
            results.append(score(name, shown, row, folds, 0, time.process_time() - start))
            print(results[-1], flush=True)
        results.append(score(name, shown, "always the mean", folds, 2, 0.))
        if "group" in rows: results[-1]["between_films"] = between(rows[target], rows.group)
    return results


def score(name, target, row, folds, which, seconds, way="frozen"):
    "One line of the table: all held-out answers together"
    table, numbers = pd.concat([fold[which] for fold in folds], ignore_index=True), folds[0][1]
    tolerance = float(np.median([fold[1]["tolerance"][0] for fold in folds]))
    scores = number_scores(table, numbers | dict(head="plain", tolerance=[tolerance]))
    return dict(set=name, target=target, way=way, row=row, pictures=len(table), folds=len(folds),
                cpu_seconds=round(seconds, 1), tolerance=tolerance,
                **{key: [round(float(x), 6) for x in triple] for key, triple in scores.items()})


def between(values, groups):
    "Share of the variance that lies between groups"
    within = ((values - values.groupby(groups).transform("mean"))**2).sum()
    return round(float(1 - within / ((values - values.mean())**2).sum()), 4)


def keep(out, name, way, results):
    "Put a set's rows of one kind into the file, in place of older ones"
    known = json.loads(out.read_text()) if out.exists() else []
    known = [row for row in known if (row["set"], row["way"]) != (name, way)] + results
    atomic_write(out, json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("sets", nargs="+", choices=SETS)
    for flag in ("--data", "--weights", "--out"): p.add_argument(flag, required=True)
    args = p.parse_args()
    torch.set_num_threads(1)
    out = Path(args.out)
    for name in args.sets:
        keep(out, name, "frozen", compare(name, args.data, args.weights))
