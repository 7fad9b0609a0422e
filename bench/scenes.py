"""A scene of 8000 x 6000 x 4 read by windows and answered in tiles: peak memory, and time beside one whole pass.

    python bench/scenes.py [--height 6000] [--width 8000] [--bands 4]

Each way runs in a process of its own. "whole" reads the scene at once and takes its mean; "windows" reads it in the
tiles that the predictor uses (1024 with 128 overlap) and does nothing with them; "tiles" blends an answer of two
classes from them (a sum of bands: the arithmetic around a model, not a model) and cleans the mask. Memory is the peak
of the process's own (RssAnon, looked at every 5 ms) beyond what it had with everything imported: pages of the mapped
file, which the system takes back when it needs them, are left out. Times are ratios to "whole" of the same file.
"""
import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

WAYS = ("whole", "windows", "tiles")


def write_scene(path: Path, height: int, width: int, bands: int, tile: int | None) -> None:
    "A drawn scene of uint16, part by part: a memory map, or tiles compressed by zlib"
    import numpy as np
    import tifffile
    rng = np.random.default_rng(0)
    grain = rng.integers(200, 4000, (32, 32, bands), np.uint16).repeat(16, 0).repeat(16, 1)  # fields of 16 x 16 pixels
    about = dict(shape=(height, width, bands), dtype=np.uint16, photometric="minisblack", planarconfig="contig")
    if tile:
        count = -(-height // tile) * -(-width // tile)
        tifffile.imwrite(path, (np.roll(grain, i, 0)[:tile, :tile] for i in range(count)), tile=(tile, tile),
                         compression="zlib", **about)
        return
    scene = tifffile.memmap(path, **about)
    for top in range(0, height, 512):
        for left in range(0, width, 512):
            place = scene[top:top + 512, left:left + 512]
            place[...] = np.roll(grain, top + left, 0)[:place.shape[0], :place.shape[1]]
    scene.flush()


def own_mb() -> float:
    "Memory of this process that no file backs"
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def watch(peak: list, stop: threading.Event) -> None:
    "Keep the largest"
    while not stop.wait(.005): peak[0] = max(peak[0], own_mb())


def one_way(way: str, path: Path) -> dict:
    "Seconds and peak memory of one way, in this process"
    import numpy as np
    from the_project.answer.raster import read_raster, select_bands
    from the_project.answer.tiles import clean_mask, plan_tiles, predict_tiles
    import tifffile  # noqa: F401  before the memory is looked at
    before, stop, start = own_mb(), threading.Event(), time.perf_counter()
    peak = [before]
    watcher = threading.Thread(target=watch, args=(peak, stop))
    watcher.start()
    with read_raster(path) as scene:
        height, width, bands = scene.shape
        names = [f"band{i}" for i in range(bands)]
        spec = dict(file_bands=names, bands=names, missing=[], hide_band=None, tile=1024, overlap=128, multiple=32)

        def read(top: int, left: int, high: int, wide: int) -> np.ndarray:
            return select_bands(scene.window(top, left, high, wide), spec)

        if way == "whole": read(0, 0, height, width).mean()
        elif way == "windows":
            for top, left in plan_tiles(height, width, 1024, 128):
                read(top, left, min(1024, height), min(1024, width))
        else:
            mask = np.empty((height, width), np.uint8)
            def answer(x: np.ndarray) -> np.ndarray: return np.stack([x.sum(1), 2 * x[:, 0]], 1)
            for top, said in predict_tiles(read, height, width, answer, spec):
                mask[top:top + said.shape[1]] = said.argmax(0)
            clean_mask(mask, min_object=9, max_hole=9)
    seconds = time.perf_counter() - start
    stop.set()
    watcher.join()
    return dict(seconds=seconds, mb=peak[0] - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in dict(height=6000, width=8000, bands=4).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--file", type=Path)
    args = parser.parse_args()
    if args.way:
        print(json.dumps(one_way(args.way, args.file)))
        return
    with tempfile.TemporaryDirectory() as folder:
        for kind, tile in (("uncompressed", None), ("zlib in tiles of 512", 512)):
            path = Path(folder) / "scene.tif"
            write_scene(path, args.height, args.width, args.bands, tile)
            size = path.stat().st_size / 1e6
            print(f"{args.width} x {args.height} x {args.bands} uint16, {kind}, {size:.0f} MB on disk")
            found = {}
            for way in WAYS:
                asked = [sys.executable, __file__, "--way", way, "--file", str(path)]
                found[way] = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
                ratio = found[way]["seconds"] / found["whole"]["seconds"]
                print(f"  {way:8} peak {found[way]['mb']:7.0f} MB, {ratio:5.2f} x the time of whole")


if __name__ == "__main__":
    main()
