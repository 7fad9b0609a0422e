"""What a stranger's files may do: damaged pictures, tables, recipes and bundles must be read or refused in one line.

    python bench/fuzz.py --minutes 60            all four kinds, an equal share of the time each
    python bench/fuzz.py --quick                 200 inputs of each kind, always the same, about a minute: as CI runs it
    python bench/fuzz.py --only pictures --seed 7 --keep DIR
    python bench/fuzz.py --again DIR/pictures-1.bin     one kept input once more, with its traceback

Hypothesis draws the inputs: real files with bytes flipped, cut, repeated and mixed; rows of awkward cells in many
encodings; JSON trees with one part replaced. Each kind runs in a process of its own. An input fails when it raises
anything but one line a problem that this package raised on purpose, takes more than 5 CPU seconds, asks for more than 1 GB, or
ends or blocks the process. Failing inputs are kept in `--keep`. Exit code 1 when an input failed.
"""
import argparse
import io
import json
import linecache
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

CPU_SECONDS, BYTES, PATIENCE = 5.0, 2**30, 60  # limits of one input; seconds without a sign of life
OURS = (ValueError, OSError, RuntimeError, ImportError, TypeError)


def is_ours(error: BaseException) -> str:
    "Empty when `error` was raised on purpose by this package in one line; else what is wrong with it"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    line, text = linecache.getline(frame.filename, frame.lineno).strip(), str(error)
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    if "the_project" not in Path(frame.filename).parts[-3:-1] and "the_project" not in Path(frame.filename).parts[-2:]:
        return f"{type(error).__name__} of {where}: {text[:150]}"
    if not isinstance(error, OURS) or not re.search(r"\braise\b", line):
        return f"{type(error).__name__} by accident at {where}: {text[:150]}"
    lines = text.split("\n")  # one a problem
    if len(lines) > 8 or max(map(len, lines)) > 1500: return f"{where}: {len(text)} letters in {len(lines)} lines"
    if re.search(r"not enough memory", text): return f"{where}: asked for more than {BYTES >> 20} MB"
    return ""


# ---- the four kinds: what is drawn, and what is done with it -----------------------------------------------------
def mutated(seeds: list[bytes]):
    "A strategy of bytes: one of `seeds` after up to eight changes"
    from hypothesis import strategies as st
    where = st.integers(0, 2**16)
    ints = st.sampled_from([0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1])
    change = st.one_of(
        st.tuples(st.just("set"), where, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("int"), where, ints, st.sampled_from(["<H", ">H", "<I", ">I", "B"])),
        st.tuples(st.just("cut"), where, st.integers(1, 4000)),
        st.tuples(st.just("end"), where),
        st.tuples(st.just("again"), where, st.integers(1, 2000), st.integers(2, 500)),
        st.tuples(st.just("mix"), where, st.sampled_from(range(len(seeds))), where, st.integers(1, 4000)))

    def apply(drawn):
        which, early, changes = drawn
        data = bytearray(seeds[which])
        for kind, at, *more in changes:
            at %= (min(len(data), 600) if early else len(data)) or 1
            if kind == "set": data[at:at + len(more[0])] = more[0]
            if kind == "int":
                size = struct.calcsize(more[1])
                data[at:at + size] = struct.pack(more[1], more[0] & (2**(8 * size) - 1))
            if kind == "cut": del data[at:at + more[0]]
            if kind == "end": del data[at:]
            if kind == "again": data[at:at] = bytes(data[at:at + more[0]]) * more[1]
            if kind == "mix": data[at:at] = seeds[more[0]][more[1] % len(seeds[more[0]]):][:more[2]]
        return bytes(data)
    return st.tuples(st.sampled_from(range(len(seeds))), st.booleans(), st.lists(change, max_size=8)).map(apply)


