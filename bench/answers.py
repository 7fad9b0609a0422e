"""What the answers of a finished run are worth: calibration, promises kept, sets, roll-up, costs, strangers, and the
bundle's word for it.

    python bench/answers.py RUN --strangers NOT_SPECIES/labels.csv     # one run; its folder is copied, never changed
    python bench/answers.py --halves RUN RUN ...                       # why thresholds and sets are fitted as they are
    python bench/answers.py --sample                                   # a country given: the drawn sample, trained here

Everything is fitted on the run's valid rows and measured on its test rows, which must have been answered before.
"""
import argparse
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
DISTANCES = ("probability", "probability at T=1", "entropy", "generalised entropy", "largest logit", "energy",
             "Mahalanobis",
             "nearest training picture", "residual (shipped)")


def copied(folder, place):
    "A copy of a run to write into"
    from the_project.runs.run import Run
    leave = shutil.ignore_patterns("state.safetensors", "last.safetensors", "cache", "rules.json",
                                   "strangeness.safetensors")
    return Run(shutil.copytree(folder, Path(place) / Path(folder).name, ignore=leave))


def strangeness_scores(seen, features, logits, train, truth, temperature):
    "Every score of the comparison, higher is stranger: name -> {part: values}"
    from the_project.tasks.classify.calibrate import softmax
    scores = {name: {} for name in DISTANCES}
    means = np.stack([train[truth == c].mean(0) for c in range(truth.max() + 1)])
    spread = train - means[truth]
    covariance = spread.T @ spread / len(train)
    precision = np.linalg.inv(covariance + .1 * np.trace(covariance) / len(covariance) * np.eye(len(covariance)))
    unit = train / np.linalg.norm(train, axis=1, keepdims=True)
    for part, f in features.items():
        y = logits[part]
        p, p1 = softmax(y / temperature), softmax(y)
        near = (f / np.linalg.norm(f, axis=1, keepdims=True)) @ unit.T
        shifted = y / temperature - (y / temperature).max(1, keepdims=True)
        energy = -temperature * (np.log(np.exp(shifted).sum(1)) + (y / temperature).max(1))
        values = (1 - p.max(1), 1 - p1.max(1), -(p * np.log(p + 1e-30)).sum(1),
                  ((p + 1e-30) ** .1 * (1 - p + 1e-30) ** .1).sum(1),
                  -y.max(1), energy, np.min([(((f - m) @ precision) * (f - m)).sum(1) for m in means], axis=0),
                  -near.max(1),
                  seen.of(f))
        for name, value in zip(DISTANCES, values):
            scores[name][part] = value
    return scores


def compare_strangers(run, others):
    "AUROC and FPR at 95 % TPR of every score, known pictures being valid and test together"
    from the_project.tasks.classify.strangers import last_linear, row_features, score_strangers
    model, seen = run.model(), run.strangeness
    layer, parts = last_linear(model), {split: run.table[run.table["split"] == split]
                                        for split in ("train", "valid", "test")}
    features = {name: row_features(model, rows, run.recipe, run.labels).astype(float)
                for name, rows in (parts | others).items()}
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    logits = {name: f @ weight.T + bias for name, f in features.items()}
    truth = pd.Index(run.labels).get_indexer(parts["train"][run.recipe.target].astype(str))
    scores = strangeness_scores(seen, features, logits, features["train"], truth, run.temperature)
    threshold = run.rules["stranger"]["threshold"]
    print("\nstrangers: AUROC, and share that passes where 95 % of valid and test pass")
    for name, by_part in scores.items():
        known = np.concatenate([by_part["valid"], by_part["test"]])
        found = {other: score_strangers(known, by_part[other]) for other in others}
        print(f"  {name:26}" + "".join(f"  {other}: {row['auroc']:.3f}, {row['fpr']:.0%} pass"
                                       for other, row in found.items()))
    shipped = scores[DISTANCES[-1]]
    print(f"  at the shipped threshold: {np.mean(shipped['test'] > threshold):.1%} of test called strangers; "
          + ", ".join(f"{np.mean(shipped[other] > threshold):.0%} of {len(shipped[other])} {other}"
                      for other in others))
    for other, rows in others.items():
        if "label" in rows:
            caught = pd.Series(shipped[other] > threshold).groupby(rows["label"].to_numpy()).agg(["mean", "size"])
            print(f"  {other}: " + ", ".join(f"{name} {row['mean']:.0%} of {row['size']:.0f}"
                                             for name, row in caught.iterrows()))


