"""(f) A bundle in 8-bit whole numbers against the same bundle in float32: score, latency, size, cold start, memory.

    python bench/int8.py --run runs/classify-mobilenetv1_100-... [--reps 5] [--photos 48]

The run is copied, so that nothing in it changes. Both bundles answer the run's valid rows and, where there are some,
its test rows (macro-F1, sklearn's); this is one more look at test. Latency is that of `Predictor.top` on files, one
thread, in one process, the two interleaved; cold start is from the start of a process to its first answer, processes
interleaved. Ratios are printed last.
"""
import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COLD = """
import sys
from the_project.answer.predict import Predictor
label = Predictor(sys.argv[1]).top(sys.argv[2])[0][0]
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0], flush=True)
"""


def export_both(run_folder, place):
    "The run's bundle in float32, and the same folder with int8 in use, whether or not its score would let it stay"
    from the_project.all import Run, export_bundle
    from the_project.core.files import write_json
    from the_project.bundle.int8 import try_int8
    from the_project.answer.config import read_config

    shutil.copytree(run_folder, place / "run", ignore=shutil.ignore_patterns("cache", "state.safetensors"))
    run = Run(place / "run")
    plain = export_bundle(run, place / "float32")
    shutil.copytree(plain, place / "int8")
    config = read_config(plain)
    try_int8(place / "int8", config, run.table, run.recipe.target, allowed=2.)
    write_json(place / "int8" / "config.json", {key: value for key, value in config.items() if key != "seal"})
    return run, {"float32": plain, "int8": place / "int8"}


def timed(predictors, photos, reps):
    "Milliseconds of every answer of each predictor"
    times = {name: [] for name in predictors}
    for predictor in predictors.values():
        predictor.top(photos[0])
    for rep in range(reps):
        for photo in photos:
            for name in (list(predictors), list(predictors)[::-1])[rep % 2]:
                start = time.perf_counter()
                predictors[name].top(photo)
                times[name].append((time.perf_counter() - start) * 1e3)
    return times


def cold(bundles, photo, reps):
    "Seconds to the first answer and peak MB of processes of their own"
    found = {name: [] for name in bundles}
    for rep in range(reps + 1):  # the first warms the page cache
        for name in (list(bundles), list(bundles)[::-1])[rep % 2]:
            start = time.perf_counter()
            told = subprocess.run([sys.executable, "-c", COLD, str(bundles[name]), photo], capture_output=True,
                                  text=True, check=True)
            if rep:
                found[name].append((time.perf_counter() - start, int(told.stdout) / 1024))
    return {name: [statistics.median(column) for column in zip(*rows)] for name, rows in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, metavar="DIR",
                        help="a finished run of a task with labels; its pictures are there")
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--photos", type=int, default=48)
    args = parser.parse_args()
    from the_project.bundle.int8 import macro_f1
    from the_project.answer.predict import Predictor

    with tempfile.TemporaryDirectory() as folder:
        run, bundles = export_both(Path(args.run), Path(folder))
        predictors = {name: Predictor(bundle) for name, bundle in bundles.items()}
        scores = {}
        for split in ("valid", "test"):
            rows = run.table[run.table["split"] == split]
            for name, predictor in predictors.items():
                if len(rows):
                    scores[split, name] = macro_f1(predictor, rows, run.recipe.target)
                    print(f"{name:8s} macro-F1 {scores[split, name]:.4f} on {len(rows)} {split} pictures")
        photos = run.table["file"].iloc[:args.photos].tolist()
        times, starts = timed(predictors, photos, args.reps), cold(bundles, photos[0], args.reps)
        sizes = {name: (predictor.folder / predictor.model).stat().st_size / 1e6
                 for name, predictor in predictors.items()}
        for name in bundles:
            p50, p95 = statistics.median(times[name]), statistics.quantiles(times[name], n=20)[-1]
            seconds, memory = starts[name]
            print(f"{name:8s} {sizes[name]:6.2f} MB; answer p50 {p50:7.2f} ms, p95 {p95:7.2f} ms; cold start to "
                  "first answer "
                  f"{seconds:.2f} s, peak {memory:.0f} MB")
        whole = sum(file.stat().st_size for file in bundles["float32"].rglob("*") if file.is_file()) / 1e6
        print(f"whole float32 bundle: {whole:.1f} MB with safetensors, probes and card")
        ratio = [statistics.median(times["float32"]) / statistics.median(times["int8"]),
                 statistics.quantiles(times["float32"], n=20)[-1] / statistics.quantiles(times["int8"], n=20)[-1]]
        lost = {split: scores[split, "float32"] - scores[split, "int8"] for split, name in scores if name == "int8"}
        print(json.dumps(dict(float32_over_int8=dict(p50=round(ratio[0], 2), p95=round(ratio[1], 2),
                                                      size=round(sizes["float32"] / sizes["int8"], 2)),
                              macro_f1_lost={split: round(value, 4) for split, value in lost.items()})))


if __name__ == "__main__":
    main()
