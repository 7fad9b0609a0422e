"""One training step: ours, formats chosen by the probe, against a bare PyTorch float32 loop; and what the loop costs.

    python bench/step.py [--quick] [--models resnet18 convnext_femto mobilenetv3_small_100] [--size 128] [--reps 5]

Each arm is a process of its own (allocator settings belong to a process), they take turns, medians count, and ratios
come last. CPU seconds are the processor's time of the whole process and hardly depend on busy neighbours; wall
seconds do. "Loop" is the library's loop with a run's callbacks around a model of one layer, less the bare loop's time;
with MixUp it includes the arithmetic of mixing.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
MODELS = ["resnet18", "convnext_femto", "mobilenetv3_small_100"]
CLASSES, BATCH = 10, 32


def make_batches(size: int, count: int) -> list:
    import torch
    generator = torch.Generator().manual_seed(0)
    pictures = [torch.randn(BATCH, 3, size, size, generator=generator) for _ in range(min(count, 4))]
    made = [(x, torch.randint(0, CLASSES, (BATCH,), generator=generator)) for x in pictures]
    return [made[i % len(made)] for i in range(count)]


def bare_arm(model, batches, mix=False):
    "What anyone would write: float32, AdamW as torch gives it; MixUp in its usual three lines"
    import numpy as np
    import torch
    loss_func, optimiser = torch.nn.CrossEntropyLoss(), torch.optim.AdamW(model.parameters(), 1e-3)
    model.train()

    def mixed_loss(x, y):
        share, partner = float(np.random.beta(.4, .4)), torch.randperm(len(x))
        answer = model(torch.lerp(x[partner], x, share))
        return share * loss_func(answer, y) + (1 - share) * loss_func(answer, y[partner])

    def steps():
        for x, y in batches:
            loss = mixed_loss(x, y) if mix else loss_func(model(x), y)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
    return steps, "float32, plain"


def our_arm(model, batches, recipe, mix, memory=None):
    "The Learner of a run, with the callbacks of a run"
    from fastai.callback.core import TrainEvalCallback
    from fastai.data.core import DataLoaders
    from fastai.imports import noop
    from the_project.core.env import tune_allocator
    from the_project.models.heads import param_groups
    from the_project.models.losses import make_loss
    from the_project.models.optim import layer_lrs, make_opt_func, make_schedule
    from the_project.train.learner import Precision, QuickLearner, QuickRecorder
    from the_project.train.mix import make_mix
    from the_project.train.phases import FollowSchedule, SeedEpochs
    from the_project.train.rehearsal import choose_precision
    from the_project.train.track import History
    tune_allocator()
    folder, dls = tempfile.mkdtemp(), DataLoaders(Batches(batches), [], device="cpu")
    split = param_groups if hasattr(model, "head") and hasattr(model, "backbone") else whole
    callbacks = [TrainEvalCallback(), QuickRecorder(), History(folder), SeedEpochs(0), Precision()]  # as `make_learner`
    learn = QuickLearner(dls, model, make_loss(recipe), make_opt_func(recipe), splitter=split, train_bn=False,
                         path=folder, cbs=callbacks, default_cbs=False)
    learn.logger, said = noop, "float32, plain"
    if memory is not None:
        chosen = choose_precision(learn, batches[0], recipe, memory)
        learn.precision.choose(chosen.precision, chosen.memory_format)
        said = f"{chosen.precision}, {chosen.memory_format}"
    if mix: learn.add_cbs(make_mix(recipe.replace(mixup=.4)))
    learn.create_opt()
    schedule, rates = make_schedule(recipe), layer_lrs(recipe, 1e-3, len(learn.opt.param_lists))
    learn._do_epoch_validate = noop  # the training half alone is measured

    def steps(): learn.fit(1, cbs=FollowSchedule(schedule.lr_at, rates, schedule.momentum_at))
    return steps, said


def whole(model): return [list(model.parameters())]


class Batches(list):
    "A loader of batches that lie in memory"
    c, n_inp = CLASSES, 1


def tiny_model():
    "A model that reads every pixel once and does next to nothing with them"
    import torch

    class MeanColour(torch.nn.Module):
        def forward(self, x): return x.mean((2, 3))
    return torch.nn.Sequential(MeanColour(), torch.nn.Linear(3, CLASSES))


def serve(args) -> None:
    "A process that takes turns: a line in, the seconds of some steps out"
    import torch
    warnings.filterwarnings("ignore")
    torch.set_num_threads(args.threads)
    from the_project.core.recipe import Recipe, Stage
    batches = make_batches(args.size, args.steps)
    torch.manual_seed(0)
    tiny, name = args.models[0] == "tiny", args.models[0]
    if tiny: model = tiny_model()
    else:
        import timm
        model = timm.create_model(name, num_classes=CLASSES)
    recipe = Recipe(arch="resnet18" if tiny else name, weights=None, stages=(Stage(args.size, 1000),), lr=1e-3)
    memory = None if tiny else Path(tempfile.mkdtemp())
    if args.arm.startswith("bare"): steps, said = bare_arm(model, batches, args.arm == "bare-mix")
    else: steps, said = our_arm(model, batches, recipe, args.arm == "ours-mix", memory)
    steps()
    answer_turns(steps, dict(formats=said), args.steps)


def hear(worker) -> dict:
    "What a process said; it must not have died"
    line = worker.stdout.readline()
    if not line: raise SystemExit(f"an arm died: {' '.join(worker.args)}")
    return json.loads(line)


def take_turns(script: str, arms: list[str], options: list[str], reps: int, threads: int) -> dict:
    "A process for each arm, one working at a time: name -> (cpu, wall, what it said), medians of seconds"
    environment = os.environ | dict(OMP_NUM_THREADS=str(threads))
    workers = {arm: subprocess.Popen([sys.executable, script, "--arm", arm, *options], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True, env=environment) for arm in arms}
    said, taken = {arm: hear(worker) for arm, worker in workers.items()}, {arm: [] for arm in arms}
    for turn in range(reps):
        for arm in arms if turn % 2 else arms[::-1]:
            print("go", file=workers[arm].stdin, flush=True)
            taken[arm].append(hear(workers[arm]))
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    medians = {arm: [statistics.median(t[kind] for t in taken[arm]) for kind in ("cpu", "wall")] for arm in arms}
    return {arm: (*medians[arm], said[arm]) for arm in arms}


def answer_turns(work, said: dict, count: int) -> None:
    "Work once whenever a line comes in, and tell the seconds of one of `count` parts"
    print(json.dumps(said), flush=True)
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        print(json.dumps(dict(cpu=cpu / count, wall=wall / count)), flush=True)


def compare(arms: list[str], model: str, args, steps: int) -> dict:
    "Seconds a step of each arm"
    options = ["--models", model, "--size", str(args.size), "--threads", str(args.threads), "--steps", str(steps)]
    return take_turns(__file__, arms, options, args.reps, args.threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=MODELS, help="timm names")
    parser.add_argument("--size", type=int, default=128, help="side of a picture, pixels")
    parser.add_argument("--reps", type=int, default=5, help="turns of each arm")
    parser.add_argument("--steps", type=int, default=3, help="steps a turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one model, one step a turn, three turns")
    parser.add_argument("--arm", choices=("bare", "ours", "bare-mix", "ours-mix"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.arm: return serve(args)
    if args.quick: args.models, args.reps, args.steps = MODELS[-1:], 3, 1
    ratios = []
    for model in args.models:
        result = compare(["bare", "ours"], model, args, args.steps)
        for arm, (cpu, wall, said) in result.items():
            print(f"{model:24} {arm:5} {cpu * 1e3:8.1f} cpu-ms {wall * 1e3:8.1f} wall-ms a step  ({said['formats']})",
                  flush=True)
        (cpu, wall, _), (our_cpu, our_wall, _) = result["bare"], result["ours"]
        ratios.append(f"{model}: {cpu / our_cpu:.2f}x cpu, {wall / our_wall:.2f}x wall")
    loop = compare(["bare", "ours", "bare-mix", "ours-mix"], "tiny", args, 100 if args.quick else 300)
    cost = {arm: loop[arm][0] * 1e3 for arm in loop}
    print(f"loop over bare: {cost['ours'] - cost['bare']:.2f} cpu-ms a step; loop and MixUp of {BATCH} pictures of "
          f"{args.size} px over bare: {cost['ours-mix'] - cost['bare']:.2f}, over a bare loop with MixUp: "
          f"{cost['ours-mix'] - cost['bare-mix']:.2f}")
    print("ratio  " + "; ".join(ratios))


if __name__ == "__main__": main()
