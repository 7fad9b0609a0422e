"""One answer from four places: the run's own model in PyTorch, the ONNX file alone, the Predictor, and the page over
HTTP.

    python bench/parity.py RUN BUNDLE PHOTO_FOLDER [--n 16]

RUN and BUNDLE: a run's folder, and the bundle exported from it. Photos are the first N of the folder, sorted.
Printed: the largest difference in any probability between each two, and whether the top three agree. Fails above
1e-4.
"""
import argparse
import itertools
import sys
import tempfile
from pathlib import Path

import numpy as np
from load import call, file_data, serve, upload


def in_torch(run, files, predictor):
    "As a notebook answers: the run's model, the library's preparation"
    import torch
    from the_project.bundle.parity import TorchSession
    from the_project.runs.run import Run

    torch.set_num_threads(1)
    run = Run(run)
    return predictor.over(TorchSession(run.model().cpu().float().eval())).probabilities(files), run.labels


def in_onnx(bundle, files, config):
    "As any other program would: onnxruntime and Pillow by hand, after config.json"
    import onnxruntime
    from PIL import Image
    from the_project.answer.prepare import prepare

    session, rows = onnxruntime.InferenceSession(str(Path(bundle) / "model.onnx")), []
    for file in files:
        x = prepare(Image.open(file).convert("RGB"), config["input"])[None]
        y = session.run(["y"], {"x": x})[0][0].astype(float) / config["task"]["temperature"]
        rows.append(np.exp(y - y.max()) / np.exp(y - y.max()).sum())
    return np.stack(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("bundle")
    parser.add_argument("photos")
    parser.add_argument("--n", type=int, default=16)
    args = parser.parse_args()
    from the_project.answer.predict import Predictor

    files = sorted(str(file) for file in Path(args.photos).rglob("*")
                   if file.suffix.lower() in (".jpg", ".jpeg", ".png"))[:args.n]
    predictor = Predictor(args.bundle)
    found = {}
    found["notebook"], labels = in_torch(args.run, files, predictor)
    if list(labels) != list(predictor.labels):
        sys.exit("the bundle names other labels than the run: was it exported from this one?")
    found["onnx"] = in_onnx(args.bundle, files, predictor.config)
    found["predictor"] = predictor.probabilities(files)
    with tempfile.TemporaryDirectory() as folder, serve(args.bundle, folder) as (_, url):
        answers = [call(url, file_data(upload(url, Path(file).read_bytes()))) for file in files]
    found["page"] = np.array([[answer["probabilities"][label] for label in labels] for answer in answers])
    top = {name: np.argsort(-rows, axis=1, kind="stable")[:, :3].tolist() for name, rows in found.items()}
    worst = 0.0
    for one, other in itertools.combinations(found, 2):
        gap = float(np.abs(found[one] - found[other]).max())
        worst = max(worst, gap)
        print(f"{one:9} and {other:9}: largest difference {gap:.1e}; top three agree in "
              f"{sum(map(list.__eq__, top[one], top[other]))} of {len(files)}")
    sys.exit(worst > 1e-4)


if __name__ == "__main__":
    main()
