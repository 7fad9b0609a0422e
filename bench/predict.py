"""(d) One photo, from file to top-3: the Predictor against fastai's `learn.predict`, and beside two busy neighbours
against plain PyTorch.

    python bench/predict.py [--models mobilenetv3_small_100 resnet18] [--reps 7]

Wall and CPU milliseconds a photo, medians of interleaved runs; the ratios are printed last. Photos are drawn in a
temporary folder.
"""
import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

warnings.filterwarnings("ignore")

SIZE, LABELS = 224, [f"Genus{i % 4} species{i}" for i in range(14)]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PREPROCESS = {"size": [SIZE, SIZE], "fit": "crop", "interpolation": "bilinear", "mean": list(MEAN), "std": list(STD),
              "channels": 3}


def draw_photos(folder, width, height, n):
    "JPEGs with the spectrum of photographs (1/f), some edges and sensor noise; n files in two class folders"
    rng, files = np.random.default_rng(width), []
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1
    for i in range(n):
        planes = []
        for _ in range(3):
            plane = np.fft.irfft2(np.exp(2j * np.pi * rng.random(frequency.shape)) / frequency, s=(height, width))
            planes.append(plane / plane.std())
        grey = planes[0] + 0.8 * np.sign(planes[1]) * (abs(planes[1]) > 0.7)
        pixels = np.stack([grey, grey + 0.4 * planes[2], grey - 0.4 * planes[2]], -1) * 32 + 120
        pixels += rng.normal(0, 2, (height, width, 1))
        file = Path(folder) / f"class{i % 2}" / f"{width}-{i}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, quality=90)
        files.append(str(file))
    return files


def make_model(name):
    "A timm model with random weights, always the same"
    import timm
    import torch

    torch.manual_seed(0)
    return timm.create_model(name, num_classes=len(LABELS)).eval()


def make_bundle(name, folder):
    "The same model as a bundle"
    from the_project.core.plugs import find_task
    from the_project.core.recipe import Recipe, Stage
    from the_project.page.export import export_bundle

    model = make_model(name)
    run = SimpleNamespace(model=lambda: model, labels=LABELS, preprocess=PREPROCESS, temperature=1.0,
                          recipe=Recipe(arch=name, weights=None, stages=(Stage(SIZE, 1),)),
                          task=find_task("classify"))
    return export_bundle(run, folder)


def make_learner(name, photos):
    "The same model in plain fastai: Resize, aug_transforms, Normalize"
    from fastai.vision.all import (CategoryBlock, CrossEntropyLossFlat, DataBlock, ImageBlock, Learner, Normalize,
                                   RandomSplitter, Resize, aug_transforms, get_image_files, parent_label)

    block = DataBlock((ImageBlock, CategoryBlock(vocab=["class0", "class1", *LABELS[2:]])), get_items=get_image_files,
                      get_y=parent_label, splitter=RandomSplitter(0.25, seed=0), item_tfms=Resize(460),
                      batch_tfms=[*aug_transforms(size=SIZE, min_scale=0.75), Normalize.from_stats(MEAN, STD)])
    dls = block.dataloaders(photos, bs=2, num_workers=0)
    return Learner(dls, make_model(name), loss_func=CrossEntropyLossFlat())


def interleave(functions, photos, reps):
    "name -> median (wall, cpu) milliseconds a photo; the order turns with each repetition"
    rows = {name: [] for name in functions}
    for function in functions.values():
        function(photos[0])
    for rep in range(reps):
        for name in (list(functions), list(functions)[::-1])[rep % 2]:
            wall, cpu = time.perf_counter(), time.process_time()
            for photo in photos:
                functions[name](photo)
            spent = time.perf_counter() - wall, time.process_time() - cpu
            rows[name].append([seconds / len(photos) * 1e3 for seconds in spent])
    return {name: tuple(statistics.median(column) for column in zip(*row)) for name, row in rows.items()}


def alone(name, bundle, folder, photos, reps):
    "Predictor (one thread, its default, and two) against learn.predict (PyTorch's default threads, and one)"
    import torch
    from the_project.answer.predict import Predictor

    learn, default = make_learner(name, folder), torch.get_num_threads()

    def fastai_top(photo):
        with learn.no_bar():
            probabilities = learn.predict(photo)[2]
        return probabilities.topk(3)

    def on_one_thread(photo):
        torch.set_num_threads(1)
        answer = fastai_top(photo)
        torch.set_num_threads(default)
        return answer

    functions = {"learn.predict": fastai_top, "learn.predict, 1 thread": on_one_thread,
                 "Predictor": Predictor(bundle).top,
                 "Predictor, 2 threads": Predictor(bundle, threads=2).top}
    return interleave(functions, photos, reps)


