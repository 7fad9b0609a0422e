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


# ---------------------------------------------------------------- intervals, promises, comparisons

LABEL_WORLDS = ((5, False, 60, 1), (14, False, 155, 1), (14, True, 155, 1), (10, True, 40, 4), (10, False, 100, 4),
                (30, False, 150, 1))


def held(triples: list[tuple], truth: float) -> tuple[float, str]:
    "Share of intervals that hold the truth, and how wide they are"
    low, high = np.array(triples)[:, 1:].T
    return np.mean((low <= truth) & (truth <= high)), f"mean width {np.mean(high - low):.3f}"


@check(2000)
def macro_f1(repeats: int, seed: int):
    "95 % intervals of macro-F1 and accuracy"
    from the_project.evaluate.metrics import label_scores
    for k, skewed, groups, per in LABEL_WORLDS:
        share, called = label_world(k, skewed)
        joint = share[:, None] * called
        f1 = (2 * joint.diagonal() / (joint.sum(0) + joint.sum(1))).mean()
        rng = np.random.default_rng([seed, k, groups])
        found = [label_scores(label_table(*draw_labels(rng, share, called, groups, per), k)) for _ in range(repeats)]
        name = f"{k} classes{', skewed' * skewed}, {groups} groups of {per}"
        for metric, truth in (("f1_macro", f1), ("accuracy", joint.diagonal().sum())):
            yield f"{metric}, {name}", "at least 95 %", *held([one[metric] for one in found], truth)


@check(2000)
def shares(repeats: int, seed: int):
    "95 % intervals of shares of right answers (top-k, slices, coverage)"
    from the_project.evaluate.metrics import jackknife_mean
    for n in (10, 20, 50, 155):
        for p in (.5, .8, .95):
            rng = np.random.default_rng([seed, n, int(100 * p)])
            yield f"{p:.0%} right, {n} rows", "at least 95 %", *held(
                [jackknife_mean(rng.random(n) < p) for _ in range(repeats)], p)


@check(2000)
def number(repeats: int, seed: int):
    "95 % intervals of MAE, RMSE and R2"
    from the_project.evaluate.metrics import jackknife_mean, jackknife_sums
    from the_project.evaluate.numbers import scores_of_gaps
    for n in (20, 50, 155):
        for tail, draw, mae, rmse in (("normal", lambda r: r.normal(size=n), (2 / np.pi) ** .5, 1.),
                                      ("heavy-tailed", lambda r: r.standard_t(4, size=n), 1., 2 ** .5)):
            rng, rows = np.random.default_rng([seed, n, len(tail)]), []
            for _ in range(repeats):
                gap, truth = draw(rng), 2 * rng.normal(size=n)
                sums = np.stack([np.ones(n), abs(gap), gap**2, truth, truth**2], 1)
                rows.append(jackknife_sums(sums, scores_of_gaps, None, dict(mae="amount", rmse="amount", r2="plain")))
            for name, truth in dict(mae=mae, rmse=rmse, r2=1 - rmse**2 / 4).items():
                yield f"{name}, {tail} errors, {n} rows", "at least 95 %", *held([row[name] for row in rows], truth)


@check(2000)
def mask(repeats: int, seed: int):
    "95 % intervals of IoU over groups whose areas differ a lot"
    from the_project.evaluate.metrics import jackknife_sums
    ratio = lambda sums: dict(iou=sums[:, 0] / sums[:, 1])
    for n in (10, 20, 50, 155):
        rng, rows = np.random.default_rng([seed, n]), []
        for _ in range(repeats):
            area = rng.lognormal(0, 1, n)
            rows.append(jackknife_sums(np.stack([area * rng.beta(6, 2, n), area], 1), ratio, None, "ratio")["iou"])
        yield f"{n} groups", "at least 95 %", *held(rows, .75)


def skilled_rows(rng: np.random.Generator, n: int, skill: float, k: int = 14) -> pd.DataFrame:
    "Answers of a model that is sure of some pictures and not of others; four species a genus"
    from the_project.evaluate.predictions import make_predictions
    y, genus, z = rng.integers(0, k, n), np.arange(k) // 4, rng.normal(size=(n, k))
    z[np.arange(n), y] += rng.uniform(0, 2 * skill, n)
    p = np.exp(1.2 * (z + .8 * (genus[y][:, None] == genus)))
    labels = [f"g{i // 4} s{i:02d}" for i in range(k)]
    return make_predictions([str(i) for i in range(n)], y, p / p.sum(1, keepdims=True), labels)


