"""Does it pay? Cross-validation and its vote, ensembles, soups, distillation and pseudo-labels, on real snakes.

    OMP_NUM_THREADS=1 python bench/experiments.py --data DIR --weights FILE.safetensors \\
        --out nbs/studies/experiments.json [--runs runs/experiments] [--only "crossval" ...]

DIR holds snakes_ph (with labels.csv). Rows are grouped by near-duplicates and split by us: 25 % test, of the rest a
fifth valid. Everything is chosen on valid or out of fold; test is answered by what was chosen, and each comparison on
it is paired by picture. A row that is in --out is not run again, and a training that was killed goes on where it
stopped. CPU seconds are those of the trainings and of what was done with them; milliseconds are of the `Predictor` on
one thread, the bundles taking turns.
"""
import argparse
import time
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from the_project.all import Recipe, Stage, group_duplicates, read_table, split_table
from the_project.core.env import environment
from the_project.core.files import load_tensors, read_json, write_json
from the_project.tasks.classify.calibrate import apply_temperature
from the_project.evaluate.ensemble import Snapshots, SoftVote, average_weights, greedy_soup, milliseconds
from the_project.tasks.classify.answers import rank_average, tune_weights
from the_project.evaluate.paired import Difference, align_predictions, mean_score, one_score, paired_difference
from the_project.tasks.classify.answers import average_predictions, probability_matrix
from the_project.evaluate.predictions import predict_table, read_predictions, save_predictions
from the_project.experiments.crossval import CrossVal, crossval
from the_project.experiments.distill import distill
from the_project.experiments.pseudo import pseudo_label
from the_project.runs.run import Run
from the_project.experiments.sweep import read_log, run_recipe
from the_project.page.export import export_bundle
from the_project.answer.predict import Predictor

METRICS = ("f1_macro", "accuracy", "top_3")
SEEDS = (0, 1, 2)


def scores(*tables: pd.DataFrame) -> dict:
    "Each score with its interval; several tables: the mean of so many trainings"
    return {metric: [round(v, 4) for v in mean_score(list(tables), metric)] for metric in METRICS}


def told(difference: Difference) -> dict:
    "A difference in plain JSON"
    return dict(value=round(difference.value, 4), low=round(difference.low, 4), high=round(difference.high, 4),
                verdict=difference.verdict)


def against(ours, theirs) -> dict:
    "Ours less theirs, score by score, paired by picture; several trainings a side are drawn, too"
    return {metric: told(paired_difference(ours, theirs, metric)) for metric in METRICS}


def cost(*runs: Run) -> dict:
    "What trainings took"
    logs = [read_log(run.folder) for run in runs]
    return dict(cpu_seconds=round(sum(log["cpu_seconds"] for log in logs)),
                seconds=round(sum(log["seconds"] for log in logs)), trainings=len(logs))


def predictor_ms(study: "Study", shipped: dict) -> tuple[dict[str, float], dict[str, Predictor]]:
    "Milliseconds a picture of bundles that take turns, and their predictors"
    place, files = study.runs / "bundles", study.test["file"].tolist()[:20]
    predictors = {name: Predictor(export_bundle(run, place / name.replace(" ", "-").replace(",", "")))
                  for name, run in shipped.items()}
    took = {name: [] for name in predictors}
    for _ in range(9):
        for name, predictor in predictors.items():
            took[name].append(milliseconds(lambda: [predictor.top(file) for file in files], 1) / len(files))
    return {name: round(float(np.median(values)), 2) for name, values in took.items()}, predictors


class Study:
    "The table, the recipes, and what several rows need"

    def __init__(self, data: Path, weights: str, runs: Path):
        self.runs = runs
        table = group_duplicates(read_table(data / "snakes_ph" / "labels.csv"), progress=False)
        self.table = split_table(table, valid=.15, test=.25, seed=0)
        self.test = self.table[self.table["split"] == "test"]
        base = Recipe(arch="mobilenetv1_100", weights=weights, stages=(Stage(160, 0, frozen_epochs=2),), presize=192,
                      augment="light", precision="float32", memory_format="channels_last")
        self.recipes = {"head": base, "large": base.replace(stages=(Stage(224, 0, frozen_epochs=1),), presize=224)}
        self.base = base
        self.new = base.replace(stages=(Stage(96, 4),), presize=128, linear_probe=False, lr=2e-3)  # all layers learn
        self.small = base.replace(arch="small_cnn", weights=None, stages=(Stage(96, 12),), presize=112, lr=4e-3,
                                  lr_decay=1.)

    def answers(self, name: str, answer) -> pd.DataFrame:
        "Answers that are kept, so that no row asks for them twice"
        path = self.runs / "answers" / f"{name}.csv"
        if not path.exists(): save_predictions(answer(), path)
        return read_predictions(path)

    def said(self, run: Run, tta: int = 0, model: torch.nn.Module | None = None, name: str = "") -> pd.DataFrame:
        "What a run, or its network with other weights, says of the test rows"
        def answer():
            learn = run.learner()
            if model is not None: learn.model = model
            return predict_table(learn, self.test, run.recipe, run.labels, tta)
        return self.answers(f"{name or run.name}-{tta}", answer)

    def folds(self, name: str) -> CrossVal: return crossval(self.recipes[name], self.table, 5, self.runs)

    def fold_answers(self, cv: CrossVal, tta: int = 0) -> list[pd.DataFrame]:
        "What each fold says of the test rows, with the temperature that it votes with"
        return [apply_temperature(self.said(run, tta), cv.together.fold_temperature) for run in cv.runs]

    @cached_property
    def single(self) -> Run:
        "The base on the table's own split; it starts from the probe's head, so another seed is nearly the same model"
        return run_recipe(self.base, self.table, self.runs)

    @cached_property
    def seeds(self) -> list[Run]:
        "A short training of all layers from a new head, three seeds"
        return [run_recipe(self.new.replace(seed=seed), self.table, self.runs) for seed in SEEDS]


