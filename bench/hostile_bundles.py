"""What a bundle from elsewhere may hold: each one is refused in one line, or what is wrong in it is left out.

    python bench/hostile_bundles.py [--quick] [--only WORD]

Each case spoils a copy of a small drawn bundle, seals it anew where its config changed, and hands it to the Predictor
(with a heat map), to the page, and to the folders that publishing writes. A case fails when something else than one
line of ours comes back, when a byte from outside of the bundle is found in a folder that was written, or when the model
is not stopped in time. --quick takes every second case.
"""
import argparse
import contextlib
import io
import json
import os
import pickle
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_OFFLINE="1")
SECRET, SECONDS = b"TOP SECRET", 5


def reseal(bundle, **fields):
    "Change fields of a config as somebody would who knows how seals are made"
    from the_project.answer.config import seal_of
    path = bundle / "config.json"
    config = json.loads(path.read_text()) | fields
    path.write_text(json.dumps(config | dict(seal=seal_of(config))))


def put_model(bundle, nodes, **more):
    "Another model.onnx, without a checksum: its size is said anew, and the config is sealed"
    import onnx
    from onnx import TensorProto, helper
    config = json.loads((bundle / "config.json").read_text())
    size, n = config["input"]["size"], len(config["labels"])
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 3, *size])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", n])], **more)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (bundle / "model.onnx").write_bytes(model.SerializeToString())
    onnx.load(bundle / "model.onnx", load_external_data=False)  # it can be parsed
    reseal(bundle, files={}, model="model.onnx", heat=None)


def endless(bundle):
    "A model that counts for a very long time"
    from onnx import TensorProto, helper
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Sin", ["s"], ["t"])], "body",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("s", TensorProto.FLOAT, None)],
        [value("on", TensorProto.BOOL, []), value("t", TensorProto.FLOAT, None)])
    times = helper.make_tensor("times", TensorProto.INT64, [], [2**62])
    go = helper.make_tensor("start", TensorProto.BOOL, [], [True])
    put_model(bundle, [helper.make_node("Loop", ["times", "start", "x"], ["y"], body=body)], initializer=[times, go])


def outside_data(bundle):
    "A model whose weights are said to be in a file outside of the bundle"
    from onnx import TensorProto, helper
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value="../secret.txt")
    put_model(bundle, [helper.make_node("Identity", ["w"], ["y"])], initializer=[weights])


def link(bundle, name, remove=True):
    "A file of the bundle that is a link to one outside"
    if remove: (bundle / name).unlink()
    (bundle / name).symlink_to(bundle.parent / "secret.txt")


def first_probe(bundle): return json.loads((bundle / "config.json").read_text())["probes"][0]


def with_probe(bundle, name):
    "The first probe is another file"
    reseal(bundle, probes=[first_probe(bundle) | dict(file=name)])


def with_pipe(bundle):
    "A probe that no reader comes to the end of"
    (bundle / "probes").joinpath("pipe.png").unlink(missing_ok=True)
    os.mkfifo(bundle / "probes" / "pipe.png")
    with_probe(bundle, "probes/pipe.png")


def beside(bundle, name, data):
    "A file that the config does not name"
    (bundle / name).write_bytes(data)


def with_arch(bundle):
    config = json.loads((bundle / "config.json").read_text())
    reseal(bundle, recipe=config["recipe"] | dict(arch="hf-hub:someone/model"))


