"""A crowd at the page: many clients at once, every answer checked, the server's memory watched.

    python bench/load.py [--bundle DIR] [--clients 32] [--requests 500] [--model mobilenetv3_small_100]

The page runs in a process of its own; each client uploads a photo (no two files are the same) and waits for its
answer, over and over. Printed: answers, errors, wrong answers (against the predictor), seconds from upload to answer
(median and 95 %), and the serving process' resident memory after every tenth of the requests. Without --bundle, a
random model of timm is exported for the occasion; photos are drawn.
"""
import argparse
import contextlib
import io
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from predict import draw_photos, make_bundle

SERVE = """
import sys
from the_project.page.app import launch_options, make_app
_, url, _ = make_app(sys.argv[1]).launch(prevent_thread_lock=True, **launch_options())
print(url, flush=True)
sys.stdin.readline()
"""


@contextlib.contextmanager
def serve(bundle, folder):
    "A page in a process of its own: (process, address)"
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1",
                   "GRADIO_TEMP_DIR": str(folder)}
    with open(Path(folder) / "server.log", "w") as log:
        process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", SERVE, str(bundle)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        url = process.stdout.readline().strip().rstrip("/")
        if not url:
            sys.exit((Path(folder) / "server.log").read_text())
        try:
            yield process, url
        finally:
            process.kill()
            process.wait()


def memory(process):
    "(resident, peak) MB of a process"
    status = Path(f"/proc/{process.pid}/status").read_text()
    return tuple(int(re.search(rf"{key}:\s+(\d+) kB", status)[1]) / 1024 for key in ("VmRSS", "VmHWM"))


def cpu(process):
    "Seconds of CPU that a process used so far"
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def upload(url, data, name="photo.jpg", timeout=120):
    "Send bytes as a file: the path that the page gave it"
    edge = "edge0123456789"
    body = (f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="'.encode() + name.encode() + b'"\r\n'
            b"Content-Type: application/octet-stream\r\n\r\n" + data + f"\r\n--{edge}--\r\n".encode())
    request = urllib.request.Request(f"{url}/gradio_api/upload", body,
                                     {"Content-Type": f"multipart/form-data; boundary={edge}"})
    with urllib.request.urlopen(request, timeout=timeout) as reply:
        return json.load(reply)[0]


def call(url, *values, endpoint="identify", timeout=120):
    "Ask an endpoint: its answer, or {'error': ...}"
    request = urllib.request.Request(f"{url}/gradio_api/call/{endpoint}", json.dumps({"data": values}).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as reply:
        event = json.load(reply)["event_id"]
    with urllib.request.urlopen(f"{url}/gradio_api/call/{endpoint}/{event}", timeout=timeout) as reply:
        text = reply.read().decode()
    data = json.loads(re.search(r"data: (.*)", text[text.rindex("event: "):])[1])
    return data[0] if isinstance(data, list) else data


def file_data(path, name="photo.jpg"):
    "An uploaded file as Gradio wants it named"
    return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--model", default="mobilenetv3_small_100")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos = [Path(photo) for photo in draw_photos(Path(folder) / "photos", 1200, 900, 8)]
        with contextlib.redirect_stdout(io.StringIO()):
            bundle = args.bundle or make_bundle(args.model, Path(folder) / "bundle")
        from the_project.answer.predict import Predictor
        expected = [label for photo in photos for label in [Predictor(bundle).top(photo)[0][0]]]
        data = [photo.read_bytes() for photo in photos]
        with serve(bundle, folder) as (process, url):
            call(url, file_data(upload(url, data[0])))  # warm
            counter, lock, seconds, errors, wrong = itertools.count(), threading.Lock(), [], [], []
            step = max(1, args.requests // 10)
            print(f"{args.clients} clients, {args.requests} photos of 1200x900\nanswered   resident MB\n"
                  f"{0:8d} {memory(process)[0]:13.0f}", flush=True)

            def client(_):
                while (i := next(counter)) < args.requests:
                    begin = time.perf_counter()
                    try:
                        # behind the picture's end: same picture, other file
                        path = upload(url, data[i % len(data)] + f"photo {i}".encode())
                        answer = call(url, file_data(path))
                        fault = answer.get("error") or None
                    except (OSError, urllib.error.URLError, ValueError) as error:
                        answer, fault = {}, f"{type(error).__name__}: {error}"
                    with lock:
                        seconds.append(time.perf_counter() - begin)
                        if fault:
                            errors.append(fault)
                        elif answer["top"][0][0] != expected[i % len(data)]:
                            wrong.append(i)
                        if len(seconds) % step == 0:
                            print(f"{len(seconds):8d} {memory(process)[0]:13.0f}", flush=True)

            begin, used = time.perf_counter(), cpu(process)
            with ThreadPoolExecutor(args.clients) as pool:
                list(pool.map(client, range(args.clients)))
            wall, used = time.perf_counter() - begin, cpu(process) - used
            alone = []
            for i in range(20):
                begin = time.perf_counter()
                call(url, file_data(upload(url, data[i % len(data)] + f"alone {i}".encode())))
                alone.append(time.perf_counter() - begin)
            quantiles = statistics.quantiles(seconds, n=20)
            print(f"{len(seconds) - len(errors)} answers, {len(errors)} errors, {len(wrong)} wrong, "
                  f"{len(seconds) / wall:.1f} a second "
                  f"and {1000 * used / len(seconds):.0f} ms of the server's CPU an answer; upload to answer: median "
                  f"{statistics.median(seconds):.2f} s, 95 % {quantiles[18]:.2f} s; "
                  f"one client alone: median {statistics.median(alone) * 1000:.0f} ms, 95 % "
                  f"{statistics.quantiles(alone, n=20)[18] * 1000:.0f} ms; "
                  f"peak memory {memory(process)[1]:.0f} MB")
            for fault in sorted(set(errors))[:5]:
                print("  error:", fault)
            log = (Path(folder) / "server.log").read_text()
            if "Traceback" in log:
                print(log[-2000:])
    sys.exit(bool(errors or wrong))


if __name__ == "__main__":
    main()
