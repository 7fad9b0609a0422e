"""Getting pictures into a model: our loader against plain fastai, on photos that this script draws.

    python bench/input.py                  64 JPEGs of 3000 x 2000 to 224 pixels, two minutes on a quiet core
    python bench/input.py --count 32 --width 1200 --height 900 --repeats 3

Plain fastai is `Resize(460)` and `aug_transforms(size=224, min_scale=.75)`, normalised. Ours is the default recipe's
input, once with its own presize (1.5 times the size) and once with fastai's. "First epoch" starts with an empty cache
and builds it; "every later epoch" reads it; "no cache" is `cache=False`. One thread, no workers, batches of 32, and a
count that is a multiple of 32, since fastai loads the rest only to drop it. All ways run in turn, in alternating order;
a figure is the median of `--repeats` runs. On a machine that does other things too, compare the CPU columns.
"""
import argparse
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
warnings.filterwarnings("ignore")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np
import pandas as pd
import torch

FASTAI_PRESIZE = 460


def noise_field(rng, side, power):
    "Noise whose amplitude falls as frequency ** -power, deviation 1; photographs have about 1.2"
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1
    phases = np.exp(2j * np.pi * rng.random(frequency.shape, dtype=np.float32))
    field = np.fft.irfft2(phases / frequency ** power, s=(side, side)).astype(np.float32)
    return field / field.std()


def cut(rng, field, height, width):
    "A window of the field, at a random place, perhaps mirrored"
    y, x = rng.integers(0, len(field) - height + 1), rng.integers(0, len(field) - width + 1)
    window = field[y:y + height, x:x + width]
    return window[:, ::-1] if rng.random() < .5 else window


