"""What a split at random would have claimed, whether more pictures would help, and where a model fails: on real
photographs.

    python bench/trust.py --data DIR --weights FILE --out nbs/studies/trust.json [--runs DIR]

Sets: snakes_ph, monkeys, flowers. A linear probe on frozen vectors of the given network, out of fold and by group; with
--runs also the finished runs of bench/studies.py (only their predictions on valid are read, no run is touched).
Resumable: parts that the file holds already are skipped.
"""
import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from the_project.audit.curve import learning_curve
from the_project.models.embed import look_through, make_embedder
from the_project.audit.leaks import fold_answers, leak_report, probe_answers
from the_project.core.env import rng_for
from the_project.core.files import plain, read_json, write_json
from the_project.data.sampling import draw_rows, expected_draws
from the_project.data.groups import group_duplicates
from the_project.data.splits import kfold_table, split_balance, split_table
from the_project.data.table import read_table
from the_project.evaluate.compare import compare_predictions
from the_project.tasks.classify.scores import bootstrap, f1_macro
from the_project.tasks.classify.offsets import apply_offsets, fit_offsets
from the_project.tasks.classify.answers import label_codes, make_predictions
from the_project.evaluate.predictions import read_predictions
from the_project.evaluate.slices import slice_scores

SETS = ("snakes_ph", "monkeys", "flowers")


def balance(table: pd.DataFrame) -> dict:
    "The largest gap of a class's share, in points, of a holdout and of five folds"
    return dict(holdout=split_balance(split_table(table)).gap.max(),
                folds=split_balance(kfold_table(table), by="fold").gap.max())


def of_set(data: Path, name: str, weights: Path) -> dict:
    start, table = time.process_time(), read_table(data/name/"labels.csv")
    table = group_duplicates(table, progress=False)
    looks = look_through(table, make_embedder(weights, size=160), progress=False)
    vectors, answer = looks.vectors[pd.Index(looks.facts.file).get_indexer(table.file)], {}
    leak = leak_report(table, vectors=vectors, repeats=2, progress=False)
    curve = learning_curve(table, str(weights), vectors=vectors, progress=False)
    probe = fold_answers(table, vectors, kfold_table(table)["fold"].to_numpy())
    slices = slice_scores(probe, table.drop(columns=["scientific_name", "common_name", "source_path"], errors="ignore"))
    answer |= dict(rows=len(table), grouped=leak.grouped, leak=str(leak).splitlines(), points=leak.points)
    if leak.alone: answer |= dict(alone=leak.alone.scores["accuracy"], whole=leak.whole.scores["f1_macro"])
    answer |= dict(curve=str(curve), curve_points=curve.points.to_dict("records"), now=curve.now, twice=curve.twice,
                   gain=curve.gain)
    answer |= dict(probe=bootstrap(probe), slices=slices.to_dict("records"), balance=balance(table))
    return answer | dict(lopsided=lopsided(table, np.asarray(vectors)), cpu_seconds=round(time.process_time() - start))


def lopsided(table: pd.DataFrame, vectors: np.ndarray) -> dict:
    "Macro-F1 and recall of the rarer half of the classes, when training pictures fall off, class by class, to a tenth"
    split = split_table(table, valid=.2, test=.3)["split"].to_numpy()
    truth, labels = pd.factorize(table.label, sort=True)
    keep = .1 ** (np.arange(len(labels)) / (len(labels) - 1))
    learn = np.flatnonzero((split == "train") & (rng_for("lopsided").random(len(table)) < keep[truth]))
    rare, answers = np.arange(len(labels)) >= len(labels) // 2, {}
    for sampler in ("none", "balanced", "oversample"):
        draws = expected_draws(table.iloc[learn], sampler)
        drawn = learn if draws is None else learn[draw_rows(draws, truth[learn], rng_for("draw")) % len(learn)]
        rows = np.concatenate([drawn, np.flatnonzero(split != "train")])
        mask = np.arange(len(rows)) < len(drawn)
        p, rest = probe_answers(vectors[rows], truth[rows], mask, ~mask), rows[~mask]
        for part in ("valid", "test"):
            on = split[rest] == part
            answers[sampler, part] = make_predictions(table.file.iloc[rest[on]].tolist(), truth[rest[on]], p[on],
                                                      list(labels))
    found = fit_offsets(answers["none", "valid"])
    shown = {sampler: answers[sampler, "test"] for sampler in ("none", "balanced", "oversample")}
    shown["offsets"] = apply_offsets(shown["none"], found.offsets)
    codes = {name: (label_codes(t), label_codes(t, "prediction")) for name, t in shown.items()}
    return dict(rows=len(learn), way=found.way, **{name: dict(
        f1_macro=f1_macro(t, s, len(labels)), rare=float((t == s)[rare[t]].mean()),
        common=float((t == s)[~rare[t]].mean()),
        paired=compare_predictions(shown["none"], shown[name], n=1000).scores["f1_macro"])
        for name, (t, s) in codes.items()})


def of_runs(folder: Path) -> dict:
    "Runs of one table, compared with the first in pairs on valid; slices of the first"
    runs = {}
    for place in sorted(folder.glob("classify-mobilenetv1_100-*")):
        if not (place/"predictions-valid.csv").exists(): continue
        answers, recipe = read_predictions(place/"predictions-valid.csv"), read_json(place/"recipe.json")
        runs.setdefault(tuple(sorted(answers.file)), []).append((place.name, recipe, answers))
    several = max(runs.values(), key=len)
    first = next(run for run in several if len(run[1]["stages"]) > 1)
    found = [compare_predictions(first[2], run[2], (words(first[1]), words(run[1])), where="valid")
             for run in several if run[0] != first[0]]
    return dict(first=words(first[1]), lines=[str(one) for one in found],
                scores=[one.scores["f1_macro"] for one in found],
                names=[one.names for one in found])


def words(recipe: dict) -> str:
    "A recipe by what it trains on"
    stages = "-".join(f"{stage['size']}x{stage['epochs']}" for stage in recipe["stages"])
    return (f"{stages} mixup {recipe['mixup']:g}{'' if recipe['linear_probe'] else ' no probe'} "
            f"{recipe['resize_mode']} {recipe['augment']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--data", "--weights", "--out"): parser.add_argument(name, required=True, type=Path)
    parser.add_argument("--runs", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = read_json(args.out) if args.out.exists() else {}
    for name in SETS:
        if name in rows: continue
        rows[name] = plain(of_set(args.data, name, args.weights))
        write_json(args.out, rows)
        print(name, rows[name]["leak"], rows[name]["curve"], flush=True)
    if args.runs: rows["runs"] = plain(of_runs(args.runs))
    write_json(args.out, rows)


if __name__ == "__main__": main()
