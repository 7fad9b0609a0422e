"""Masks on real scenes: the same folds for every row, each picture answered by a model that never saw it.

    python bench/masks.py --data DATA --weights mobilenetv1_100_imagenet12of13.safetensors \\
        --out nbs/studies/results_masks.json
    python bench/masks.py ... --only "satwater12: scale"     # rows whose name begins so

A row is trained once a fold; its scores are of all held-out pictures together, intervals by group. The fold beside
chooses the epoch and the threshold. Every row is written when it is done, so a study can be stopped and gone on with.
"""
import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from the_project.audit.masks import area_pairs
from the_project.core.env import environment
from the_project.core.files import read_json, write_json
from the_project.core.recipe import Recipe, Stage
from the_project.data.groups import group_duplicates
from the_project.data.masks import mask_facts
from the_project.data.splits import kfold_table
from the_project.data.table import read_table
from the_project.tasks.segment.scores import mask_scores
from the_project.evaluate.paired import paired_difference
from the_project.evaluate.predictions import predict_split, read_predictions, save_predictions
from the_project.runs.run import train
from the_project.tasks.segment.task import Segment

WATER_BANDS = ("coastal", "blue", "green", "red", "nir", "swir1", "swir2", "qa", "dem", "dem2", "landcover",
               "occurrence")
SPECTRAL = ("coastal", "blue", "green", "red", "nir", "swir1", "swir2")
HONEST = (*SPECTRAL, "dem", "dem2")  # without the maps of the answer: quality bits, land cover, water occurrence
CAMVID = ("sky", "building", "pole", "road", "pavement", "tree", "sign_symbol", "fence", "car", "pedestrian",
          "bicyclist", "-")
BASES = {"satwater12": "satwater12: spectral and heights", "camvid": "camvid: given weights",
         "satwater12, 15 epochs": "satwater12, 15 epochs: scale zscore"}


def settings(weights: str) -> dict:
    "name: (data set, folds, group column or None, recipe)"
    base = Recipe(task=Segment(label_smoothing=0.), arch="mobilenetv1_100", weights=weights, lr=1e-3,
                  linear_probe=False, batch_size=8, weight_decay=.02)
    water = base.replace(file_bands=WATER_BANDS, bands=HONEST, missing=(-9999.,), classes=("land", "water"),
                         stages=(Stage(128, 40),))
    streets = base.replace(classes=CAMVID, presize=180, stages=(Stage(160, 15),), augment="light", lr=2e-3)
    scars = base.replace(file_bands=("red", "green", "blue", "nir", "swir2"), classes=("other", "burned"),
                         stages=(Stage(160, 60),), batch_size=4)
    rows = {"camvid: given weights": ("camvid", 3, "sequence", streets),
            "camvid: from scratch": ("camvid", 3, "sequence", streets.replace(weights=None)),
            "camvid: given weights, frames at random": ("camvid", 3, None, streets),
            "burnscar5: given weights": ("burnscar5", 7, None, scars)}
    ways = {"red, green, blue": dict(bands=("red", "green", "blue")), "seven spectral bands": dict(bands=SPECTRAL),
            "spectral and heights": {}, "spectral, heights and indices": dict(indices=("NDWI", "MNDWI", "NDVI")),
            "all bands, maps of the answer too": dict(bands=())}
    rows |= {f"satwater12: {name}": ("satwater12", 5, "area", water.replace(**way)) for name, way in ways.items()}
    scales, short = ("zscore", "minmax", "quantile", "sample_zscore", "sample_quantile"), (Stage(128, 15),)
    rows |= {f"satwater12, 15 epochs: scale {name}": (
        "satwater12", 5, "area", water.replace(band_scale=name, stages=short)) for name in scales}
    rows["satwater12: spectral and heights, chips at random"] = "satwater12", 5, None, water
    return rows


def rows_of(name: str, data: Path, group: str | None, recipe: Recipe) -> pd.DataFrame:
    "A data set's table with its groups and folds' strata"
    table = read_table(data/name/"labels.csv", columns={group: "group"} if group == "sequence" else None)
    table = table.drop(columns=[] if group == "sequence" else "group", errors="ignore")
    if group == "area":
        pairs = pd.concat([area_pairs(table, recipe, band="dem2"), area_pairs(table, recipe, likeness=.5)])
        table = group_duplicates(table, None, pairs=zip(pairs["file"], pairs["other"]))
    return table