def draw_photo(rng, fields, height, width):
    "Coloured light and shapes with soft edges, under fine texture and a sensor's noise"
    rough, smooth, grain = fields
    h, w = height // 4, width // 4
    picture = np.stack([cut(rng, smooth, h, w)] * 3, -1) * 45 + 110
    picture += np.stack([cut(rng, smooth, h, w) for _ in range(3)], -1) * 20
    for _ in range(14):
        centre, axes = (int(rng.integers(w)), int(rng.integers(h))), [int(n) for n in rng.integers(h // 20, h // 4, 2)]
        colour, turn = rng.uniform(20, 235, 3).tolist(), float(rng.uniform(0, 180))
        cv2.ellipse(picture, centre, axes, turn, 0, 360, colour, -1, cv2.LINE_AA)
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC)
    picture *= 1 + .12 * cut(rng, rough, height, width)[..., None]
    picture += 2.5 * cut(rng, grain, height, width)[..., None]
    return np.clip(picture, 0, 255).astype(np.uint8)


def draw_photos(folder, count, width, height):
    "Write `count` JPEGs into two class folders; the mean number of bits a pixel"
    rng = np.random.default_rng(0)
    side = 1 << (max(width, height) - 1).bit_length()
    grain = rng.standard_normal((side, side), dtype=np.float32)
    fields = noise_field(rng, side, 1.), noise_field(rng, side, 1.5), grain
    size = 0
    for i in range(count + 1):
        path = folder / f"class_{i % 2}" / f"{i:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), draw_photo(rng, fields, height, width), [cv2.IMWRITE_JPEG_QUALITY, 90])
        size += path.stat().st_size
    return 8 * size / (count + 1) / width / height






def fastai_epoch(files, size, batch):
    "One epoch of plain fastai; the first file is the validation set it insists on"
    from fastai.vision.all import (CategoryBlock, DataBlock, ImageBlock, IndexSplitter, Normalize, Resize,
                                   aug_transforms, imagenet_stats, parent_label)
    normalised = Normalize.from_stats(*imagenet_stats, cuda=False)
    block = DataBlock((ImageBlock, CategoryBlock), get_items=lambda _: files, get_y=parent_label,
                      splitter=IndexSplitter([0]), item_tfms=Resize(FASTAI_PRESIZE),
                      batch_tfms=[*aug_transforms(size=size, min_scale=.75), normalised])
    loader = block.dataloaders("", bs=batch, num_workers=0, device="cpu").train
    return lambda: [x.shape for x, _ in loader]


def our_loader(files, size, batch, presize, cache):
    "A training loader of the default recipe"
    from the_project.core.recipe import Recipe, Stage
    from the_project.data.loaders import make_loader
    table = pd.DataFrame(dict(file=[str(file) for file in files], label=[file.parent.name for file in files]))
    recipe = Recipe(stages=(Stage(size, 1),), presize=presize, batch_size=batch)
    labels = sorted(set(table.label))
    return make_loader(table, recipe, labels, size, train=True,
                       folder=cache, device="cpu")


def our_epochs(files, size, batch, presize, folder):
    "Three ways to run our loader: from an empty cache, from a full one, without"
    full = our_loader(files, size, batch, presize, folder / f"cache-{presize}")
    without = our_loader(files, size, batch, presize, None)

    def first():
        loader = our_loader(files, size, batch, presize, tempfile.mkdtemp(dir=folder))
        return [x.shape for x, _ in loader]

    return first, lambda: [x.shape for x, _ in full], lambda: [x.shape for x, _ in without]


def cpu_seconds():
    "Of this process and its children, user and system"
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def measure(ways, repeats, times):
    "Median CPU and wall seconds of each way; all ways in turn, in alternating order, after one warm run"
    taken = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name in (list(ways) if repeat % 2 else list(ways)[::-1]):
            n, cpu, wall = times.get(name, 1), cpu_seconds(), time.perf_counter()
            for _ in range(n): ways[name]()
            if repeat: taken[name].append(((cpu_seconds() - cpu) / n, (time.perf_counter() - wall) / n))
    return {name: tuple(statistics.median(column) for column in zip(*runs)) for name, runs in taken.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=64, help="pictures; a multiple of --batch (default 64)")
    parser.add_argument("--width", type=int, default=3000, help="pixels (default 3000)")
    parser.add_argument("--height", type=int, default=2000, help="pixels (default 2000)")
    parser.add_argument("--size", type=int, default=224, help="side of the training picture (default 224)")
    parser.add_argument("--batch", type=int, default=32, help="pictures a batch (default 32)")
    parser.add_argument("--repeats", type=int, default=5, help="measured runs of each way (default 5)")
    args = parser.parse_args()
    if args.count % args.batch or args.count < args.batch:
        parser.error(f"--count {args.count} must be a multiple of --batch {args.batch}: fastai drops the rest")
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    folder = Path(tempfile.mkdtemp(prefix="bench-input-"))
    try: report(args, folder)
    finally: shutil.rmtree(folder, ignore_errors=True)


def report(args, folder):
    bits = draw_photos(folder / "photos", args.count, args.width, args.height)
    files = sorted((folder / "photos").rglob("*.jpg"))
    ways, times, rule = {"plain fastai": fastai_epoch(files, args.size, args.batch)}, {}, round(1.5 * args.size)
    for presize in (rule, FASTAI_PRESIZE):
        names = [f"ours, presize {presize}: {what}" for what in ("first epoch", "every later epoch", "no cache")]
        ways |= dict(zip(names, our_epochs(files[1:], args.size, args.batch, presize, folder)))
        times[names[1]] = 10
    for name, way in ways.items():
        expected = [(args.batch, 3, args.size, args.size)] * (args.count // args.batch)
        if [tuple(shape) for shape in way()] != expected: raise RuntimeError(f"{name}: not the batches {expected}")
    found = measure(ways, args.repeats, times)
    cpu, wall = found["plain fastai"]
    print(f"{args.count} JPEGs of {args.width} x {args.height} ({bits:.1f} bits a pixel) to {args.size} px, "
          f"1 thread, no workers, median of {args.repeats}")
    print(f"{'':38s} {'CPU ms a picture':>17s} {'ratio':>7s} {'wall ms':>9s} {'ratio':>7s}")
    for name, (c, w) in found.items():
        print(f"{name:38s} {c / args.count * 1e3:17.2f} {cpu / c:6.1f}x {w / args.count * 1e3:9.2f} {wall / w:6.1f}x")
    ratios = {what: [cpu / found[f"ours, presize {presize}: {what}"][0] for presize in (rule, FASTAI_PRESIZE)]
              for what in ("every later epoch", "first epoch", "no cache")}
    print(f"at fastai's presize of {FASTAI_PRESIZE}: " + ", ".join(f"{what} {r[1]:.1f}x" for what, r in ratios.items()))
    print("ratio (a), CPU seconds: " + ", ".join(f"{what} {r[0]:.1f}x" for what, r in ratios.items()))


if __name__ == "__main__": main()