@check(2000)
def risk(repeats: int, seed: int):
    "Fits whose answers are wrong more often than the 5 % promised with 90 % confidence (temperature fitted too)"
    from the_project.evaluate.calibrate import apply_temperature, fit_temperature, softmax, table_logits
    from the_project.evaluate.predictions import label_codes, probability_matrix
    from the_project.evaluate.rules import fit_ranks
    genus = np.arange(14) // 4
    for skill in (2.5, 4):
        fresh = skilled_rows(np.random.default_rng([seed, 99, int(2 * skill)]), 20_000, skill)
        logits, truth = table_logits(fresh), label_codes(fresh)
        for ranks in ({}, dict(genus=[f"g{i}" for i in genus])):
            for n in (30, 60, 100, 155, 300):
                rng, broken, said = np.random.default_rng([seed, n, int(2 * skill), len(ranks)]), 0, []
                for _ in range(repeats):
                    valid = skilled_rows(rng, n, skill)
                    at = fit_temperature(valid)
                    fitted, p = fit_ranks(apply_temperature(valid, at), ranks, .05), softmax(logits / at)
                    told = p.max(1) >= (fitted[0]["threshold"] or np.inf)
                    wrong = told & (p.argmax(1) != truth)
                    if ranks:
                        sums = p @ np.eye(4)[genus]
                        more = ~told & (sums.max(1) >= (fitted[1]["threshold"] or np.inf))
                        told, wrong = told | more, wrong | more & (sums.argmax(1) != genus[truth])
                    broken += told.any() and wrong.sum() > .05 * told.sum()
                    said.append(told.mean())
                yield (f"skill {skill}{', with genus' * bool(ranks)}, {n} validation rows", "at most 10 %", broken / repeats,
                       f"says {np.mean(said):.0%}, silent in {np.mean(np.equal(said, 0)):.0%}")


@check(2000)
def stranger(repeats: int, seed: int):
    "Known pictures called out-of-distribution (directions fitted on 200 training rows, threshold on n others)"
    from the_project.evaluate.strangers import fit_stranger, fit_strangeness
    make = lambda rng, n: rng.normal(size=(n, 24)) * np.geomspace(3, .3, 24)
    fresh = make(np.random.default_rng([seed, 99]), 2000)
    for n in (20, 60, 155):
        rng, false = np.random.default_rng([seed, n]), []
        for _ in range(repeats):
            seen = fit_strangeness(make(rng, 200))
            false.append((seen.of(fresh) > fit_stranger(seen.of(make(rng, n)))["threshold"]).mean())
        yield f"{n} validation rows", "at most 5 %, mean", np.mean(false), ""


@check(2000)
def sets(repeats: int, seed: int):
    "Truths held by conformal sets for 90 % and by intervals of numbers for 90 %, on average over fits"
    from the_project.evaluate.doubt import fit_set, score_set
    from the_project.evaluate.numbers import fit_margin
    fresh = skilled_rows(np.random.default_rng([seed, 99]), 2000, 2.5)
    scale = dict(names=["price"], log=False, mean=[0.], std=[1.], coverage=.9)
    for n in (9, 20, 100):
        rng, kept = np.random.default_rng([seed, n]), {"sets, lac": [], "sets, raps": [], "numbers": []}
        for _ in range(repeats):
            valid, gap = skilled_rows(rng, n, 2.5), rng.standard_t(4, n)
            for method in ("lac", "raps"): kept[f"sets, {method}"].append(score_set(fresh, fit_set(valid, .9, method))["coverage"])
            table = pd.DataFrame(dict(truth=gap, prediction=0., spread=1.))
            kept["numbers"].append((abs(rng.standard_t(4, 500)) <= fit_margin(table, scale)[0]).mean())
        for name, values in kept.items(): yield f"{name}, {n} validation rows", "at least 90 %, mean", np.mean(values), ""


