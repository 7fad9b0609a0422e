"""(f) The static page in headless Chromium against the Predictor: probes, and photos of every kind that a visitor may
bring.

    python bench/browser.py BUNDLE --runtime node_modules/onnxruntime-web [--photos FOLDER] [--chromium chromium]

Prints for each kind of file the largest difference in probability, and the page's milliseconds against the
Predictor's in the same run; then what a page that was tampered with says, what it does without its server, and
whether page and worker can reach another host.
"""
import argparse
import asyncio
import functools
import http.server
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from predict import draw_photos

from the_project.answer.picture import PictureError
from the_project.answer.predict import Predictor
from the_project.page.static import write_static

ASK = """(async files => { const page = await import("./page.js"), core = await import("./core.js"), rows = []
  const {config} = await (await fetch("page.json")).json()
  for (const file of files) { const blob = await (await fetch(file)).blob(), start = performance.now(), found = await page.ask(blob)
    rows.push(found.error ? {error: found.error} : {ms: performance.now() - start,
      probabilities: Object.values(core.decide(found.logits, found.strange, config).probabilities)}) }
  return rows })"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    "A plain web host"
    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript",
                      ".wasm": "application/wasm"}

    def log_message(self, *args): pass


def serve(folder):
    "Serve a folder on loopback; the server and its address"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}/"


class Browser:
    "Headless Chromium, spoken to over its debugging port"
    def __init__(self, program):
        self.folder = tempfile.mkdtemp()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
                   f"--user-data-dir={self.folder}", "about:blank"]
        self.process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port = Path(self.folder) / "DevToolsActivePort"
        while not port.exists() or not port.read_text().strip(): time.sleep(.1)
        self.port, self.count = port.read_text().split()[0], 0

    async def open(self):
        import urllib.request
        from websockets.asyncio.client import connect
        while not (pages := [p for p in json.load(urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json"))
                             if p["type"] == "page"]):
            time.sleep(.1)
        self.socket = await connect(pages[0]["webSocketDebuggerUrl"], max_size=None)
        return self

    async def send(self, method, **params):
        self.count += 1
        await self.socket.send(json.dumps(dict(id=self.count, method=method, params=params)))
        while True:
            message = json.loads(await self.socket.recv())
            if message.get("id") == self.count: return message.get("result", message)

    async def js(self, expression, seconds=10):
        "The value of an expression on the page"
        expression = (f"Promise.race([{expression}, "
                      f"new Promise(told => setTimeout(told, {1000 * seconds}, 'no answer in {seconds} s'))])")
        told = await self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told: raise RuntimeError(told["exceptionDetails"]["exception"].get("description"))
        return told["result"].get("value")

    async def goto(self, url, wait="document.body.dataset.ready || document.querySelector('.problem')"):
        await self.send("Page.navigate", url=url)
        for _ in range(600):
            await asyncio.sleep(.1)
            try:
                if await self.js(f"Boolean(document.body && ({wait}))"): return
            except RuntimeError: pass
        raise SystemExit(f"{url} is not ready: {await self.js('document.body.innerText')}")

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def kinds(folder):
    "One photo in the forms that visitors bring: name -> file"
    small, large = draw_photos(folder / "small", 640, 480, 2)[0], draw_photos(folder / "large", 4001, 3003, 2)[0]
    made, exif = {}, Image.Exif()

    def put(name, source, suffix, **options):
        made[name] = folder / f"{name.replace(' ', '-').replace(',', '')}.{suffix}"
        picture = Image.open(source) if isinstance(source, (str, Path)) else source
        picture.save(made[name], **options)
    put("jpeg 4:2:0", small, "jpg", quality=90)
    put("jpeg 4:4:4", small, "jpg2.jpg", quality=95, subsampling=0)
    put("jpeg progressive", small, "jpg", quality=85, progressive=True)
    put("jpeg grey", Image.open(small).convert("L"), "jpg")
    put("jpeg 12 MP", large, "jpg", quality=90)
    for turn in (2, 3, 6, 8):
        exif[0x0112] = turn
        put(f"jpeg 12 MP, EXIF {turn}", large, "jpg", quality=90, exif=exif)
    put("png", small, "png")
    put("png palette", Image.open(small).convert("P"), "png")
    alpha = Image.open(small).convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(alpha.size))
    put("png transparent", alpha, "png")
    put("webp", small, "webp", quality=90)
    put("gif", small, "gif")
    data = Path(made["jpeg 4:2:0"]).read_bytes()
    for name, content in {"truncated.jpg": data[:len(data) // 2], "empty.png": b"", "page.jpg": b"<!doctype html>",
                          "zeros.jpg": bytes(500)}.items():
        (folder / name).write_bytes(content)
        made[name] = folder / name
    return {name: str(path) for name, path in made.items()}


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--runtime", required=True, help="folder of onnxruntime-web")
    parser.add_argument("--photos", help="a folder of your own photos, answered too")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium")
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp())
    page, predictor = write_static(args.bundle, work / "page", "me/bench", runtime=args.runtime), Predictor(args.bundle)
    (work / "photos").mkdir()
    photos = kinds(work / "photos")
    if args.photos:
        photos |= {f"yours: {path.name}": str(path) for path in sorted(Path(args.photos).iterdir()) if path.is_file()}
    (page / "photos").mkdir()
    addresses = [f"photos/{i}" for i in range(len(photos))]
    for address, path in zip(addresses, photos.values()): shutil.copy(path, page / address)
    server, url = serve(page)
    browser = await Browser(args.chromium).open()
    try:
        begun = time.monotonic()
        await browser.goto(url)
        print(f"ready {time.monotonic() - begun:.1f} s after the address was entered, files on loopback")
        probes = predictor.config.get("probes", [])
        print(f"{len(probes)} probes: largest difference in probability "
              f"{await browser.js('import(`./page.js`).then(page => page.check())', 120):.2g}")
        rows, times = await browser.js(f"{ASK}({json.dumps(addresses)})", 300), []
        for (name, path), row in zip(photos.items(), rows):
            start = time.perf_counter()
            try: expected = predictor.predict(path)
            except PictureError as error: expected = {"error": str(error).removeprefix(f"{path}: ")}
            ms = 1000 * (time.perf_counter() - start)
            if "error" in row or "error" in expected:
                print(f"  {name:28s} page: {row.get('error', 'answered')} | predictor: "
                      f"{expected.get('error', 'answered')}")
                continue
            gap = np.abs(np.array(list(expected["probabilities"].values())) - row["probabilities"]).max()
            times.append(row["ms"] / ms)
            print(f"  {name:28s} difference {gap:.1e}   page {row['ms']:5.0f} ms, predictor {ms:4.0f} ms")
        print(f"a photo takes the page {statistics.median(times):.1f} times as long as the predictor (median)")
        blocked = await browser.js("fetch('https://example.org').then(() => 'reached', error => String(error))")
        inside = """new Promise(told => { const worker = new Worker(URL.createObjectURL(new Blob([`fetch("https://example.org").then(
            () => postMessage("reached"), error => postMessage(String(error)))`], {type: "text/javascript"})), {type: "module"}); worker.onmessage = ({data}) => told(data) })"""
        reports = """new Promise(told => { addEventListener("securitypolicyviolation", event => told(event.effectiveDirective + " refused " + event.blockedURI))
            fetch("https://example.org").catch(() => 0); setTimeout(() => told("no violation was reported"), 2000) })"""
        print(f"another host from the page: {blocked}; from a worker: {await browser.js(inside)}; the policy: "
              f"{await browser.js(reports)}")
        await asyncio.sleep(3)
        server.shutdown()
        server.server_close()
        await browser.goto(url)
        worst = await browser.js("import('./page.js').then(async page => "
                                 "(await page.ask(await (await fetch('bundle/probes/' + "
                                 "document.querySelector('#examples img').src.split('/').pop())).blob()))"
                                 ".logits.length)")
        print(f"without its server it opened again and answered with {worst} numbers")
        (page / "bundle" / "model.onnx").write_bytes((page / "bundle" / "model.onnx").read_bytes()[:-1] + b"x")
        server, url = serve(page)  # another port: another cache
        await browser.goto(url)
        print("tampered model:", await browser.js("document.querySelector('.problem')?.innerText || 'was taken!'"))
    finally: browser.close()


if __name__ == "__main__":
    asyncio.run(main())