def pictures(folder: Path):
    "Bytes of every format that Pillow and tifffile write here, opened as a picture, as a raster and by verify"
    import numpy as np
    import pandas as pd
    import tifffile
    from PIL import Image

    from the_project.data.verify import verify_images
    from the_project.answer.picture import open_picture
    from the_project.answer.raster import read_raster
    random_pixels = np.random.default_rng(0).integers(0, 255, (40, 52, 3), np.uint8)
    photo = Image.fromarray(random_pixels).resize((260, 200))
    grey16 = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 200)
    exif = Image.Exif()
    exif[0x0112] = 6
    writes = [(photo, "JPEG", dict(exif=exif)), (photo, "JPEG", dict(progressive=True)),
              (photo.convert("CMYK"), "JPEG", {}),
              (photo, "PNG", {}), (photo.convert("P"), "PNG", dict(transparency=3)), (grey16, "PNG", {}),
              (photo.convert("1"), "PNG", {}), (photo.convert("RGBA"), "PNG", {}), (photo, "BMP", {}),
              (photo, "TGA", {}),
              (photo, "GIF", dict(save_all=True, append_images=[photo.rotate(9 * i) for i in range(4)])),
              (photo, "PNG", dict(save_all=True, append_images=[photo.rotate(9)])), (photo, "PPM", {}),
              (photo, "SGI", {}),
              (photo, "WEBP", {}), (photo, "WEBP", dict(save_all=True, append_images=[photo.rotate(9)])),
              (photo, "TIFF", {}), (photo, "TIFF", dict(compression="tiff_lzw")),
              (photo.convert("1"), "TIFF", dict(compression="group4")),
              (photo.convert("F"), "TIFF", {}), (photo, "TIFF", dict(compression="jpeg")), (photo, "PCX", {}),
              (photo, "ICO", {}),
              (photo, "ICNS", {}), (photo, "DDS", {}), (photo, "JPEG2000", {}), (photo, "AVIF", {}), (photo, "MPO", {}),
              (photo, "IM", {}),
              (photo.convert("1"), "XBM", {}), (photo, "QOI", {}), (photo, "PDF", {}), (photo, "EPS", {})]
    seeds = []
    for picture, kind, options in writes:
        out = io.BytesIO()
        try: picture.save(out, kind, **options)
        except (KeyError, OSError, ValueError): continue  # this build of Pillow doesn't write it
        seeds.append(out.getvalue())
    for extra in (dict(compression="zlib"), dict(tile=(16, 16)), dict(bigtiff=True), dict(planarconfig="separate")):
        out = io.BytesIO()
        pixels = np.random.default_rng(1).random((5, 48, 48)).astype(np.float32)
        tifffile.imwrite(out, pixels if "planarconfig" in extra else np.moveaxis(pixels, 0, 2),
                         photometric="minisblack", **{"planarconfig": "contig", **extra})
        seeds.append(out.getvalue())
    out = io.BytesIO()
    np.save(out, np.zeros((20, 20, 4), np.uint16))
    seeds.append(out.getvalue())
    seeds.append(b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 20, 20, 8, 3) + bytes(12) + struct.pack(">H", 0)
                 + bytes(1200))

    def ask(data: bytes):
        for suffix in (".jpg", ".tif") if data[:2] in (b"II", b"MM") else (".npy" if data[:6] == b"\x93NUMPY"
                                                                           else ".jpg",):
            (folder / f"a{suffix}").write_bytes(data)
        yield from (lambda: open_picture(data), lambda: open_picture(data, min_side=32), lambda: read_raster(data))
        yield lambda: verify_images(pd.DataFrame(dict(file=[str(folder / f"a{suffix}")], label=["x"])))
    return mutated(seeds), ask


