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
    from the_project.tasks.classify.answers import make_predictions
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
    from the_project.tasks.classify.scores import _by_class, _macro_interval  # what label_scores calls
    from the_project.evaluate.intervals import jackknife_mean  # what label_scores calls
    for k, skewed, groups, per in LABEL_WORLDS:
        share, called = label_world(k, skewed)
        joint = share[:, None] * called
        f1 = (2 * joint.diagonal() / (joint.sum(0) + joint.sum(1))).mean()
        rng = np.random.default_rng([seed, k, groups])
        drawn = [draw_labels(rng, share, called, groups, per) for _ in range(repeats)]
        name = f"{k} classes{', skewed' * skewed}, {groups} groups of {per}"
        macro = [_macro_interval(_by_class(truth, said, group, k), groups) for truth, said, group in drawn]
        right = [jackknife_mean(truth == said, group) for truth, said, group in drawn]
        yield f"f1_macro, {name}", "at least 95 %", *held(macro, f1)
        yield f"accuracy, {name}", "at least 95 %", *held(right, joint.diagonal().sum())


@check(2000)
def shares(repeats: int, seed: int):
    "95 % intervals of shares of right answers (top-k, slices, coverage)"
    from the_project.evaluate.intervals import jackknife_mean
    for n in (10, 20, 50, 155):
        for p in (.5, .8, .95):
            rng = np.random.default_rng([seed, n, int(100 * p)])
            yield f"{p:.0%} right, {n} rows", "at least 95 %", *held(
                [jackknife_mean(rng.random(n) < p) for _ in range(repeats)], p)


@check(2000)
def number(repeats: int, seed: int):
    "95 % intervals of MAE, RMSE and R2"
    from the_project.evaluate.intervals import jackknife_sums
    from the_project.tasks.regress.scores import scores_of_gaps
    for n in (20, 50, 155):
        for tail, draw, mae, rmse in (("normal", lambda r: r.normal(size=n), (2 / np.pi) ** .5, 1.),
                                      ("heavy-tailed", lambda r: r.standard_t(4, size=n), 1., 2 ** .5)):
            rng, rows = np.random.default_rng([seed, n, len(tail)]), []
            for _ in range(repeats):
                gap, truth = draw(rng), 2 * rng.normal(size=n)
                sums = np.stack([np.ones(n), abs(gap), gap**2, truth, truth**2], 1)
                rows.append(jackknife_sums(sums, scores_of_gaps, None,
                                           dict(mae="amount", rmse="amount", r2="explained")))
            for name, truth in dict(mae=mae, rmse=rmse, r2=1 - rmse**2 / 4).items():
                yield f"{name}, {tail} errors, {n} rows", "at least 95 %", *held([row[name] for row in rows], truth)


@check(2000)
def mask(repeats: int, seed: int):
    "95 % intervals of IoU over groups whose areas differ a lot"
    from the_project.evaluate.intervals import jackknife_sums
    ratio = lambda sums: dict(iou=sums[:, 0] / sums[:, 1])
    for n in (10, 20, 50, 155):
        rng, rows = np.random.default_rng([seed, n]), []
        for _ in range(repeats):
            area = rng.lognormal(0, 1, n)
            rows.append(jackknife_sums(np.stack([area * rng.beta(6, 2, n), area], 1), ratio, None, "ratio")["iou"])
        yield f"{n} groups", "at least 95 %", *held(rows, .75)


@check(2000)
def auroc(repeats: int, seed: int):
    "95 % intervals of the AUROC of out-of-distribution pictures"
    from scipy.stats import norm
    from the_project.tasks.classify.strangers import score_strangers
    for known, strange in ((20, 20), (155, 20), (155, 80)):
        for apart in (1., 2.5):
            rng = np.random.default_rng([seed, known, strange, round(10 * apart)])
            spans = [(0., *score_strangers(rng.normal(size=known), rng.normal(apart, 1, strange))["span"])
                     for _ in range(repeats)]
            truth = norm.cdf(apart / 2**.5)
            yield f"{truth:.2f}, {known} known, {strange} others", "at least 95 %", *held(spans, truth)