def crossval_row(study: Study, name: str) -> dict:
    "Five folds: out-of-fold score, and on test the vote, the best fold and all folds"
    cv, row = study.folds(name), {}
    for tta in (0, 2):
        each = study.fold_answers(cv, tta)
        vote, best = average_predictions(each), each[cv.runs.index(cv.best)]
        row[f"tta_{tta}"] = dict(vote=scores(vote), best=scores(best), folds=scores(*each),
                                 vote_less_best=against(vote, best), vote_less_folds=against(vote, each))
    return cost(*cv.runs) | dict(out_of_fold=scores(cv.answers), spread=round(cv.spread, 4),
                                 fold_scores=cv.folds["score"].round(4).tolist(), **row)


def single_row(study: Study) -> dict:
    "One model on the usual split; and one on all rows but a picture a class, too few to choose by"
    known = study.table[study.table["split"] != "test"]
    watched = known[~known["group"].duplicated(keep=False) | known["group"].isna()].groupby("label").head(1).index
    nearly = study.table.assign(split=study.table["split"].where(study.table["split"] == "test", "train"))
    nearly.loc[watched, "split"] = "valid"
    whole = run_recipe(study.base, nearly, study.runs)
    cv, rows = study.folds("head"), {}
    for tta in (0, 2):
        vote, usual = average_predictions(study.fold_answers(cv, tta)), study.said(study.single, tta)
        alone = study.said(whole, tta)
        rows[f"tta_{tta}"] = dict(usual=scores(usual), whole=scores(alone), vote_less_usual=against(vote, usual),
                                  vote_less_whole=against(vote, alone), whole_less_usual=against(alone, usual))
    return cost(whole, study.single) | dict(watched=len(watched), **rows, mirror=against(
        study.said(study.single, 2), study.said(study.single)))


def ensemble_row(study: Study) -> dict:
    "Two recipes, five folds each: votes of all, weighted out of fold, and ranks, against the better recipe's vote"
    series = {name: study.folds(name) for name in study.recipes}
    own = align_predictions([apply_temperature(cv.answers, cv.together.fold_temperature) for cv in series.values()])
    weights = tune_weights(own)
    votes = [average_predictions(study.fold_answers(cv)) for cv in series.values()]
    best = int(np.argmax([one_score(table) for table in own]))
    rows = {"soft vote": (average_predictions(own), average_predictions(votes)),
            "weighted vote": (average_predictions(own, weights), average_predictions(votes, weights)),
            "rank average": (rank_average(own), rank_average(votes))}
    shipped = {f"five networks, {cv.best.recipe.last_size} px": cv.together for cv in series.values()}
    return dict(weights=dict(zip(series, np.round(weights, 3).tolist())), best=list(series)[best],
                milliseconds=predictor_ms(study, shipped)[0],
                out_of_fold={name: scores(table) for name, table in zip(series, own)},
                test={name: scores(table) for name, table in zip(series, votes)},
                rows={name: dict(out_of_fold=scores(ours), test=scores(test), gain=against(test, votes[best]))
                      for name, (ours, test) in rows.items()})


def averaged_row(study: Study) -> dict:
    "Averages of weights and snapshots: answers of several trainings, or epochs, for what one costs or little more"
    first, shown = study.seeds[0], {}
    states = [load_tensors(run.folder / "best.safetensors") for run in study.seeds]

    def with_state(state: dict) -> torch.nn.Module:
        model = first.model()
        model.load_state_dict(state)
        return model.eval()

    def on_valid(state: dict) -> float:
        learn, rows = first.learner(), first.table[first.table["split"] == "valid"]
        learn.model = with_state(state)
        return one_score(predict_table(learn, rows, first.recipe, first.labels))

    usual = [study.said(run) for run in study.seeds]
    soup, kept = greedy_soup(states, on_valid)
    shown["vote of 3 seeds"] = average_predictions(usual), 3
    shown["soup of 3 seeds"] = study.said(first, 0, with_state(average_weights(states)), "soup"), 1
    shown[f"greedy soup, {len(kept)} of 3 seeds"] = study.said(first, 0, with_state(soup), "greedy"), 1
    ema = run_recipe(study.new.replace(ema=.9), study.table, study.runs)
    shown["EMA 0.9"] = study.said(ema), 1
    recipe, folder = study.new.replace(schedule="warm_restarts", stages=(Stage(96, 6),)), study.runs / "snapshots"
    restarts = run_recipe(recipe, study.table, study.runs, cbs=[Snapshots(folder, every=2, last=3)], name="restarts")
    snaps = [with_state(state) for state in Snapshots(folder).states()]
    shown["warm restarts"] = study.said(restarts), 1
    shown["vote of 3 snapshots"] = study.said(restarts, 0, SoftVote(snaps).eval(), "snapshots"), 3
    shown["soup of 3 snapshots"] = study.said(
        restarts, 0, with_state(average_weights(Snapshots(folder).states())), "snapshot-soup"), 1
    return cost(*study.seeds, ema, restarts) | dict(rows={name: dict(test=scores(table), networks=networks,
                                                       gain=against(table, usual))
                                            for name, (table, networks) in shown.items()}, single=scores(*usual))