# name -> (how the bundle is spoilt, words of the refusal; None: the bundle answers, and what was laid there stays there)
CASES = {
    "probe: ../": (lambda b: with_probe(b, "../secret.txt"), "probes[].file"),
    "probe: an absolute path": (lambda b: with_probe(b, str(b.parent / "secret.txt")), "probes[].file"),
    "probe: a backslash": (lambda b: with_probe(b, "probes\\..\\..\\secret.png"), "probes[].file"),
    "probe: a device": (lambda b: with_probe(b, "/dev/zero"), "probes[].file"),
    "probe: a link": (lambda b: link(b, first_probe(b)["file"]), "leads out of the bundle"),
    "probe: a pipe": (with_pipe, "no ordinary file"),
    "heat: ../": (lambda b: reseal(b, heat=dict(file="../heat.onnx")), "heat.file"),
    "heat: a link": (lambda b: (beside(b, "more.onnx", b""), link(b, "more.onnx"),
                                reseal(b, heat=dict(file="more.onnx"))),
                     "leads out of the bundle"),
    "model: ../": (lambda b: reseal(b, model="../model.onnx"), "model"),
    "model: a link": (lambda b: link(b, "model.onnx"), "leads out of the bundle"),
    "model: counts without an end": (endless, "was stopped after"),
    "model: weights in another file": (outside_data, "in another file"),
    "model: no ONNX": (lambda b: (beside(b, "model.onnx", b"no model" * 99), reseal(b, files={})), "can't load"),
    "files: ../": (lambda b: reseal(b, files={"../secret.txt": dict(bytes=10)}), "files has"),
    "files: a pickle": (lambda b: reseal(b, files={"model.pkl": dict(bytes=10)}), "files has"),
    "config: a link": (lambda b: link(b, "config.json"), "leads out of the bundle"),
    "config: nested 100,000 deep": (lambda b: beside(b, "config.json", b"[" * 100_000), "not valid JSON"),
    "config: 40 MB": (lambda b: beside(b, "config.json", b" " * (40 * 2**20)), "larger than 16 MB"),
    "config: a size of 10^9": (lambda b: reseal(b, input=dict(kind="picture", size=[10**9] * 2)), "preprocess"),
    "config: labels that are objects": (lambda b: reseal(b, labels=[{}, {}]), "labels is"),
    "README: a link": (lambda b: link(b, "README.md"), "leads out of the bundle"),
    "beside: a pickle": (lambda b: beside(b, "extra.pkl", pickle.dumps([SECRET])), None),
    "beside: a link": (lambda b: link(b, "notes.txt", remove=False), None),
    "recipe: a network of the Hub": (with_arch, None),
}


def surfaces(bundle, place):
    "Everything that opens a bundle: name -> function"
    from the_project.page.app import make_app
    from the_project.answer.predict import Predictor
    from the_project.page.space import write_model, write_space

    def answer():
        predictor = Predictor(bundle, first_run=SECONDS)
        photo = bundle / first_probe(bundle)["file"]
        predictor.predict(photo)
        if predictor.config.get("heat"): predictor.heat(photo)

    return {"predictor": answer, "page": lambda: make_app(bundle),
            "model's folder": lambda: write_model(bundle, place / "model", "mit"),
            "space's folder": lambda: write_space(bundle, place / "space", "me/space", license="mit")}


def judge(bundle, place, words):
    "What each surface says, and whether that is wrong: [(surface, line, wrong)]"
    from the_project.answer.config import BundleError
    rows, refused = [], False
    for name, ask in surfaces(bundle, place).items():
        if name == "page" and "was stopped after" in rows[0][1]: continue  # it opens the same way, with 60 s
        begin = time.perf_counter()
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()): ask()
            line, wrong = "opened", False
        except (BundleError, FileNotFoundError) as error:
            line, refused = str(error), True
            wrong = words is None or words not in line or "\n" in line or len(line) > 1000
        except Exception as error: line, wrong = f"{type(error).__name__}: {error}", True
        late = time.perf_counter() - begin > 10 * SECONDS
        rows.append((name, line, wrong or late))
    sent = [path for path in place.rglob("*") if path.is_symlink() or path.is_file() and SECRET in path.read_bytes()]
    rows += [("written", f"{path.relative_to(place)} came from outside", True) for path in sent]
    if words and not refused: rows.append(("all", "nobody refused it", True))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="cases with this in their name")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    from the_project.all import Recipe, Stage, export_bundle, sample_table, split_table, train
    cases = [(name, case) for name, case in CASES.items() if args.only in name][::2 if args.quick else 1]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with contextlib.redirect_stdout(io.StringIO()):
            table = split_table(sample_table(folder / "pictures", n=64, plant=False))
            recipe = Recipe(arch="small_cnn_8", weights=None, stages=(Stage(24, 1),), batch_size=8)
            made = export_bundle(train(table, recipe, folder / "runs"), folder / "made")
        for i, (name, (spoil, words)) in enumerate(cases):
            place = folder / str(i)
            bundle = Path(shutil.copytree(made, place / "in" / "bundle"))
            (place / "in" / "secret.txt").write_bytes(SECRET)
            spoil(bundle)
            rows = judge(bundle, place / "out", words)
            failed += (wrong := any(bad for *_, bad in rows))
            where = rows[0] if not wrong else next(row for row in rows if row[2])
            line = where[1].replace(str(bundle), "BUNDLE").replace(str(place), "")
            print(f"{name:32} {where[0]:15} {line[:170]}{'   <-- FAILED' * wrong}", flush=True)
    print(f"{len(cases)} bundles, {failed} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
