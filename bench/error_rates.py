"""How often intervals hold the true value, promises are kept and verdicts are wrong, on made-up answers whose truth is
known.

    python bench/error_rates.py                       # everything, 2,000 repeats (1,000 for verdicts)
    python bench/error_rates.py --only macro_f1 risk  # those checks alone, by the start of their names
    python bench/error_rates.py --quick               # 100 repeats each, to see that it runs
    python bench/error_rates.py --out nbs/studies/error_rates.json   # also keep the table

Every check is one function that yields rows (world, promised, measured, more). It draws from a seed of its own, so
that one check gives the same numbers alone or among all.
"""
import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from the_project.core.files import plain, write_json

warnings.filterwarnings("ignore")


@dataclass
class Rate:
    "One measured rate"
    check: str         # the function that measured it
    world: str         # what was drawn
    promised: str      # "at least 95 %", "at most 10 %"
    measured: float    # share of the repeats
    repeats: int       # how many there were
    more: str = ""     # e.g. mean width of the intervals

    @property
    def error(self) -> float: return (self.measured * (1 - self.measured) / self.repeats) ** .5


CHECKS: dict[str, tuple[Callable, int]] = {}  # name -> (function, repeats of a full run)


def check(repeats: int) -> Callable:
    "Register a check: a function (repeats, seed) that yields (world, promised, measured, more)"
    def keep(function: Callable) -> Callable:
        CHECKS[function.__name__] = function, repeats
        return function
    return keep


# ---------------------------------------------------------------- worlds that are shared

def label_world(k: int, skewed: bool) -> tuple[np.ndarray, np.ndarray]:
    "Shares of k classes, and how often each is called what"
    rng = np.random.default_rng(1)
    share = np.geomspace(1, .1, k) if skewed else np.ones(k)
    right = rng.uniform(.55, .95, k)
    called = np.repeat(((1 - right) / (k - 1))[:, None], k, 1)
    np.fill_diagonal(called, right)
    return share / share.sum(), called