def tables(folder: Path):
    "CSV files of awkward cells in several encodings, and damaged ones, read and split"
    import numpy as np
    from hypothesis import strategies as st
    from PIL import Image

    from the_project.data.splits import split_table
    from the_project.data.table import read_table
    for i in range(12): Image.fromarray(np.full((8, 8, 3), 20 * i, np.uint8)).save(folder / f"{i}.png")
    names = st.sampled_from(["file", "label", "group", "split", "genus", "country", "file", "label", "File", "label ",
                             "", "0", "naïve"])
    cell = st.one_of(st.sampled_from([*(f"{i}.png" for i in range(12)), "a", "b", "c", "1.1", "1.10", "007", "NA",
                                      "nan", "", " ", '"', "'",
                                      "=1+1", "train", "valid", "test", "Naja naja", "\ufeff", "1,5", "1e999",
                                      "../0.png", "\\0.png", "-", "\x1b[2J",
                                      "/etc/passwd", "é", "e\u0301", "\0", "a;b", "9" * 400]), st.text(max_size=12))
    row = st.lists(cell, min_size=1, max_size=5)

    def text(drawn):
        head, rows, mark, end, quoted, coding = drawn
        quote = (lambda c: '"' + c.replace('"', '""') + '"') if quoted else str
        lines = [mark.join(map(quote, r)) for r in [head, *rows]]
        return end.join(lines).encode(coding, "replace")
    made = st.tuples(st.lists(names, min_size=1, max_size=5), st.lists(row, max_size=12),
                     st.sampled_from([",", ";", "\t", "|"]),
                     st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(),
                     st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252", "utf-32"])).map(text)
    good = "file,label,group\n" + "".join(f"{i}.png,{'ab'[i % 2]},{i // 3}\n" for i in range(12))

    def ask(data: bytes):
        for suffix in (".csv", ".tsv"):
            path = folder / f"t{suffix}"
            path.write_bytes(data)
            yield lambda path=path: split_table(read_table(path))
            yield lambda path=path: read_table(path, root=folder)
    return st.one_of(made, mutated([good.encode(), good.replace(",", "\t").encode("utf-16")])), ask


def any_json():
    "A strategy of JSON values, awkward ones among them"
    from hypothesis import strategies as st
    deep = "[" * 5000
    leaf = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
                     st.sampled_from([0, -1, 1e308, 10**400, "", "none", "../x", "/etc/passwd", "a\0b", "x" * 10_000,
                                      "\ud800", deep, [], {}]))
    return st.recursive(leaf, lambda inner: st.one_of(st.lists(inner, max_size=4),
                                                      st.dictionaries(st.text(max_size=8), inner, max_size=4)),
                                                      max_leaves=12)


def changed(trees: list):
    "A strategy of JSON texts: one of `trees` with up to three parts replaced, removed, doubled or nested"
    from hypothesis import strategies as st

    def spots(tree, path=()):
        yield path
        parts = tree.items() if isinstance(tree, dict) else enumerate(tree[:6]) if isinstance(tree, list) else ()
        for key, part in parts: yield from spots(part, (*path, key))

    def apply(drawn):
        which, changes = drawn
        tree = json.loads(json.dumps(trees[which]))
        for kind, at, value in changes:
            path = (found := list(spots(tree)))[at % len(found)]
            if not path: continue
            parent = tree
            for key in path[:-1]: parent = parent[key]
            if kind == "replace": parent[path[-1]] = value
            elif kind == "remove": del parent[path[-1]]
            elif kind == "nest": parent[path[-1]] = [[parent[path[-1]]]]
            elif isinstance(parent, dict): parent[f"{path[-1]}2"] = value
            else: parent.append(parent[path[-1]])
        return json.dumps(tree)
    change = st.tuples(st.sampled_from(["replace", "replace", "replace", "remove", "nest", "add"]),
                       st.integers(0, 10**6), any_json())
    return st.tuples(st.sampled_from(range(len(trees))), st.lists(change, min_size=1, max_size=3)).map(apply)


