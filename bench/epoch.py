"""A whole training epoch with MixUp, from photos on disk to weights: our recipe against a fastai Learner.

    python bench/epoch.py [--quick] [--models mobilenetv3_small_100 resnet18 convnext_atto] [--count 96] [--reps 5]

fastai: `Resize(460)`, `aug_transforms(128, min_scale=.75)`, `MixUp()`, its own optimiser. Ours: the default recipe's
input, formats chosen by the probe, MixUp. Both without validation. "First epoch" decodes and builds the cache, later
ones read it. Each arm is a process of its own, they take turns, medians count, and ratios come last. Counts are
multiples of the batch, since fastai loads the rest only to drop it.
"""
import argparse
import os
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))
from step import answer_turns, take_turns

MODELS, BATCH, FASTAI_PRESIZE = ["mobilenetv3_small_100", "resnet18", "convnext_atto"], 32, 460


def fastai_arm(files: list[Path], model: str, size: int):
    "What fastai's book would do"
    import timm
    from fastai.vision.all import (CategoryBlock, CrossEntropyLossFlat, DataBlock, ImageBlock, IndexSplitter, Learner,
                                   MixUp, Normalize, Resize, aug_transforms, imagenet_stats, noop, parent_label)
    normalised = Normalize.from_stats(*imagenet_stats, cuda=False)
    block = DataBlock((ImageBlock, CategoryBlock), get_items=lambda _: files, get_y=parent_label,
                      splitter=IndexSplitter([0]), item_tfms=Resize(FASTAI_PRESIZE),
                      batch_tfms=[*aug_transforms(size=size, min_scale=.75), normalised])
    dls = block.dataloaders("", bs=BATCH, num_workers=0, device="cpu")
    learn = Learner(dls, timm.create_model(model, num_classes=2), loss_func=CrossEntropyLossFlat(), cbs=MixUp())
    learn.remove_cbs([callback for callback in learn.cbs if callback.name == "progress"])
    learn.logger = learn._do_epoch_validate = noop
    return lambda: learn.fit(1, 1e-3), "float32, plain"


def our_arm(files: list[Path], model: str, size: int, folder: Path):
    "The recipe's own path, as `run_stages` puts it together"
    import pandas as pd
    from fastai.imports import noop
    from the_project.core.recipe import Recipe, Stage
    from the_project.data.loaders import make_loaders
    from the_project.models.optim import layer_lrs, make_schedule
    from the_project.train.learner import make_learner
    from the_project.train.mix import make_mix
    from the_project.train.phases import FollowSchedule, SeedEpochs
    from the_project.train.rehearsal import choose_precision
    recipe = Recipe(arch=model, weights=None, stages=(Stage(size, 100),), mixup=.4, lr=1e-3, batch_size=BATCH)
    table = pd.DataFrame(dict(file=[str(file) for file in files], label=[file.parent.name for file in files]))
    table["split"] = ["valid"] + ["train"] * (len(files) - 1)
    labels = sorted(set(table.label))
    dls = make_loaders(table, recipe, recipe.stages[0], labels, folder, device="cpu")
    learn = make_learner(recipe, dls, labels, folder=folder)
    learn.remove_cbs([callback for callback in learn.cbs if callback.name == "progress"])
    learn.logger = learn._do_epoch_validate = noop
    x, y = (part.repeat(BATCH, *[1] * (part.dim() - 1)) for part in dls.valid.one_batch())
    chosen = choose_precision(learn, (x, y), recipe)
    learn.precision.choose(chosen.precision, chosen.memory_format)
    learn.add_cbs([*make_mix(recipe), SeedEpochs(0)])
    learn.create_opt()
    schedule, rates = make_schedule(recipe), layer_lrs(recipe, 1e-3, len(learn.opt.param_lists))
    follow = FollowSchedule(schedule.lr_at, rates, schedule.momentum_at)
    return lambda: learn.fit(1, cbs=follow), f"{chosen.precision}, {chosen.memory_format}"


def serve(args) -> None:
    "A process that takes turns"
    import cv2
    import torch
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    files, cache = sorted((args.folder/"photos").rglob("*.jpg")), Path(tempfile.mkdtemp(dir=args.folder))
    torch.manual_seed(0)
    arm = (files, args.models[0], args.size)
    epoch, said = fastai_arm(*arm) if args.arm == "fastai" else our_arm(*arm, cache)
    cpu = time.process_time()
    epoch()
    answer_turns(epoch, dict(formats=said, first=(time.process_time() - cpu) / args.count), args.count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=MODELS, help="timm names")
    parser.add_argument("--count", type=int, default=96, help="training photos; a multiple of 32")
    parser.add_argument("--width", type=int, default=1200, help="of a photo, pixels")
    parser.add_argument("--height", type=int, default=900, help="of a photo, pixels")
    parser.add_argument("--size", type=int, default=128, help="side of a training picture, pixels")
    parser.add_argument("--reps", type=int, default=5, help="measured epochs of each arm")
    parser.add_argument("--quick", action="store_true", help="one model, one batch an epoch, three epochs")
    parser.add_argument("--arm", choices=("fastai", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.arm: return serve(args)
    if args.quick: args.models, args.count, args.reps = MODELS[:1], BATCH, 3
    if args.count % BATCH: parser.error(f"--count {args.count} must be a multiple of {BATCH}: fastai drops the rest")
    args.folder = Path(tempfile.mkdtemp(prefix="bench-epoch-"))
    try: report(args)
    finally: shutil.rmtree(args.folder, ignore_errors=True)


def report(args) -> None:
    from input import draw_photos
    draw_photos(args.folder/"photos", args.count, args.width, args.height)
    ratios = []
    for model in args.models:
        options = ["--models", model, "--count", str(args.count), "--size", str(args.size), "--folder", args.folder]
        result = take_turns(__file__, ["fastai", "ours"], list(map(str, options)), args.reps, 1)
        for arm, (cpu, wall, said) in result.items():
            print(f"{model:24} {arm:7} {cpu * 1e3:7.1f} cpu-ms {wall * 1e3:7.1f} wall-ms a picture, "
                  f"first epoch {said['first'] * 1e3:7.1f} cpu-ms  ({said['formats']})", flush=True)
        (cpu, wall, said), (our_cpu, our_wall, our_said) = (result[arm] for arm in ("fastai", "ours"))
        first = said["first"] / our_said["first"]
        ratios.append(f"{model} {cpu / our_cpu:.1f}x cpu, {wall / our_wall:.1f}x wall (first epoch {first:.1f}x)")
    print(f"{args.count} JPEGs of {args.width} x {args.height} to {args.size} px, one thread, median of {args.reps}")
    print("ratio (b)  " + "; ".join(ratios))


if __name__ == "__main__": main()
