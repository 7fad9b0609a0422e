"""The audit's cost: pictures a second, stage by stage, against imagededup and cleanvision; memory; what 100,000
pictures would take.

    python bench/audit.py                                   1,000 drawn photos by hand-made features, a few minutes
    python bench/audit.py --count 10000 --weights FILE.safetensors
    python bench/audit.py --peers DIR                       DIR: pip install --no-deps --target DIR cleanvision
                                                            imagededup ImageHash tabulate

Photos are windows of noise with the spectrum of photographs, 320 x 240, JPEG; one in twenty is a mirrored, cropped or
darkened copy. CPU seconds of this process and its children: they hardly depend on busy neighbours. Ours decodes,
verifies, hashes, embeds, measures and compares; imagededup (PHash, brute force) finds unchanged copies only;
cleanvision measures light, size and exact or near copies by hash. Looking grows with the number of pictures; the
search is measured at a half and at all of `--count`, and goes on with that exponent.
"""
import argparse
import os
import resource
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance, ImageOps

WAYS = (ImageOps.mirror, lambda p: p.crop((30, 20, 290, 215)), lambda p: ImageEnhance.Brightness(p).enhance(.6))


def draw(folder: Path, count: int, seed: int = 0) -> tuple[list[str], set]:
    "Photos, and the pairs that are copies"
    rng, side = np.random.default_rng(seed), 1024
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1
    fields = [np.fft.irfft2(np.exp(2j * np.pi * rng.random(frequency.shape)) / frequency**1.2, s=(side, side))
              for _ in range(6)]
    fields = [field / field.std() for field in fields]
    files, pairs = [], set()
    for row in range(count):
        file = str(folder/f"{row:06d}.jpg")
        if row % 20 == 19:
            WAYS[row // 20 % 3](Image.open(files[row - 7])).save(file, quality=70)
            pairs.add(frozenset((file, files[row - 7])))
        else:
            places = zip(rng.choice(6, 4, replace=False), *rng.integers(0, side - 320, (2, 4)))
            planes = [np.rot90(fields[f], rng.integers(4))[y:y + 240, x:x + 320] for f, y, x in places]
            grey = sum(planes) / 2  # of four fields, so that two photos that share a window of one are not alike
            pixels = np.stack([grey + .3 * planes[1], grey, grey + .3 * planes[2]], -1) * 45 + 120
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, quality=85)
        files.append(file)
    return files, pairs


def spent() -> float:  # CPU seconds of this process and of those it has waited for
    return sum(use.ru_utime + use.ru_stime
               for use in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)))


def timed(function, *args, **options):
    start = spent()
    return function(*args, **options), spent() - start


def memory() -> float:  # MB, the most this process has held
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(files: list[str], weights: str | None) -> tuple[dict, set]:
    from the_project.audit.copies import copy_pairs
    from the_project.audit.doubtful import doubtful_rows
    from the_project.models.embed import look_through, make_embedder
    from the_project.audit.oddities import odd_pictures
    embedder, cost = make_embedder(weights), {}
    looks, cost["look and embed"] = timed(look_through, files, embedder, progress=False)
    pairs, cost["copies"] = timed(copy_pairs, looks, progress=False)
    labels = np.random.default_rng(0).choice([f"class {i}" for i in range(20)], len(files))
    _, cost["labels, strangers"] = timed(doubtful_rows, pd.DataFrame(dict(file=files, label=labels)), looks.vectors)
    _, cost["outliers"] = timed(odd_pictures, looks.facts)
    half = files[:len(files) // 2]
    fewer = look_through(half, embedder, progress=False)
    cost["copies of half"] = timed(copy_pairs, fewer, progress=False)[1]
    return cost, set(map(frozenset, zip(pairs["file"], pairs["other"])))


def peers(folder: Path, site: str) -> dict:
    "imagededup and cleanvision on the same files; a package that isn't there is left out"
    sys.path.insert(0, site)
    found = {}
    try:
        from imagededup.methods import PHash
        answer, cost = timed(PHash(verbose=False).find_duplicates, image_dir=str(folder), num_enc_workers=0,
                             num_dist_workers=0)
        found["imagededup PHash"] = cost, {frozenset((str(folder/a), str(folder/b))) for a, others in answer.items()
                                           for b in others}
    except ImportError as error: print(f"imagededup: {error}")
    try:
        from cleanvision import Imagelab
        lab = Imagelab(data_path=str(folder))
        _, cost = timed(lab.find_issues, n_jobs=1, verbose=False)
        sets = [family for kind in ("near_duplicates", "exact_duplicates") for family in lab.info[kind]["sets"]]
        found["cleanvision"] = cost, {frozenset((a, b)) for family in sets for a in family for b in family if a < b}
    except ImportError as error: print(f"cleanvision: {error}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--weights")
    parser.add_argument("--peers", metavar="DIR")
    args = parser.parse_args()
    import torch
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        files, true = draw(Path(name), args.count)
        before = memory()
        cost, found = ours(files, args.weights)
        half = cost.pop("copies of half")
        total, power = sum(cost.values()), np.log2(max(cost["copies"] / max(half, 1e-6), 1.))
        print(f"{args.count:,} photos, {len(true)} copies; memory {memory():,.0f} MB at most, {before:,.0f} before")
        for stage, seconds in cost.items():
            print(f"  {stage:<20}{seconds:9.1f} CPU s  {1000 * seconds / args.count:7.2f} ms a picture")
        print(f"  {'all of it':<20}{total:9.1f} CPU s  {args.count / total:7.1f} pictures a CPU second; recall "
              f"{len(found & true) / len(true):.3f}, "
              f"precision {len(found & true) / max(len(found), 1):.3f}")
        scale = 100_000 / args.count
        far = (sum(seconds * scale for stage, seconds in cost.items() if stage != "copies")
               + cost["copies"] * scale**power)
        print(f"  100,000 would take {far / 3600:.1f} CPU hours (copies grow with the power {power:.2f}), half of that "
              "on two cores")
        for peer, (seconds, pairs) in (peers(Path(name), args.peers) if args.peers else {}).items():
            right = len(pairs & true)
            print(f"  {peer:<20}{seconds:9.1f} CPU s  {args.count / seconds:7.1f} pictures a CPU second; recall "
                  f"{right / len(true):.3f}, "
                  f"precision {right / max(len(pairs), 1):.3f}; ours costs {total / seconds:.1f} times as much")


if __name__ == "__main__": main()
