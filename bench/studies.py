"""Real results: train named recipes on real photographs and score them once on rows kept aside.

    python bench/studies.py --data DIR --weights FILE.safetensors --out nbs/studies/results.json \\
        [--only snakes ...] [--scale 1.0]

DIR holds snakes_ph, monkeys, flowers, fashion_mnist, cifar10 (each with labels.csv). Each set is split by us: grouped
by near-duplicates, stratified, 15 % valid, 15 % test, seed 0 (rows "split 1", "split 2": those seeds, so other
pictures are kept aside). Selection looks at valid only; test is read once a run. Results are merged into --out row by
row, so a study can be stopped and gone on with; runs lie in --runs and resume. CPU seconds are of this process
(training, validation and the probe; decoding included), one number a row.
"""
import argparse
import os
import re
import tempfile
import time
import zipfile
from pathlib import Path

from the_project.all import Recipe, Stage, group_duplicates, read_table, split_table, train
from the_project.core.env import environment, set_seed
from the_project.core.files import read_json, write_json
from the_project.tasks.classify.scores import bootstrap
from the_project.tasks.classify.answers import make_predictions
from the_project.evaluate.predictions import predict_split
from the_project.models.heads import build_model
from the_project.models.probe import fit_probe, frozen_features
from the_project.train.begin import plain_loader
from the_project.train.stages import StageLoaders
from the_project.core.plugs import find_task
from the_project.tasks.classify.task import Classify


def recipes(weights: str) -> dict[str, tuple[str, Recipe]]:
    "name -> (data set, recipe)"
    base = Recipe(arch="mobilenetv1_100", weights=weights)
    fixed = base.replace(stages=(Stage(224, 20),), mixup=0.)
    short = fixed.replace(stages=(Stage(224, 12),))
    rising = base.replace(stages=(Stage(128, 8), Stage(192, 8), Stage(224, 10)), mixup=0.)
    small = Recipe(task=Classify(label_smoothing=.1), arch="small_cnn", weights=None, lr=4e-3, lr_decay=1.,
                   mixup=0., batch_size=64, drop=.1, presize=36)
    return {
        "snakes: linear probe": ("snakes_ph", base.replace(notes="probe")),
        "snakes: frozen, then unfrozen, the plain way": ("snakes_ph", fixed.replace(
            stages=(Stage(224, 17, frozen_epochs=3),), linear_probe=False, batch_norm="train")),
        "snakes: shorter fixed 224": ("snakes_ph", short),
        "snakes: fixed 224": ("snakes_ph", fixed),
        "snakes: progressive 128-192-224": ("snakes_ph", rising),
        "snakes: progressive 128-192-224, small crops": ("snakes_ph", rising.replace(resize_mode="crop")),
        "snakes: progressive 128-192-224, MixUp": ("snakes_ph", rising.replace(mixup=.3)),
        "snakes: progressive 128-176-224, MixUp": ("snakes_ph", base.replace(
            stages=(Stage(128, 8), Stage(176, 8), Stage(224, 16)), mixup=.3)),
        "snakes: the default recipe": ("snakes_ph", base),
        "snakes, split 1: linear probe": ("snakes_ph", base.replace(notes="probe")),
        "snakes, split 1: the default recipe": ("snakes_ph", base),
        "snakes, split 1: shorter fixed 224": ("snakes_ph", short),
        "snakes, split 2: linear probe": ("snakes_ph", base.replace(notes="probe")),
        "snakes, split 2: the default recipe": ("snakes_ph", base),
        "snakes, split 2: shorter fixed 224": ("snakes_ph", short),
        "monkeys: linear probe": ("monkeys", base.replace(notes="probe")),
        "monkeys: the default recipe": ("monkeys", base),
        "monkeys: shorter fixed 224": ("monkeys", short),
        "flowers: linear probe": ("flowers", base.replace(notes="probe")),
        "flowers: the default recipe": ("flowers", base),
        "fashion_mnist: small CNN from scratch": ("fashion_mnist", small.replace(stages=(Stage(28, 14),))),
        "cifar10: small CNN from scratch": ("cifar10", small.replace(stages=(Stage(32, 14),), mixup=.2)),
    }


