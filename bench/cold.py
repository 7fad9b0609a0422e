"""(e) From the start of a process to the first answer on its page: the page over a bundle against the same page over
fastai.

    python bench/cold.py [--model mobilenetv3_small_100] [--reps 5]

Each start is a process of its own; starts are interleaved. A client outside asks the page over HTTP as soon as it is
open. Seconds of wall and CPU, peak memory of the serving process, medians; the ratios are printed last. The photo is
drawn in a temporary folder.
"""
import argparse
import contextlib
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from predict import draw_photos, make_bundle, make_learner

OURS = """
import sys
from the_project.page.app import launch_options, make_app
_, url, _ = make_app(sys.argv[1]).launch(prevent_thread_lock=True, **launch_options())
print(url, flush=True)
sys.stdin.readline()
"""
FASTAI = """
import sys, warnings
warnings.filterwarnings("ignore")
from pathlib import Path
from fastai.vision.all import load_learner
import the_project.page.app as app
from the_project.answer.config import read_config

class LearnerPredictor:
    def __init__(self, bundle, max_pixels=None):
        self.folder, self.config = Path(bundle), read_config(bundle)
        self.labels, self.learn, self.priors, self.rules = self.config["labels"], load_learner(sys.argv[2]), {}, {}
    def predict(self, photo, given=None, subset=None):
        with self.learn.no_bar():
            row = self.learn.predict(photo)[2]
        probabilities = dict(zip(self.labels, row.tolist()))
        values, order = row.topk(3)
        top = [(self.labels[i], p) for i, p in zip(order.tolist(), values.tolist())]
        empty = dict.fromkeys(("subset", "doubt", "set", "venomous", "decision"))
        unsaid = {"rank": None, "name": None, "probability": None}
        said = {"file": str(photo), "top": top, "probabilities": probabilities, "genus": {}, "notes": []}
        return empty | said | {"given": {}, "roll_up": unsaid}

app.Predictor = LearnerPredictor
_, url, _ = app.make_app(sys.argv[1]).launch(prevent_thread_lock=True, **app.launch_options())
print(url, flush=True)
sys.stdin.readline()
"""


def ask(url, photo):
    "Upload a photo to the page and wait for its answer"
    edge, data = "edge0123456789", Path(photo).read_bytes()
    body = (f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="photo.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n").encode() + data + f"\r\n--{edge}--\r\n".encode()
    api = url.rstrip("/") + "/gradio_api"
    headers = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    with urllib.request.urlopen(urllib.request.Request(f"{api}/upload", body, headers)) as reply:
        path = json.load(reply)[0]
    photo = {"path": path, "orig_name": "photo.jpg", "meta": {"_type": "gradio.FileData"}}
    request = urllib.request.Request(f"{api}/call/identify", json.dumps({"data": [photo]}).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        event = json.load(reply)["event_id"]
    with urllib.request.urlopen(f"{api}/call/identify/{event}") as reply:
        answer = json.loads(re.search(r"event: complete\ndata: (.*)", reply.read().decode())[1])[0]
    assert len(answer["top"]) == 3, answer
    return answer


def start(code, bundle, learner, photo):
    "(wall, cpu seconds, peak MB) of one process, from its start to its first answer"
    begin = time.perf_counter()
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen([sys.executable, "-c", code, str(bundle), str(learner)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    url = process.stdout.readline().strip()
    if not url:
        sys.exit(process.stderr.read())
    ask(url, photo)
    wall = time.perf_counter() - begin
    status = Path(f"/proc/{process.pid}/status").read_text()  # wait4's peak would include this process', at the fork
    memory = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
    process.kill()
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return wall, usage.ru_utime + usage.ru_stime, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mobilenetv3_small_100")
    parser.add_argument("--reps", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos, learner = draw_photos(Path(folder) / "photos", 1200, 900, 8), Path(folder) / "learner.pkl"
        with contextlib.redirect_stdout(io.StringIO()):
            bundle = make_bundle(args.model, Path(folder) / "bundle")
            make_learner(args.model, Path(folder) / "photos").export(learner)
        rows = {"fastai": [], "bundle": []}
        codes = {"fastai": FASTAI, "bundle": OURS}
        for code in codes.values():
            start(code, bundle, learner, photos[0])  # files into the page cache
        for rep in range(args.reps):
            for who in (list(codes), list(codes)[::-1])[rep % 2]:
                rows[who].append(start(codes[who], bundle, learner, photos[0]))
    found = {who: [statistics.median(column) for column in zip(*row)] for who, row in rows.items()}
    for who, (wall, cpu, memory) in found.items():
        print(f"page over {who:7s} first answer after {wall:6.2f} s wall, {cpu:6.2f} s cpu, peak {memory:6.0f} MB")
    wall, cpu, memory = (theirs / ours for theirs, ours in zip(found["fastai"], found["bundle"]))
    print(f"page over the bundle against fastai: {wall:.1f}x sooner (aim 2.3x), {cpu:.1f}x less cpu, "
          f"{memory:.1f}x less memory (aim 3x)")


if __name__ == "__main__":
    main()
