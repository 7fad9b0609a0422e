"""A report over very many classes: seconds and memory of the text, the plots and their CSV files.

    python bench/many_classes.py [--quick] [--classes 3000] [--rows 5000]

Predictions are drawn: most rows right, wrong ones mostly near the truth. Printed: seconds and peak MB of each step,
and the largest file. It fails above 60 s of CPU or 2 GB, or with a picture of more than 4,000 pixels. --quick takes 600
classes and 1,500 rows.
"""
import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def draw_predictions(classes, rows, seed=0):
    "A predictions table of so many classes; float32 on the way, so that drawing it takes less than reporting it"
    from the_project.tasks.classify.answers import make_predictions
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, rows)
    p = rng.random((rows, classes), dtype=np.float32) ** 8 / classes
    near = np.clip(truth + rng.integers(-2, 3, rows), 0, classes - 1)
    p[np.arange(rows), near] += 1
    p[np.arange(rows), truth] += rng.random(rows) * 1.5
    p /= p.sum(1, keepdims=True)
    labels = [f"genus{i // 4:04d} species{i % 4}" for i in range(classes)]
    return make_predictions([f"pictures/{i:05d}.jpg" for i in range(rows)], truth, p, labels, np.arange(rows) // 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--classes", type=int, default=3000)
    parser.add_argument("--rows", type=int, default=5000)
    args = parser.parse_args()
    if args.quick:
        args.classes, args.rows = 600, 1500
    from the_project.tasks.classify.page import save_trust
    from the_project.tasks.classify.plots import save_plots
    from the_project.tasks.classify.page import make_report
    from the_project.evaluate.slices import slice_section

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    print(f"{args.classes} classes, {args.rows} rows; {peak():.0f} MB after the imports")
    predictions = draw_predictions(args.classes, args.rows)
    table = predictions[["file"]].assign(country=np.arange(args.rows) % 20, split="test")
    print(f"{peak():.0f} MB with the predictions")
    begin, total, done = time.process_time(), time.process_time(), {}
    with tempfile.TemporaryDirectory() as folder:
        steps = {"slices": lambda: slice_section(predictions, table),
                 "report": lambda: make_report(predictions, valid=predictions, split="test"),
                 "plots": lambda: save_plots(folder, predictions),
                 "trust": lambda: save_trust(Path(folder), predictions, 1.1, None)}
        for name, step in steps.items():
            done[name] = step()
            print(f"{name:10} {time.process_time() - begin:6.1f} s  {peak():6.0f} MB", flush=True)
            begin = time.process_time()
        largest = max(Path(folder).iterdir(), key=lambda path: path.stat().st_size)
        sides = {path.name: Image.open(path).size for path in Path(folder).glob("*.png")}
        print(f"largest file {largest.name}: {largest.stat().st_size / 2**20:.1f} MB; pictures {sides}")
    seconds, lines = time.process_time() - total, len(str(done["report"]).splitlines())
    print(f"{seconds:.1f} CPU s, {peak():.0f} MB, {lines} lines of report | right: 60 CPU s, 2048 MB, pictures below 4000 pixels")
    sys.exit(seconds > 60 or peak() > 2048 or max(max(size) for size in sides.values()) > 4000)


if __name__ == "__main__":
    main()