def torch_top(name):
    "Plain PyTorch with its default threads: Pillow's full decode and resize, model, softmax, topk"
    import torch

    model, mean, std = make_model(name), torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]

    @torch.inference_mode()
    def answer(photo):
        picture = Image.open(photo).convert("RGB")
        w, h = picture.size
        side = min(w, h)
        box = ((w - side) / 2, (h - side) / 2, (w + side) / 2, (h + side) / 2)
        pixels = np.array(picture.resize((SIZE, SIZE), Image.BILINEAR, box=box))
        x = (torch.from_numpy(pixels).permute(2, 0, 1).float() / 255 - mean) / std
        return model(x[None]).softmax(1).topk(3)

    return answer


def worker(kind, name, bundle, photos):
    "A process of its own: for each line on stdin it answers all photos and prints their milliseconds"
    from the_project.answer.predict import Predictor

    answer = torch_top(name) if kind == "torch" else Predictor(bundle).top
    answer(photos[0])
    print("ready", flush=True)
    for _ in sys.stdin:
        times = []
        for photo in photos:
            start = time.perf_counter()
            answer(photo)
            times.append((time.perf_counter() - start) * 1e3)
        print(json.dumps(times), flush=True)


def beside_neighbours(name, bundle, photos, reps):
    "Median and slowest milliseconds a photo while two processes keep the processors busy"
    def start(kind):
        command = [sys.executable, __file__, "--worker", kind, name, str(bundle), *photos]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   text=True)
        assert process.stdout.readline() == "ready\n", f"the {kind} process did not start"
        return process

    workers, times = {kind: start(kind) for kind in ("torch", "Predictor")}, {"torch": [], "Predictor": []}
    neighbours = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        time.sleep(1)
        for rep in range(reps):
            for kind in (list(workers), list(workers)[::-1])[rep % 2]:
                workers[kind].stdin.write("go\n")
                workers[kind].stdin.flush()
                times[kind] += json.loads(workers[kind].stdout.readline())
    finally:
        for process in (*neighbours, *workers.values()):
            process.kill()
            process.wait()
    return {kind: (statistics.median(values), max(values)) for kind, values in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["mobilenetv3_small_100", "resnet18"])
    parser.add_argument("--reps", type=int, default=7)
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        kind, name, bundle, *photos = args.worker
        return worker(kind, name, bundle, photos)
    last = []
    with tempfile.TemporaryDirectory() as folder:
        photos = {size: draw_photos(Path(folder) / f"photos{size[0]}", *size, 4)
                  for size in ((1200, 900), (3000, 2000))}
        for name in args.models:
            with contextlib.redirect_stdout(io.StringIO()):
                bundle = make_bundle(name, Path(folder) / name)
            for size, files in photos.items():
                found = alone(name, bundle, Path(files[0]).parents[1], files, args.reps)
                for who, (wall, cpu) in found.items():
                    print(f"{name:24s} {size[0]} x {size[1]:<5d} {who:23s} wall {wall:8.2f} ms   cpu {cpu:8.2f} ms")
                wall, cpu = found["Predictor"]
                for who in ("learn.predict", "learn.predict, 1 thread"):
                    last.append(f"{name:24s} {size[0]} x {size[1]:<5d} Predictor over {who:23s}: "
                                f"{found[who][0] / wall:5.1f}x "
                                f"wall, {found[who][1] / cpu:5.1f}x cpu (aim 4x)")
            found = beside_neighbours(name, bundle, photos[1200, 900], args.reps)
            for who, (median, slowest) in found.items():
                print(f"{name:24s} two busy neighbours {who:10s} median {median:8.2f} ms   slowest {slowest:8.2f} ms")
            ratio = found["torch"][0] / found["Predictor"][0]
            last.append(f"{name:24s} beside two busy neighbours, Predictor over plain torch: {ratio:.1f}x median "
                        "(aim 15x)")
    print("\n".join(last))


if __name__ == "__main__":
    main()