def distilled_row(study: Study) -> dict:
    "A small network from scratch that learns from a larger one's answers, against the same one on labels alone"
    found = distill(study.single, study.small, study.table, study.runs, seeds=len(SEEDS))
    ours, theirs = [[study.said(run) for run in side] for side in (found.taught, found.plain)]
    return cost(found.run, *found.taught, *found.plain) | dict(
        seeds=len(SEEDS), valid=found.table["score"].round(4).tolist(),
        taught=scores(*ours), plain=scores(*theirs), gain=against(ours, theirs), valid_gain=told(found.difference),
        teacher=scores(study.said(study.single)),
        milliseconds=predictor_ms(study, {"teacher": study.single, "student": found.run})[0])


def pseudo_row(study: Study) -> dict:
    "Half of the training rows lose their labels; the sure answers to them come back as labels"
    train = study.table[study.table["split"] == "train"]
    groups = train["group"].fillna(pd.Series(train.index.map("row {}".format), train.index))
    rows, before, after, judged = [], [], [], []
    for seed in SEEDS[:2]:
        names = np.random.default_rng(seed).permutation(sorted(groups.unique()))
        hidden = train.index[groups.isin(names[:len(names) // 2])]
        half = run_recipe(study.base.replace(seed=seed), study.table.drop(index=hidden).reset_index(drop=True),
                          study.runs)
        found = pseudo_label(half, train.loc[hidden].drop(columns=["label", "split"]), study.runs, threshold=.8)
        truth = train.set_index("file")["label"]
        right = (truth.loc[found.added["file"]].to_numpy() == found.added["prediction"].to_numpy()).mean()
        rows.append(dict(labelled=len(train) - len(hidden), hidden=len(hidden), added=len(found.added),
                         right=round(float(right), 4), valid=told(found.difference), used=found.best is found.after))
        before.append(half), after.append(found.after)
        judged += [run for side in found.judged.values() for run in side]
    ours, theirs = [study.said(run) for run in after], [study.said(run) for run in before]
    return cost(*before, *after, *judged) | dict(
        rows=rows, before=scores(*theirs), after=scores(*ours), gain=against(ours, theirs),
        all_labels=scores(study.said(study.single)), labels_gain=against(study.said(study.single), theirs),
        valid=told(paired_difference([run.predictions("valid") for run in after],
                                     [run.predictions("valid") for run in before])))


def cost_row(study: Study) -> dict:
    "One network against five in one bundle, and whether the bundle answers what the folds answer"
    folds = study.folds("head")
    took, predictors = predictor_ms(study, {"one network, 160 px": study.single,
                                            "five networks, 160 px": folds.together})
    asked = predictors["five networks, 160 px"].probabilities(study.test["file"].tolist()[:20])
    vote = average_predictions(study.fold_answers(folds)).iloc[:20]
    return dict(milliseconds=took, apart=float(np.abs(asked - probability_matrix(vote)).max()))


ROWS = {
    "crossval: head": lambda study: crossval_row(study, "head"),
    "single models": single_row,
    "cost": cost_row,
    "pseudo-labels": pseudo_row,
    "averaged weights": averaged_row,
    "crossval: large": lambda study: crossval_row(study, "large"),
    "ensembles": ensemble_row,
    "distillation": distilled_row,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/experiments"))
    parser.add_argument("--only", nargs="+", help="rows whose name begins with one of these")
    args = parser.parse_args()
    torch.set_num_threads(1)
    study = Study(args.data, str(Path(args.weights).absolute()), args.runs)
    for name, work in ROWS.items():
        done = read_json(args.out) if args.out.exists() else {}
        if name in done or args.only and not name.startswith(tuple(args.only)): continue
        row = work(study)
        sizes = study.table["split"].value_counts()
        row |= dict(sizes={split: int(sizes[split]) for split in ("train", "valid", "test")},
                    made_with=environment()["packages"], date=time.strftime("%Y-%m-%d"))
        write_json(args.out, (read_json(args.out) if args.out.exists() else {}) | {name: row})
        print(name, {key: value for key, value in row.items() if key not in ("made_with", "sizes")}, flush=True)


if __name__ == "__main__":
    main()
