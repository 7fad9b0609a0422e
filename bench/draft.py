"""How near a reduced JPEG decode comes to a full one, on photographs of your own.

    python bench/draft.py --photos DIR [--sides 64 96 128 160 224]

For every JPEG below DIR and every side that lets it be decoded smaller: peak signal to noise of the prepared picture
(serving) and of the presized one (training) against the same after a full decode, in dB. Median, worst and how many
count. Timings are in bench/input.py.
"""
import argparse
from pathlib import Path

import numpy as np

from the_project.data.image import TRAINING_DRAFT, open_image, presize
from the_project.answer.picture import DRAFT_FACTOR, open_picture
from the_project.answer.prepare import prepare_uint8


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    "Peak signal to noise, dB; infinite where nothing differs"
    error = np.square(a.astype(float) - b.astype(float)).mean()
    return float("inf") if error == 0 else 10 * np.log10(255 ** 2 / error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", required=True, type=Path)
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 96, 128, 160, 224])
    args = parser.parse_args()
    files = sorted(f for f in args.photos.rglob("*") if f.suffix.lower() in (".jpg", ".jpeg"))
    found = dict(serving=[], training=[])
    for file in files:
        whole = open_picture(file)
        for side in args.sides:
            settings = dict(size=[side, side], fit="crop", interpolation="bilinear", mean=[0, 0, 0], std=[1, 1, 1],
                            channels=3)
            reduced = open_picture(file, side)
            if reduced.size != whole.size:
                found["serving"].append(psnr(prepare_uint8(reduced, settings), prepare_uint8(whole, settings)))
            ours, full = open_image(file, side), presize(np.asarray(whole), side)
            if ours.shape == full.shape and (value := psnr(ours, full)) < 90: found["training"].append(value)
    for name, factor in (("serving", DRAFT_FACTOR), ("training", TRAINING_DRAFT)):
        values = found[name]
        if values:
            print(f"{name} (keeps {factor} times the side): median {np.median(values):.1f} dB, worst "
                  f"{min(values):.1f}, {len(values)} of "
                         f"{len(files) * len(args.sides)} decoded smaller")
        else: print(f"{name}: no picture here is large enough to be decoded smaller")


if __name__ == "__main__":
    main()