def draw_labels(rng: np.random.Generator, share: np.ndarray, called: np.ndarray, groups: int,
                per: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    "Truth, answer and group of rows; inside a group the answers are alike 70 % of the time"
    upto, of_group = called.cumsum(1), rng.choice(len(share), groups, p=share)
    size = np.ones(groups, int) if per == 1 else rng.integers(1, 2 * per, groups)
    group = np.repeat(np.arange(groups), size)
    truth = of_group[group]
    first, own = (_call(rng, upto, some) for some in (of_group, truth))
    alike = (rng.random(len(truth)) < .7) & (per > 1)
    return truth, np.where(alike, first[group], own), group


def _call(rng: np.random.Generator, upto: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return (rng.random(len(truth))[:, None] > upto[truth][:, :-1]).sum(1)


def label_table(truth: np.ndarray, said: np.ndarray, group: np.ndarray, k: int) -> pd.DataFrame:
    "A predictions table of such answers"
    from the_project.evaluate.predictions import make_predictions
    p = np.full((len(truth), k), .01)
    p[np.arange(len(truth)), said] = 1 - .01 * (k - 1)
    return make_predictions([str(i) for i in range(len(truth))], truth, p, [f"l{i:04d}" for i in range(k)], group)


# ---------------------------------------------------------------- verdicts on recipes

def draw_trainings(rng: np.random.Generator, recipes: list[tuple[int, float]], rows: int = 120, luck: float = .02) -> list:
    "For each recipe (trainings, gain) its answers to the same pictures, in pairs of a group. Hard pictures are hard for all, a recipe has strong ones of its own, a training is lucky as a whole (`luck`, standard deviation of its skill) and by picture"
    truth, hard, group = rng.integers(0, 4, rows), rng.normal(0, .2, rows), np.arange(rows) // 2
    found = []
    for trainings, gain in recipes:
        own, tables = rng.normal(0, .1, rows), []
        for _ in range(trainings):
            right = rng.random(rows) < np.clip(.65 + gain + luck * rng.normal() + hard + own, 0, 1)
            tables.append(label_table(truth, np.where(right, truth, (truth + rng.integers(1, 4, rows)) % 4), group, 4))
        found.append(tables)
    return found


def _ablation(cells: list, parts: list[tuple[str, ...]]):
    from the_project.core.recipe import Recipe
    from the_project.experiments.ablate import Ablation, Arm, ArmResult
    results = [ArmResult(Arm(" + ".join(names) or "base", Recipe(), parts=names), [], dict(enumerate(tables)))
               for names, tables in zip(parts, cells)]
    return Ablation(results, "accuracy")


def _verdicts(repeats: int, seed: int, name: str, ask: Callable, gains: tuple = (0., .1), lucks: tuple = (0., .02, .05)):
    "`ask(rng, gain, luck)` says whether anything was called a help or a harm; rows of false verdicts, then of found gains"
    for gain in gains:
        for luck in lucks:
            rng = np.random.default_rng([seed, round(1000 * luck), round(1000 * gain)])
            n = repeats if not gain else max(repeats // 5, 20)
            rate = np.mean([ask(rng, gain, luck) for _ in range(n)])
            world = f"{name}, a training's luck {100 * luck:g} points"
            if gain: yield f"{world}, gain {100 * gain:g} points", "power", rate, f"{n} repeats"
            else: yield world, "at most 5 %", rate, ""


def _told(differences, wanted: tuple = ("helped", "hurt")) -> bool: return any(each.verdict in wanted for each in differences)


@check(1000)
def ablate_one(repeats: int, seed: int):
    "Verdicts of an ablation of one change: six trainings of the base, three of the change, 120 pictures"
    def ask(rng, gain, luck):
        return _told(_ablation(draw_trainings(rng, [(6, 0.), (3, gain)], luck=luck), [(), ("a",)]).differences.values())
    yield from _verdicts(repeats, seed, "one change", ask)


@check(1000)
def ablate_ten(repeats: int, seed: int):
    "Any verdict among ten changes, corrected by Holm; power: the one that is a gain is found"
    parts = [(), *((name,) for name in "abcdefghij")]
    def ask(rng, gain, luck):
        found = _ablation(draw_trainings(rng, [(6, 0.), (3, gain), *[(3, 0.)] * 9], luck=luck), parts)
        return _told([found.difference("a")] if gain else found.differences.values())
    yield from _verdicts(repeats, seed, "ten changes", ask, lucks=(.02,))


@check(1000)
def ablate_factorial(repeats: int, seed: int):
    "Any verdict among two main effects and their interaction; the base has twice the trainings"
    parts = [(), ("a",), ("b",), ("a", "b")]
    def ask(rng, gain, luck):
        found = _ablation(draw_trainings(rng, [(6, 0.), (3, gain), (3, 0.), (3, gain)], luck=luck), parts).effects()
        said = found.verdict[found.effect == "a"] if gain else found.verdict
        return bool(said.isin(["helped", "hurt"]).any())
    yield from _verdicts(repeats, seed, "two by two", ask, lucks=(0., .05))


@check(1000)
def ablate_folds(repeats: int, seed: int):
    "Verdicts of an ablation of one change by five folds: each fold's training has luck of its own"
    def ask(rng, gain, luck):
        folds = [draw_trainings(rng, [(4, 0.), (2, gain)], 40, luck) for _ in range(5)]
        cells = [[pd.concat([fold[side][at].assign(file=f"{i}-" + fold[side][at].file, group=f"{i}-" + fold[side][at].group)
                             for i, fold in enumerate(folds)], ignore_index=True) for at in range(n)]
                 for side, n in ((0, 4), (1, 2))]
        return _told(_ablation(cells, [(), ("a",)]).differences.values())
    yield from _verdicts(repeats, seed, "five folds", ask, lucks=(.05,))


@check(1000)
def pseudo_and_distill(repeats: int, seed: int):
    "Verdicts of pseudo-labels and of distillation: `recipe_difference` of as many trainings a side"
    from the_project.evaluate.verdict import recipe_difference
    for seeds in (1, 2, 3):
        def ask(rng, gain, luck):
            theirs, ours = draw_trainings(rng, [(seeds, 0.), (seeds, gain)], luck=luck)
            return _told([recipe_difference(ours, theirs, "accuracy")])
        yield from _verdicts(repeats, seed, f"{seeds} a side", ask, lucks=(.02, .05))


@check(300)
def one_training_by_pictures(repeats: int, seed: int):
    "What one training a side would have been called by the luck of the pictures alone (not a rule of the library)"
    from the_project.evaluate.paired import paired_difference
    for luck in (.02, .05):
        rng = np.random.default_rng([seed, round(1000 * luck)])
        pairs = [draw_trainings(rng, [(1, 0.), (1, 0.)], luck=luck) for _ in range(repeats)]
        rate = np.mean([paired_difference(a, b, "accuracy", n=500).verdict != "no evidence" for a, b in pairs])
        yield f"a training's luck {100 * luck:g} points", "no promise", rate, ""


@check(1000)
def offsets(repeats: int, seed: int):
    "Offsets chosen though the classes are exchangeable, and how often they win on valid as a run with offsets is scored"
    from the_project.evaluate.offsets import fit_offsets, offsets_left_out
    from the_project.evaluate.paired import paired_difference
    from the_project.evaluate.predictions import make_predictions
    for lean in (0., 1.):
        rng, chosen, wins = np.random.default_rng([seed, round(lean)]), [], []
        n = repeats if not lean else max(repeats // 5, 20)
        for at in range(n):
            truth = rng.integers(0, 5, 120) if not lean else np.minimum(rng.geometric(.5, 120) - 1, 4)
            z = rng.normal(size=(120, 5)) + 1.5 * np.eye(5)[truth] + lean * 2 * np.log(.5) * np.arange(5)
            p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
            table = make_predictions([str(i) for i in range(120)], truth, p, list("abcde"))
            chosen.append(fit_offsets(table).way != "none")
            if at < n // 10: wins.append(_told([paired_difference(offsets_left_out(table), table, n=500)], ("helped",)))
        promised = "power" if lean else "at most 5 %"
        world = "a model that leans to common classes" if lean else "exchangeable classes"
        yield world, promised, np.mean(chosen), f"{n} repeats; on rows left out called a help in {np.mean(wins):.1%} of {len(wins)}"


@check(1000)
def search_optimism(repeats: int, seed: int):
    "The best of twenty equal trials: how far its score is above the truth, and whether the interval of `search.score` holds it"
    from the_project.experiments.search import without_luck
    for rows in (60, 240):
        rng, raw, mended, held = np.random.default_rng([seed, rows]), [], [], []
        for _ in range(repeats):
            tables = [cell[0] for cell in draw_trainings(rng, [(1, 0.)] * 20, rows)]
            value, low, high = without_luck(tables, "accuracy", n=200)
            truth = .645  # of this world: the mean of the clipped chances of 1,000 recipes with 4,000 pictures
            raw.append(max((t.truth == t.prediction).mean() for t in tables) - truth)
            mended.append(value - truth)
            held.append(low <= truth <= high)
        yield (f"{rows} pictures", "at least 95 %", np.mean(held),
               f"the best is {100 * np.mean(raw):+.1f} points above the truth, corrected {100 * np.mean(mended):+.1f}")


@check(1000)
def leak_claim(repeats: int, seed: int):
    "A leak that is called more than luck, where groups are pure chance; power: scenes of four alike pictures"
    from the_project.audit.leaks import leak_report
    for alike in (0., .7):
        rng, told, n = np.random.default_rng([seed, round(10 * alike)]), [], max(repeats // (5 if alike else 1), 20)
        for _ in range(n):
            scene, label = np.arange(120) // 4, np.arange(120) // 4 % 3
            if not alike: scene = rng.permutation(scene)
            signs = rng.normal(size=(3, 12))[label] * .5 + alike * rng.normal(size=(30, 12))[scene] + rng.normal(size=(120, 12))
            table = pd.DataFrame(dict(file=[f"/f/{i}.jpg" for i in range(120)], label=[f"l{i}" for i in label], film=scene))
            report = leak_report(table, group="film", vectors=signs.astype(np.float32), repeats=2, progress=False)
            told.append("no more than luck" not in str(report))
        yield ("scenes of alike pictures" if alike else "groups of pure chance", "power" if alike else "at most 5 %",
               np.mean(told), f"{n} repeats")


@check(1000)
def curve_claim(repeats: int, seed: int):
    "'More pictures would help', where the score is the same at each share; power: it rises by eight points a doubling"
    from the_project.audit.curve import fit_curve
    for step in (0., .08):
        rng, told, n = np.random.default_rng([seed, round(100 * step)]), [], max(repeats // (5 if step else 1), 20)
        for _ in range(n):
            cells = draw_trainings(rng, [(1, step * np.log2(4 * share) - step) for share in (.25, .5, .75, 1.)], 240, .02)
            curve = fit_curve([cell[0] for cell in cells], [100, 200, 300, 400], [.25, .5, .75, 1.], "accuracy", n=300)
            told.append(str(curve).startswith("more pictures would help"))
        yield ("a score that rises" if step else "a flat score", "power" if step else "at most 5 %", np.mean(told), f"{n} repeats")


# ---------------------------------------------------------------- the run

def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[""], help="checks whose names start so")
    parser.add_argument("--quick", action="store_true", help="100 repeats each")
    parser.add_argument("--repeats", type=int, help="instead of each check's own number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON file; rows of checks that did not run are kept")
    args = parser.parse_args()
    kept = {}
    for name, (function, repeats) in CHECKS.items():
        if not any(name.startswith(start) for start in args.only): continue
        repeats, begun = args.repeats or (100 if args.quick else repeats), time.process_time()
        kept[name] = [Rate(name, world, promised, float(measured), repeats, more)
                      for world, promised, measured, more in function(repeats, args.seed)]
        print(f"\n{name}: {function.__doc__} ({time.process_time() - begun:.0f} CPU s)", flush=True)
        for rate in kept[name]:
            print(f"  {rate.world:46} {rate.promised:16} {rate.measured:6.1%} ±{rate.error:.1%}  {rate.more}", flush=True)
    if args.out: keep_rates(args.out, kept)


def keep_rates(path: Path, found: dict[str, list[Rate]]) -> None:
    "Write the rates beside those of other checks"
    from the_project.core.files import read_json
    before = read_json(path) if path.exists() else {}
    write_json(path, plain(before | {name: [asdict(rate) for rate in rates] for name, rates in found.items()}))


if __name__ == "__main__": main()