def prepare(name: str, data: Path, place: Path, seed: int = 0):
    "The set's table with groups and split; a zip is unpacked into `place`"
    folder = data / name
    if (folder / "images.zip").exists() and not (place / name / "labels.csv").exists():
        (place / name).mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(folder / "images.zip") as archive: archive.extractall(place / name)
        (place / name / "labels.csv").write_bytes((folder / "labels.csv").read_bytes())
    table = read_table((place if (place / name).exists() else data) / name / "labels.csv")
    if len(table) < 5000:
        table = group_duplicates(table, progress=False)  # tiny catalogue pictures all look alike to a hash
    return split_table(table, valid=.15, test=.15, seed=seed)


def shown(scores: dict) -> dict: return {name: [round(v, 4) for v in values] for name, values in scores.items()}


def probe_row(table, recipe: Recipe, folder: Path) -> dict:
    "Scores of the linear probe alone"
    set_seed(0)
    task, begun, wall = find_task(recipe.task), time.process_time(), time.monotonic()
    labels = task.blocks(recipe).labels(table[table["split"] == "train"], recipe)
    loaders, backbone = StageLoaders(recipe, table, task, labels, folder), build_model(recipe, len(labels)).backbone
    features = {split: frozen_features(backbone, plain_loader(loaders, split), mirrored=split == "train")
                for split in ("train", "valid", "test")}
    probe = fit_probe(features["train"], features["valid"], len(labels))
    rows, (x, y) = table[table["split"] == "test"], features["test"]
    answers = make_predictions(list(rows["file"]), y.numpy(),
                               (x @ probe.weight.T + probe.bias).softmax(1).double().numpy(),
                               labels, rows["group"].to_numpy() if "group" in rows else None)
    return dict(test=shown(bootstrap(answers)), cpu_seconds=round(time.process_time() - begun),
                seconds=round(time.monotonic() - wall))


def run_row(table, recipe: Recipe, runs: Path) -> dict:
    "Train, choose on valid, read test once; then once more with its mirror image"
    begun, wall = time.process_time(), time.monotonic()
    run = train(table, recipe, runs)
    cpu, seconds = time.process_time() - begun, time.monotonic() - wall
    row = dict(valid=shown(bootstrap(predict_split(run, "valid"))), test=shown(bootstrap(predict_split(run, "test"))),
               test_tta=shown(bootstrap(predict_split(run, "test", 2))), epochs=recipe.total_epochs)
    return row | dict(cpu_seconds=round(cpu), seconds=round(seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs/studies"))
    parser.add_argument("--only", nargs="+", help="rows whose name begins with one of these")
    args = parser.parse_args()
    for name, (data, recipe) in recipes(str(Path(args.weights).absolute())).items():
        results = read_json(args.out) if args.out.exists() else {}
        if name in results or args.only and not name.startswith(tuple(args.only)): continue
        number = re.search(r"split (\d+)", name)
        table = prepare(data, args.data, args.runs / "data", int(number[1]) if number else 0)
        if recipe.notes == "probe":
            with tempfile.TemporaryDirectory() as cache: row = probe_row(table, recipe, Path(cache))  # decoding counts
        else: row = run_row(table, recipe, args.runs)
        sizes = table["split"].value_counts()
        row |= dict(rows={split: int(sizes.get(split, 0)) for split in ("train", "valid", "test")},
                    made_with=environment()["packages"],
                    date=time.strftime("%Y-%m-%d"), threads=os.environ.get("OMP_NUM_THREADS", "all"))
        results = read_json(args.out) if args.out.exists() else {}
        write_json(args.out, results | {name: row})
        print(name, row["test"], f"{row['cpu_seconds']} CPU s", flush=True)


if __name__ == "__main__":
    main()