def recipes(folder: Path):
    "JSON files of recipes; one that is read must come back equal from its own JSON"
    from hypothesis import strategies as st

    from the_project.core.recipe import Recipe, Stage
    from the_project.core.recipe_text import load_recipe, set_fields
    trees = [json.loads(Recipe().to_json()), json.loads(Recipe(arch="resnet18", stages=(Stage(64, 2, 1), Stage(96, 3)),
                                                               mixup=.2).to_json())]
    fields = st.tuples(st.sampled_from([*trees[0], "size", ""]), any_json().map(str)).map("=".join)
    path = folder / "recipe.json"

    def read():
        recipe = load_recipe(path)
        recipe.save(folder / "again.json")
        if load_recipe(folder / "again.json") != recipe:
            raise AssertionError("a recipe changed on its way through JSON")

    def ask(data: bytes):
        path.write_bytes(data)
        if data.startswith(b"set:"):
            yield lambda: set_fields(Recipe(), data[4:].decode("utf-8", "surrogatepass").split("\n"))
        else: yield read
    made = st.one_of(changed(trees), st.lists(fields, min_size=1, max_size=3).map(lambda lines: "set:" + "\n".join(lines)))
    return st.one_of(made.map(lambda t: t.encode("utf-8", "surrogatepass")),
                     mutated([Recipe().to_json().encode()])), ask


def configs(folder: Path):
    "config.json of two bundles, sealed anew, read and asked for an answer to one picture"
    from hypothesis import strategies as st

    from the_project.core.recipe import Recipe, Stage
    from the_project.core.sample import sample_table
    from the_project.data.splits import split_table
    from the_project.runs.run import train
    from the_project.page.export import export_bundle
    from the_project.answer.config import seal_of
    from the_project.answer.predict import Predictor
    bundles = []
    drawn = sample_table(folder / "pictures", n=64, plant=False)
    for task, table in dict(classify=drawn, regress=drawn.assign(label=[i % 7 + .5 for i in range(len(drawn))])).items():
        table = split_table(table)
        recipe = Recipe(task=task, arch="small_cnn_8", weights=None, stages=(Stage(24, 1),), batch_size=8)
        bundles.append(export_bundle(train(table, recipe, folder / f"{task}-runs"), folder / task))
    texts = [(bundle / "config.json").read_bytes() for bundle in bundles]
    trees = [json.loads(text) for text in texts]
    photo = next(bundles[0].glob("probes/*.*"))

    def ask(data: bytes):
        which = next((i for i, tree in enumerate(trees) if f'"{tree["task"]}"'.encode() in data), 0)
        path = bundles[which] / "config.json"
        path.write_bytes(data)
        def answer(): Predictor(bundles[which]).predict(photo)
        yield answer
        try:
            tree = json.loads(data)
            sealed = json.dumps(tree | dict(seal=seal_of(tree)))
        except (ValueError, TypeError, AttributeError, RecursionError): return
        path.write_text(sealed)
        yield answer
    return st.one_of(changed(trees).map(str.encode), mutated(texts)), ask


KINDS = dict(pictures=pictures, tables=tables, recipes=recipes, configs=configs)


# ---- one kind in a process of its own ------------------------------------------------------------------------------
def judge(ask, data: bytes) -> list[str]:
    "Everything that one input does wrong"
    import resource
    wrong = []
    for one in ask(data):
        begun, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try: one()
        except BaseException as error:
            if found := is_ours(error): wrong.append(found)
        spent = time.process_time() - begun
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024
        if spent > CPU_SECONDS: wrong.append(f"took more than {CPU_SECONDS:g} CPU seconds")
        if more > BYTES: wrong.append(f"took {more >> 20} MB")
    return wrong