def one_run(folder, others):
    "Everything about one run"
    from the_project.tasks.classify.calibrate import apply_temperature, calibration_error
    from the_project.tasks.classify.rules import answer_section, score_rules
    from the_project.page.export import export_bundle
    from the_project.answer.predict import Predictor
    with tempfile.TemporaryDirectory() as place:
        run = copied(folder, place)
        rules = run.fit_rules()
        print(f"{run.name}: temperature {run.temperature:.3f}, thresholds "
              + ", ".join(f"{rank['name']} {rank['threshold']}" for rank in rules["ranks"]))
        for split in ("valid", "test"):
            plain = run.predictions(split)
            told = apply_temperature(plain, run.temperature)
            rows = run.table[run.table["split"] == split]
            print(f"\n{split}, {len(plain)} pictures: calibration error {calibration_error(plain):.3f} as trained, "
                  f"{calibration_error(told):.3f} with the temperature")
            print("  " + "\n  ".join(answer_section(score_rules(told, rules, rows), rules).lines))
        if others:
            compare_strangers(run, others)
        bundle = export_bundle(run, Path(place) / "bundle")
        predictor, rows = Predictor(bundle), run.table[run.table["split"] == "test"]
        asked = [*rows.file, *(file for table in others.values() for file in table.file)]
        answers = list(predictor.predict_many(asked))
        told = apply_temperature(run.predictions("test"), run.temperature)
        gap = max(abs(a["probabilities"][label] - p) for a, (_, row) in zip(answers, told.iterrows())
                  for label, p in ((label, row[f"p:{label}"]) for label in run.labels))
        levels = pd.Series([a["doubt"]["level"] for a in answers])
        print(f"\nbundle, {(bundle / 'model.onnx').stat().st_size / 2**20:.2f} MB: probabilities of test within "
              f"{gap:.1e} of the run's")
        print(f"  test: {levels[:len(rows)].value_counts().to_dict()}")
        if others:
            print(f"  strangers: {levels[len(rows):].value_counts().to_dict()}")
        changed = sum(a["decision"]["changed"] for a in answers[:len(rows)] if a["decision"])
        print(f"  decision differs from the first answer in {changed} of {len(rows)} test pictures")


def halves(folders, draws=100):
    "Risk kept by three ways to choose a threshold, and sets of two methods, on random halves of valid and test"
    from scipy.stats import beta
    from the_project.tasks.classify.calibrate import apply_temperature, fit_temperature
    from the_project.tasks.classify.doubt import first_answer, fit_set, risk_coverage, score_set
    from the_project.evaluate.predictions import read_predictions
    risks, sets, rng = [], [], np.random.default_rng(0)
    for folder in folders:
        both = pd.concat([read_predictions(Path(folder) / f"predictions-{s}.csv") for s in ("valid", "test")],
                         ignore_index=True)
        for _ in range(draws):
            half = rng.random(len(both)) < .5
            told = apply_temperature(both, fit_temperature(both[half]))
            (sure, right), curve = first_answer(told), risk_coverage(*first_answer(told[half]))
            for risk in (.05, .1):
                bound = beta.ppf(.9, curve.wrong + 1, (curve.said - curve.wrong).clip(lower=1e-9))
                for rule, kept in (("plain", curve.risk <= risk),
                                   ("one mistake more", (curve.wrong + 1) / (curve.said + 1) <= risk),
                                   ("binomial bound, 90 %", bound <= risk)):
                    said = ~half & (sure >= (curve.threshold[kept].iloc[-1] if kept.any() else np.inf))
                    risks.append((risk, rule, said.sum() / (~half).sum(),
                                  1 - right[said].mean() if said.any() else np.nan))
            rest, fitted = told[~half].reset_index(drop=True), told[half]
            for name, rule in (("lac", fit_set(fitted)), ("aps", fit_set(fitted, method="raps", penalty=0.)),
                               ("raps .01, 2 free", fit_set(fitted, method="raps", penalty=.01, free=2)),
                               ("raps .1, 1 free", fit_set(fitted, method="raps"))):
                sets.append((name, *score_set(rest, rule).values()))
    table = pd.DataFrame(risks, columns=["asked", "rule", "coverage", "risk"]).groupby(["asked", "rule"])
    print(f"{len(folders) * draws} random halves of {len(folders)} runs")
    print(table.agg(coverage=("coverage", "mean"), risk=("risk", "mean"),
                    nothing=("risk", lambda r: r.isna().mean())).round(3))
    print(pd.DataFrame(sets,
                       columns=["set for 90 %", "coverage", "size", "single"]).groupby("set for 90 %").mean().round(3))


def sample():
    "A run on the drawn sample, whose animals are at home in countries: with and without a country given"
    from the_project.core.recipe import Recipe, Stage
    from the_project.core.sample import sample_strangers, sample_table
    from the_project.data.splits import split_table
    from the_project.runs.run import train
    with tempfile.TemporaryDirectory() as place:
        table = split_table(sample_table(place, n=720, plant=False), valid=.25, test=.25)
        recipe = Recipe(arch="small_cnn", weights=None, stages=(Stage(64, 8),), lr=5e-3, batch_size=32)
        run = train(table, recipe, Path(place) / "runs")
        run.measure_strangers(sample_strangers(place, n=80), "leaves, mushrooms, stones and ropes")
        run.report()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="RUN", help="folders of finished runs")
    parser.add_argument("--strangers", nargs="*", default=[], metavar="CSV",
                        help="tables with `file` of pictures of other things")
    parser.add_argument("--halves", action="store_true")
    parser.add_argument("--sample", action="store_true")
    args = parser.parse_args()
    others = {}
    for path in args.strangers:
        table = pd.read_csv(path)
        others[Path(path).parent.name] = table.assign(file=[str(Path(path).parent / file) for file in table["file"]])
    if args.halves:
        halves(args.runs)
    for folder in args.runs if not args.halves else ():
        one_run(folder, others)
    if args.sample:
        sample()
