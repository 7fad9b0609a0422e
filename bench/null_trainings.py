"""Forty real trainings of one and the same recipe: how often is one of them called better than another?

    python bench/null_trainings.py [--out nbs/studies/null_trainings.json]     # about 13 CPU minutes
    python bench/null_trainings.py --quick                                     # ten trainings, to see that it runs

A small network learns the embedded sample, eight seeds in each of five folds; nothing else differs. Each verdict of the
library is asked about sides drawn from these trainings, so every "helped" or "hurt" is false. `compare` speaks of two
trained models, which do differ: how often it tells them apart shows what must not be read into it. The drawn sides share
trainings, so their errors are alike: this is a spot check of `bench/error_rates.py`, not a proof.
"""
import argparse
import itertools
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from the_project.core.files import plain, write_json
from the_project.core.recipe import Recipe, Stage
from the_project.core.sample import sample_table
from the_project.evaluate.compare import compare_predictions
from the_project.evaluate.verdict import recipe_difference
from the_project.experiments.ablate import Ablation, Arm, ArmResult
from the_project.experiments.crossval import fold_tables, judged_answers
from the_project.runs.run import train


def answers_of(folder: Path, seeds: int, folds: int) -> list[list[pd.DataFrame]]:
    "seeds x folds tables of answers to the rows that judge"
    recipe = Recipe(arch="small_cnn", weights=None, stages=(Stage(32, 6),), lr=4e-3)
    tables = fold_tables(sample_table(folder / "pictures", n=360, species=6), folds)
    found = [[judged_answers(train(table, recipe.replace(seed=seed), folder / "runs")) for table in tables]
             for seed in range(seeds)]
    scores = [np.mean([(answers.truth == answers.prediction).mean() for answers in row]) for row in found]
    print(f"{seeds * folds} trainings; accuracy of a seed over all folds {min(scores):.3f} to {max(scores):.3f}")
    return found


def told(verdict: str) -> bool: return verdict in ("helped", "hurt")


def sides(rng: np.random.Generator, of: int, many: tuple[int, int], draws: int) -> list[tuple]:
    "Two disjoint sides of so many trainings, drawn"
    return [(drawn[:many[0]], drawn[many[0]:sum(many)]) for drawn in (rng.permutation(of) for _ in range(draws))]


def verdicts(found: list[list[pd.DataFrame]], draws: int) -> list[dict]:
    "A row a verdict: how many were asked, how many were false"
    rng, seeds, folds, rows = np.random.default_rng(0), len(found), len(found[0]), []

    def add(name: str, false: list[bool]): rows.append(dict(verdict=name, asked=len(false), false=int(np.sum(false))))
    pairs = list(itertools.combinations(range(seeds), 2))
    for metric in ("f1_macro", "accuracy"):
        add(f"two models told apart by compare, {metric}",
            ["believe it" in str(compare_predictions(found[a][fold], found[b][fold], metric=metric, n=500))
                                   for fold in range(folds) for a, b in pairs])
    three = min(3, seeds // 2)
    add(f"pseudo-label and distil, {three} a side", [told(recipe_difference(
        [found[a][fold] for a in ours], [found[b][fold] for b in theirs], "accuracy").verdict)
        for fold in range(folds) for ours, theirs in sides(rng, seeds, (three, three), draws)])
    add("ablate, one change", [ablated([[found[i][fold] for i in base], [found[i][fold] for i in arm]])
                               for fold in range(folds) for base, arm in sides(rng, seeds, (seeds - three, three), draws)])
    whole = [pd.concat(row, ignore_index=True) for row in found]  # out-of-fold answers of each seed
    add("ablate by folds, one change", [ablated([[whole[i] for i in base], [whole[i] for i in arm]])
                                        for base, arm in sides(rng, seeds, (seeds - 2, 2), folds * draws)])
    add("two sets of out-of-fold answers told apart by compare",
        ["believe it" in str(compare_predictions(whole[a], whole[b], metric="accuracy", n=500))
                                         for a, b in pairs])
    return rows


def ablated(cells: list[list[pd.DataFrame]]) -> bool:
    "Whether an ablation tells a change that is none"
    arms = [ArmResult(Arm(name or "base", Recipe(), parts=(name,) * bool(name)), [], dict(enumerate(tables)))
            for name, tables in zip(("", "a"), cells)]
    return any(told(each.verdict) for each in Ablation(arms, "accuracy").differences.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = verdicts(answers_of(Path(folder), *((5, 2) if args.quick else (8, 5))), 4 if args.quick else 20)
    for row in rows:
        print(f"{row['verdict']:56} {row['false']:3} false of {row['asked']:3}  {row['false'] / row['asked']:6.1%}")
    if args.out: write_json(args.out, plain(rows))


if __name__ == "__main__": main()
