"""A large scene answered by a bundle of masks: tiles against one piece, peak memory and time.

    OMP_NUM_THREADS=1 python bench/mask_scene.py [--sides 1024 2048 4096] [--arch small_cnn]

Exports a U-Net with random weights (time and memory don't depend on what it knows) and asks `Predictor` for the mask
of a scene of four float32 bands, an NPY file, each way in a process of its own: "tiles" as a bundle does it (1024 px,
128 overlap), "one" with a tile as large as the scene, up to --whole px. Memory: the most of the process's own (RssAnon,
looked at every 5 ms) beyond what it had with the bundle opened and a scene of 64 px answered, in MB. Times are ratios
to tiles of the smallest side.
"""
import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np


def write_bundle(folder: Path, arch: str) -> None:
    from the_project.core.recipe import Recipe, Stage
    from the_project.inputs.raster.input import Raster
    from the_project.tasks.segment.unet import build_mask_model
    from the_project.bundle.convert import write_onnx
    bands = ["blue", "green", "red", "nir"]
    recipe = Recipe(input=Raster(file_bands=tuple(bands)), task="segment", arch=arch, weights=None,
                    stages=(Stage(64, 1),))
    model = build_mask_model(recipe, 2, dict(bands=bands, mean=[.5] * 4, std=[.3] * 4)).eval()
    write_onnx(model, folder/"model.onnx", (32, 32), 4, 32)
    mask = dict(classes=["land", "water"], values=[0, 1], colours=["#00000000", "#0072b2"], threshold=.5, min_object=0,
                max_hole=0)
    spec = dict(file_bands=bands, bands=bands, missing=[], hide_band=None, multiple=32, presize=None)
    for way, tile, overlap in (("tiles", 1024, 128), ("one", 8192, 0)):
        config = dict(schema=4, labels=mask["classes"], task=dict(kind="segment") | mask,
                      input=dict(kind="raster") | spec | dict(tile=tile, overlap=overlap))
        (folder/way).mkdir()
        (folder/way/"model.onnx").hardlink_to(folder/"model.onnx")
        (folder/way/"config.json").write_text(json.dumps(config))


def write_scene(path: Path, side: int) -> None:
    scene = np.lib.format.open_memmap(path, "w+", np.float32, (side, side, 4))
    rng = np.random.default_rng(0)
    for top in range(0, side, 256): scene[top:top + 256] = rng.random((len(scene[top:top + 256]), side, 4), np.float32)
    scene.flush()


def held() -> float:  # MB
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def answer(bundle: str, scene: str) -> None:
    from the_project.answer.predict import Predictor
    predictor = Predictor(bundle)
    predictor.predict(np.zeros((64, 64, 4), np.float32))
    seen, done = [held()], threading.Event()

    def watch() -> None:
        while not done.wait(.005): seen.append(held())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    predictor.predict(scene)
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    print(json.dumps([seconds, max(seen) - seen[0]]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sides", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--whole", type=int, default=2048, help="largest side that is answered in one piece")
    parser.add_argument("--arch", default="small_cnn")
    parser.add_argument("--answer", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.answer: return answer(*args.answer)
    unit = None
    with tempfile.TemporaryDirectory() as place:
        write_bundle(Path(place), args.arch)
        print("side   way     peak MB   time   scene MB")
        for side in args.sides:
            write_scene(scene := Path(place)/f"{side}.npy", side)
            for way in ("tiles", "one") if side <= args.whole else ("tiles",):
                asked = [sys.executable, __file__, "--answer", f"{place}/{way}", str(scene)]
                seconds, peak = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
                unit = unit or seconds
                size = side * side * 16 / 2**20
                print(f"{side:<6} {way:<6} {peak:>8.0f} {seconds / unit:>6.1f} {size:>10.0f}", flush=True)
            scene.unlink()


if __name__ == "__main__": main()
