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