def run_child(kind: str, seconds: float, seed: int, folder: Path, most: int) -> None:
    "Draw inputs until the time is up or there were `most`; print a line of JSON an input that failed, and one at the end"
    import logging
    import resource

    import hypothesis
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    shown, sys.stdout = sys.stdout, io.StringIO()
    strategy, ask = KINDS[kind](folder)
    sys.stderr = io.StringIO()
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages: resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + BYTES + BYTES // 2,) * 2)
    until, count, seen, current = time.monotonic() + seconds, 0, set(), folder / "current.bin"

    def tell(**what): print(json.dumps(what), file=shown, flush=True)

    tell(ready=True)
    while time.monotonic() < until and count < most:
        @hypothesis.seed(seed)
        @hypothesis.settings(max_examples=200, database=None, deadline=None, phases=[hypothesis.Phase.generate],
                             suppress_health_check=list(hypothesis.HealthCheck))
        @hypothesis.given(strategy)
        def one(data):
            nonlocal count
            if time.monotonic() > until or count >= most: return
            current.write_bytes(data)
            count += 1
            for wrong in judge(ask, data):
                key = re.sub(r"\d+", "0", wrong)[:90]
                if key not in seen:
                    seen.add(key)
                    kept = folder / f"{kind}-{len(seen)}.bin"
                    kept.write_bytes(data)
                    tell(wrong=wrong, file=str(kept))
            if count % 50 == 0: tell(alive=count)
        one()
        sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
        seed += 1
    tell(done=count, peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)


def watch(kind: str, seconds: float, seed: int, folder: Path, most: int) -> int:
    "Run one kind; start it again after an input that ended or blocked it; how many inputs failed"
    import selectors
    failed, count, until = 0, 0, time.monotonic() + seconds
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        left = max(until - time.monotonic(), 5)
        command = [sys.executable, __file__, "--child", kind, "--seconds", str(left), "--seed", str(seed), "--keep",
                   str(folder),
                   "--most", str(most - count)]
        with open(folder / "stderr.txt", "w") as errors, subprocess.Popen(command, stdout=subprocess.PIPE,
                                                                          stderr=errors, text=True) as child:
            waits, done, why = selectors.DefaultSelector(), False, ""
            waits.register(child.stdout, selectors.EVENT_READ)
            limit = 300  # making the bundles
            while waits.select(limit):
                line = child.stdout.readline()
                if not line: break
                said, limit = json.loads(line), PATIENCE + 50 * CPU_SECONDS
                if "ready" in said: until = max(until, time.monotonic() + min(seconds, left))
                if "wrong" in said:
                    failed += 1
                    print(f"  {kind}: {said['wrong']}   kept as {Path(said['file']).name}", flush=True)
                if "done" in said: done, count = True, count + said["done"]
                if "done" in said: print(f"{kind}: {count} inputs, {failed} failed, peak {said['peak']} MB", flush=True)
            else: why = "blocked the process"
            if not done: child.kill()
        if done: return failed
        kept = folder / f"{kind}-ended-{failed + 1}.bin"
        if (folder / "current.bin").exists(): (folder / "current.bin").rename(kept)
        else: sys.exit(f"{kind} did not start: {(folder / 'stderr.txt').read_text()[-2000:]}")
        failed, seed = failed + 1, seed + 1000
        print(f"  {kind}: an input {why or f'ended the process ({child.returncode})'}   kept as {kept.name}",
              flush=True)
        if time.monotonic() > until: return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--quick", action="store_true", help="200 inputs of each kind, always the same")
    parser.add_argument("--only", choices=KINDS, nargs="*", default=list(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", help="folder for inputs that failed; default: a temporary one")
    parser.add_argument("--again", help="a kept input, named KIND-N.bin")
    parser.add_argument("--child", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--most", type=int, default=10**9, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    random.seed(args.seed)
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    if args.child: return run_child(args.child, args.seconds, args.seed, Path(args.keep), args.most)
    keep = Path(args.keep or tempfile.mkdtemp(prefix="fuzz-"))
    if args.again:
        _, ask = KINDS[Path(args.again).name.split("-")[0]](keep)
        for one in ask(Path(args.again).read_bytes()):
            try: print("read:", one())
            except BaseException: traceback.print_exc()
        return None
    seconds, most = 60 * args.minutes / len(args.only), 200 if args.quick else args.most
    failed = sum(watch(kind, seconds, args.seed, keep / kind, most) for kind in args.only)
    print(f"{failed} inputs failed" + f"; they lie in {keep}" * bool(failed))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