@check(500)
def per_class(repeats: int, seed: int):
    "95 % intervals of the F1 of each class, mean over 14 classes"
    from the_project.tasks.classify.scores import _by_class, _class_interval  # what per_class calls
    share, called = label_world(14, False)
    joint = share[:, None] * called
    f1 = 2 * joint.diagonal() / (joint.sum(0) + joint.sum(1))
    for rows in (5, 10, 20):
        for per in (1, 4):
            rng, found, wide = np.random.default_rng([seed, rows, per]), [], []
            for _ in range(repeats):
                classes = _by_class(*draw_labels(rng, share, called, 14 * rows // per, per), 14)
                low, high = _class_interval(classes)
                found += ((low <= f1) & (f1 <= high))[classes.shown > 1].tolist()
                wide += (high - low)[classes.shown > 1].tolist()
            yield f"{rows} pictures a class, groups of {per}", "at least 95 %", np.mean(found), f"mean width {np.mean(wide):.3f}"


def skilled_rows(rng: np.random.Generator, n: int, skill: float, k: int = 14) -> pd.DataFrame:
    "Answers of a model that is sure of some pictures and not of others; four species a genus"
    from the_project.tasks.classify.answers import make_predictions
    y, genus, z = rng.integers(0, k, n), np.arange(k) // 4, rng.normal(size=(n, k))
    z[np.arange(n), y] += rng.uniform(0, 2 * skill, n)
    p = np.exp(1.2 * (z + .8 * (genus[y][:, None] == genus)))
    labels = [f"g{i // 4} s{i:02d}" for i in range(k)]
    return make_predictions([str(i) for i in range(n)], y, p / p.sum(1, keepdims=True), labels)


@check(2000)
def risk(repeats: int, seed: int):
    "Fits whose answers are wrong more often than the 5 % promised with 90 % confidence (temperature fitted too)"
    from the_project.tasks.classify.calibrate import apply_temperature, fit_temperature, softmax, table_logits
    from the_project.tasks.classify.answers import label_codes
    from the_project.tasks.classify.rules import fit_ranks
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
                yield (f"skill {skill}{', with genus' * bool(ranks)}, {n} validation rows", "at most 10 %",
                       broken / repeats,
                       f"says {np.mean(said):.0%}, silent in {np.mean(np.equal(said, 0)):.0%}")


@check(2000)
def stranger(repeats: int, seed: int):
    "Known pictures called out-of-distribution (directions fitted on 200 training rows, threshold on n others)"
    from the_project.tasks.classify.strangers import fit_stranger, fit_strangeness
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
    from the_project.tasks.classify.doubt import fit_set, score_set
    from the_project.tasks.regress.scores import fit_margin
    fresh = skilled_rows(np.random.default_rng([seed, 99]), 2000, 2.5)
    scale = dict(names=["price"], log=False, mean=[0.], std=[1.], coverage=.9)
    for n in (9, 20, 100):
        rng, kept = np.random.default_rng([seed, n]), {"sets, lac": [], "sets, raps": [], "numbers": []}
        for _ in range(repeats):
            valid, gap = skilled_rows(rng, n, 2.5), rng.standard_t(4, n)
            for method in ("lac", "raps"):
                kept[f"sets, {method}"].append(score_set(fresh, fit_set(valid, .9, method))["coverage"])
            table = pd.DataFrame(dict(truth=gap, prediction=0., spread=1.))
            kept["numbers"].append((abs(rng.standard_t(4, 500)) <= fit_margin(table, scale)[0]).mean())
        for name, values in kept.items():
            yield f"{name}, {n} validation rows", "at least 90 %, mean", np.mean(values), ""


@check(1000)
def priors(repeats: int, seed: int):
    "A column that knows nothing about the label is used"
    from the_project.tasks.classify.answers import make_predictions
    from the_project.tasks.classify.priors import fit_priors
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
    from the_project.tasks.segment.scores import _gain
    from the_project.evaluate.intervals import jackknife_sums
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
            for metric, rate in zip(("f1_macro", "accuracy"), row):
                yield f"{what}, {metric}, {name}", "at most 5 %", rate, ""


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




# ---------------------------------------------------------------- verdicts on recipes

def draw_trainings(rng: np.random.Generator, recipes: list[tuple[int, float]], rows: int = 120,
                   luck: float = .02) -> list:
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


def _verdicts(repeats: int, seed: int, name: str, ask: Callable, gains: tuple = (0., .1),
              lucks: tuple = (0., .02, .05)):
    "`ask(rng, gain, luck)` says whether anything was called a help or a harm; rows of false verdicts, then of found gains"
    for gain in gains:
        for luck in lucks:
            rng = np.random.default_rng([seed, round(1000 * luck), round(1000 * gain)])
            n = repeats if not gain else max(repeats // 5, 20)
            rate = np.mean([ask(rng, gain, luck) for _ in range(n)])
            world = f"{name}, a training's luck {100 * luck:g} points"
            if gain: yield f"{world}, gain {100 * gain:g} points", "power", rate, f"{n} repeats"
            else: yield world, "at most 5 %", rate, ""


def _told(differences, wanted: tuple = ("helped", "hurt")) -> bool:
    return any(each.verdict in wanted for each in differences)


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
        cells = [[pd.concat([fold[side][at].assign(file=f"{i}-" + fold[side][at].file,
                                                   group=f"{i}-" + fold[side][at].group)
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
        rate = np.mean([paired_difference(a, b, "accuracy").verdict != "no evidence" for a, b in pairs])
        yield f"a training's luck {100 * luck:g} points", "no promise", rate, ""


@check(1000)
def offsets(repeats: int, seed: int):
    "Offsets chosen though the classes are exchangeable, and how often they win on valid as a run with offsets is scored"
    from the_project.tasks.classify.offsets import fit_offsets, offsets_left_out
    from the_project.evaluate.paired import paired_difference
    from the_project.tasks.classify.answers import make_predictions
    for lean in (0., 1.):
        rng, chosen, wins = np.random.default_rng([seed, round(lean)]), [], []
        n = repeats if not lean else max(repeats // 5, 20)
        for at in range(n):
            truth = rng.integers(0, 5, 120) if not lean else np.minimum(rng.geometric(.5, 120) - 1, 4)
            z = rng.normal(size=(120, 5)) + 1.5 * np.eye(5)[truth] + lean * 2 * np.log(.5) * np.arange(5)
            p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
            table = make_predictions([str(i) for i in range(120)], truth, p, list("abcde"))
            chosen.append(fit_offsets(table).way != "none")
            if at < n // 10: wins.append(_told([paired_difference(offsets_left_out(table), table)], ("helped",)))
        promised = "power" if lean else "at most 5 %"
        world = "a model that leans to common classes" if lean else "exchangeable classes"
        yield world, promised, np.mean(chosen), f"{n} repeats; on rows left out called a help in {np.mean(wins):.1%} of {len(wins)}"


@check(500)
def search_optimism(repeats: int, seed: int):
    "The best of twenty trials, equal or not: how far its score is above what its own weights are worth, and whether the interval of `search.score` holds that"
    from the_project.evaluate.verdict import without_luck
    at = np.linspace(-5, 5, 401)
    weight = np.exp(-at**2 / 2) / np.exp(-at**2 / 2).sum()  # of pictures' difficulty, in standard deviations
    for rows, spread in ((60, 0.), (240, 0.), (60, .05), (240, .05)):
        rng, raw, mended, held = np.random.default_rng([seed, rows, round(100 * spread)]), [], [], []
        for _ in range(repeats):
            truth, hard, group = rng.integers(0, 4, rows), rng.normal(0, .2, rows), np.arange(rows) // 2
            skill = .65 + np.hypot(.02, spread) * rng.normal(size=20)
            right = rng.random((20, rows)) < np.clip(skill[:, None] + hard + rng.normal(0, .1, (20, rows)), 0, 1)
            tables = [label_table(truth, np.where(hit, truth, (truth + 1) % 4), group, 4) for hit in right]
            value, low, high = without_luck(tables, "accuracy", n=200)
            best = right.mean(1).argmax()
            worth = (np.clip(skill[best] + np.hypot(.2, .1) * at, 0, 1) * weight).sum()
            raw.append(right[best].mean() - worth)
            mended.append(value - worth)
            held.append(low <= worth <= high)
        yield (f"{rows} pictures, trials {'of one skill' if not spread else '5 points apart'}", "at least 95 %",
               np.mean(held),
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
            table = pd.DataFrame(dict(file=[f"/f/{i}.jpg" for i in range(120)], label=[f"l{i}" for i in label],
                                      film=scene))
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
            cells = draw_trainings(rng, [(1, step * np.log2(4 * share) - step) for share in (.25, .5, .75, 1.)], 240,
                                   .02)
            curve = fit_curve([cell[0] for cell in cells], [100, 200, 300, 400], [.25, .5, .75, 1.], "accuracy", n=300)
            told.append(str(curve).startswith("more pictures would help"))
        yield ("a score that rises" if step else "a flat score", "power" if step else "at most 5 %", np.mean(told),
               f"{n} repeats")


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
            print(f"  {rate.world:46} {rate.promised:16} {rate.measured:6.1%} ±{rate.error:.1%}  {rate.more}",
                  flush=True)
    if args.out: keep_rates(args.out, kept)


def keep_rates(path: Path, found: dict[str, list[Rate]]) -> None:
    "Write the rates beside those of other checks"
    from the_project.core.files import read_json
    before = read_json(path) if path.exists() else {}
    write_json(path, plain(before | {name: [asdict(rate) for rate in rates] for name, rates in found.items()}))


if __name__ == "__main__": main()