def folds_of(table: pd.DataFrame, recipe: Recipe, k: int, group: str | None) -> pd.DataFrame:
    "The table with its folds: films, or parts that hold all shares of the last class alike and keep groups together"
    if group == "sequence": return table.assign(fold=pd.factorize(table["group"])[0])
    counted = recipe.classes[-1] if recipe.classes[-1] != "-" else recipe.classes[0]
    share = mask_facts(table, recipe)[f"share_{counted}"]
    ranked = table.assign(stratum=pd.qcut(share.rank(method="first"), 3, labels=["low", "middle", "high"]).astype(str))
    return kfold_table(ranked, k, target="stratum").drop(columns="stratum")


def sides(table: pd.DataFrame, fold: int, k: int, by_film: bool) -> pd.DataFrame:
    "A fold's table: the fold is test; valid is the fold beside, or of films the last quarter of the others"
    test = table["fold"] == fold
    beside = table["fold"] == (fold + 1) % k
    if not by_film: return table.assign(split=np.where(test, "test", np.where(beside, "valid", "train")))
    late = table.groupby("fold")["file"].rank(pct=True) > .75
    split = np.where(test, "test", np.where(late, "valid", "train"))
    return table.assign(split=split, group=table["group"] + np.where(late & ~test, "-late", ""))


def run_row(table: pd.DataFrame, recipe: Recipe, k: int, by_film: bool, runs: Path, saved: Path) -> dict:
    "Train and answer every fold; all answers also in a CSV, for paired differences"
    begun, answers = time.process_time(), []
    for fold in range(k):
        run = train(sides(table, fold, k, by_film).drop(columns="fold"), recipe, runs)
        answers.append(predict_split(run, "test"))
    cpu, told = time.process_time() - begun, pd.concat(answers, ignore_index=True)
    save_predictions(told, saved)
    scores = {name: [None if np.isnan(x) else round(float(x), 4) for x in triple]
              for name, triple in mask_scores(told).items()}
    groups = int(told["group"].nunique()) if "group" in told else len(told)
    return dict(test=scores, folds=k, pictures=len(told), groups=groups, epochs=recipe.total_epochs,
                cpu_seconds=round(cpu))


def against_base(results: dict, answers: Path) -> dict:
    "Each row's IoU minus that of its data set's base, on the same pictures, drawn by group"
    for name, row in results.items():
        base = BASES.get(name.split(":")[0])
        files = [answers/f"{n.replace(': ', '-')}.csv" for n in (name, base)]
        if name == base or not all(file.exists() for file in files): continue
        gap = paired_difference(*map(read_predictions, files), metric="iou")
        row["against_base"] = [round(x, 4) for x in (gap.value, gap.low, gap.high)]
    return results


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag in ("--data", "--weights", "--out"): p.add_argument(flag, required=True)
    p.add_argument("--runs", type=Path, default=Path("runs/masks"))
    p.add_argument("--only", nargs="+", help="rows whose name begins with one of these")
    args = p.parse_args()
    for name, (data, k, group, recipe) in settings(str(Path(args.weights).absolute())).items():
        results = read_json(args.out) if Path(args.out).exists() else {}
        if name in results or args.only and not name.startswith(tuple(args.only)): continue
        table = folds_of(rows_of(data, Path(args.data), group, recipe), recipe, k, group)
        made = dict(made_with=environment()["packages"], date=time.strftime("%Y-%m-%d"))
        saved = args.runs/"answers"/f"{name.replace(': ', '-')}.csv"
        row = run_row(table, recipe, k, group == "sequence", args.runs, saved) | made
        results = read_json(args.out) if Path(args.out).exists() else {}
        write_json(args.out, against_base(results | {name: row}, args.runs/"answers"))
        print(name, row["test"]["iou"], f"{row['cpu_seconds']} CPU s", flush=True)


if __name__ == "__main__":
    main()