@check(1000)
def priors(repeats: int, seed: int):
    "A column that knows nothing about the label is used"
    from the_project.evaluate.predictions import make_predictions
    from the_project.evaluate.priors import fit_priors
    labels = list("abcdef")
    for n in (60, 300):
        rng, used = np.random.default_rng([seed, n]), 0
        for _ in range(repeats):
            y = rng.integers(0, 6, 300 + n)
            z = rng.normal(size=(n, 6)) + 1.5 * np.eye(6)[y[300:]]
            p = np.exp(1.5 * z)
            rows = pd.DataFrame(dict(label=np.array(labels)[y], season=rng.choice(list("wxyz"), 300 + n)))
            valid = make_predictions([str(i) for i in range(n)], y[300:], p / p.sum(1, keepdims=True), labels)
            used += fit_priors(valid, rows[:300], rows[300:])["season"]["strength"] > 0
        yield f"{n} validation rows", "at most 5 %", used / repeats, ""


@check(1000)
def threshold(repeats: int, seed: int):
    "A mask threshold other than 0.5 is chosen, where 0.5 is the best there is"
    from the_project.evaluate.masks import _gain
    from the_project.evaluate.metrics import jackknife_sums
    for n in (12, 48):
        rng, chosen = np.random.default_rng([seed, n]), 0
        for _ in range(repeats):
            area = rng.lognormal(5, 1, n)
            hit, false = area * rng.beta(6, 2, n), area * rng.beta(2, 6, n)
            step = rng.normal(0, .03, (2, n)) * area
            sums = np.stack([area, hit, false, hit + step[0], false + step[1]], 1)
            chosen += jackknife_sums(sums, _gain, None, "plain")["gain"][1] > 0
        yield f"{n} pictures, another that gains nothing", "at most 5 %", chosen / repeats, ""


@check(1000)
def compare(repeats: int, seed: int):
    "Verdicts of compare and of paired differences between equally good models"
    from the_project.evaluate.compare import compare_predictions
    from the_project.evaluate.paired import paired_difference
    for k, skewed, groups, per in ((5, False, 20, 1), *LABEL_WORLDS[1:]):
        share, called = label_world(k, skewed)
        rng, rates = np.random.default_rng([seed, k, groups]), np.zeros((2, 2))
        for _ in range(repeats):
            truth, one, group = draw_labels(rng, share, called, groups, per)
            other, upto = np.empty_like(one), called.cumsum(1)  # by families too, and alike in 60 % of them
            first = _call(rng, upto, truth[np.unique(group, return_index=True)[1]])[group]
            other = np.where((rng.random(groups) < .6)[group], one, first if per > 1 else _call(rng, upto, truth))
            a, b = (label_table(truth, said, group, k) for said in (one, other))
            found = compare_predictions(a, b, n=400)
            for i, metric in enumerate(("f1_macro", "accuracy")):
                _, _, _, low, high, luck = found.scores[metric]
                rates[0, i] += luck < .05 and (low > 0 or high < 0)
                rates[1, i] += paired_difference(b, a, metric).verdict != "no evidence"
        name = f"{k} classes{', skewed' * skewed}, {groups} groups of {per}"
        for what, row in zip(("compare", "paired"), rates / repeats):
            for metric, rate in zip(("f1_macro", "accuracy"), row): yield f"{what}, {metric}, {name}", "at most 5 %", rate, ""


@check(1000)
def slices(repeats: int, seed: int):
    "A report names a bad slice, where none is"
    from the_project.evaluate.slices import slice_scores
    rng, named = np.random.default_rng([seed, 1]), 0
    for _ in range(repeats):
        truth = rng.integers(0, 5, 200)
        said = np.where(rng.random(200) < .75, truth, (truth + 1) % 5)
        table = label_table(truth, said, np.arange(200), 5)
        facts = pd.DataFrame(dict(file=table.file, **{f"c{i}": rng.integers(0, 4, 200).astype(str) for i in range(5)}))
        named += slice_scores(table, facts, [f"c{i}" for i in range(5)], pictures=False).surely.any()
    yield "20 slices of 200 rows", "at most 5 %", named / repeats, ""



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
