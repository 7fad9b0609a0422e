"""What a stranger may send to the page: each input gets one sentence or an answer, and the page still answers a good
photo after it.

    python bench/hostile.py [--bundle DIR] [--model mobilenetv3_small_100] [--quick]

The page runs in a process of its own. Printed: a table of inputs and answers, the serving process' memory after each,
and how many failed. An input fails when it gets no single line, a trace, an answer where a refusal is meant (or the
other way round), when the good photo after it gets another answer than before, or when something in the server's log
was not foreseen. Then one slow file is sent, and other visitors are timed meanwhile; last the page is stopped by SIGTERM,
and nothing of the visitors' may be left. Pictures are made in a temporary folder. --quick takes every fourth input.
"""
import argparse
import contextlib
import http.client
import http.server
import io
import json
import signal
import struct
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path

import numpy as np
from load import call, file_data, memory, serve, upload
from PIL import Image
from predict import draw_photos, make_bundle

FETCH, SENT, DOOR = "fetches nothing from the web", "was not sent to this page", "no such address"
HOST, ONLY = "not known as", "serves only what it was sent"


def saved(picture, kind, **options):
    "A picture as bytes"
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def chunk(kind, data):
    "One chunk of a PNG"
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def many_scans(n):
    "A progressive JPEG whose last scan comes again and again: each is decoded in full"
    data = saved(Image.new("L", (8000, 8000), 128), "JPEG", progressive=True, quality=30)
    last = data[data.rindex(b"\xff\xda"):-2]
    return data[:-2] + last * n + data[-2:]


def heic(picture):
    "A photo as an iPhone writes it, and words of the refusal where pillow-heif is not installed"
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(1000), "a HEIC photo"
    register_heif_opener()
    return saved(picture, "HEIF"), None


def files(good):
    "name of the input -> (file's name, bytes, words of the refusal; None: it is answered)"
    photo = Image.open(io.BytesIO(good)).convert("RGB")
    small, grey = photo.resize((64, 48)), photo.convert("L")
    frames = [small.rotate(15 * i) for i in range(5)]
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) << 8)
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "x" * 60_000, 6
    png = saved(small, "PNG")
    text_bomb = png[:-12] + chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(64 * 2**20))) + png[-12:]
    bundled = io.BytesIO()
    with zipfile.ZipFile(bundled, "w") as archive:
        archive.writestr("evil.py", "print(1)")
    huge_header = bytearray(good)
    start = next(i for i in range(len(good)) if good[i:i + 2] in (b"\xff\xc0", b"\xff\xc2"))
    huge_header[start + 5:start + 9] = struct.pack(">HH", 65_500, 65_500)
    loop = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 256, 3, 1, 1) + struct.pack("<I", 8)
    return {
        "JPEG of 400 scans more": ("scans.jpg", many_scans(400), ""),
        "16-bit PNG of 100 megapixels": ("deep.png", saved(Image.new("I;16", (10_000, 10_000)), "PNG"), ""),
        "name with $, backticks and an escape": ("$0_$50 `id` \x1b[31m.jpg", good, None),
        "bomb: 400 megapixels in 50 KB": ("bomb.png", saved(Image.new("1", (20_000, 20_000)), "PNG"), "the limit is"),
        "119 megapixels, just allowed": ("wide.png", saved(Image.new("1", (11_900, 10_000)), "PNG"), None),
        "JPEG that claims 65500 x 65500": ("claim.jpg", bytes(huge_header), "the limit is"),
        "PNG with a text of 64 MB in 64 KB": ("text.png", text_bomb, ""),
        "cut in the middle": ("cut.jpg", good[:len(good) // 2], "truncated"),
        "cut in the header": ("head.jpg", good[:30], "can't be opened"),
        "bits flipped": ("bits.png", png[:60] + bytes(b ^ 255 for b in png[60:90]) + png[90:], ""),
        "1 x 1": ("one.png", saved(Image.new("RGB", (1, 1), "red"), "PNG"), None),
        "20000 x 1": ("line.png", saved(Image.new("RGB", (20_000, 1), "red"), "PNG"), None),
        "1 x 20000": ("pole.jpg", saved(Image.new("RGB", (1, 20_000), "red"), "JPEG"), None),
        "SVG": ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "an SVG drawing"),
        "SVG called .png": ("a.png", b'<?xml version="1.0"?><svg><image href="http://127.0.0.1/"/></svg>', "SVG"),
        "text called .jpg": ("note.jpg", b"not a picture at all, just words", "not a picture"),
        "web page called .jpg": ("page.jpg", b"<!DOCTYPE html><html>404</html>", "a web page"),
        "PostScript (Pillow would run Ghostscript)": ("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
                                                     b"%%EndComments\n(%pipe%id) (r) file\n%%EOF\n", "PostScript"),
        "PDF": ("a.pdf", b"%PDF-1.7\n1 0 obj\n", "a PDF"),
        "zip archive": ("a.jpg", bundled.getvalue(), "a zip archive"),
        "HEIC": ("IMG_1.HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC photo"),
        "HEIC of a phone": ("IMG_2.HEIC", *heic(small)),
        "HEIC cut in the middle": ("IMG_3.HEIC", heic(small)[0][:400], ""),
        "text PPM of 80,000 comments": ("a.ppm", b"P3 9 9 255\n" + b"#a\n" * 80_000 + b"1 " * 243, ""),
        "video": ("a.mp4", b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "a video"),
        "random bytes": ("noise.jpg", np.random.default_rng(0).bytes(100_000), "not a picture"),
        "no bytes": ("empty.jpg", b"", "empty"),
        "only zero bytes": ("zero.jpg", bytes(10_000), "only zero bytes"),
        "animated GIF": ("a.gif", saved(frames[0], "GIF", save_all=True, append_images=frames[1:]), None),
        "animated WebP": ("a.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:]), None),
        "animated PNG": ("a.png", saved(frames[0], "PNG", save_all=True, append_images=frames[1:]), None),
        "CMYK JPEG": ("cmyk.jpg", saved(photo.convert("CMYK"), "JPEG"), None),
        "16-bit PNG": ("deep.png", saved(deep, "PNG"), None),
        "float TIFF with NaN": ("float.tif",
                                saved(Image.fromarray(np.full((40, 50), np.nan, np.float32)), "TIFF"), None),
        "palette with transparency": ("palette.png", saved(small.convert("P"), "PNG", transparency=3), None),
        "EXIF of 60 KB": ("exif.jpg", saved(photo, "JPEG", exif=exif), None),
        "broken EXIF": ("exif.jpg", saved(photo, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(40)), None),
        "TIFF whose directory points at itself": ("loop.tif", loop, ""),
        "photo and zip in one (polyglot)": ("both.jpg", good + bundled.getvalue(), None),
        "GIF that is also a script": ("a.gif", saved(small, "GIF") + b"*/=1;alert(1)//", None),
        "PNG called .exe": ("a.exe", png, None),
        "name leads out of the folder": ("../../../etc/cron.d/x.jpg", good, None),
        "name with a backslash": ("..\\..\\windows\\x.jpg", good, None),
        "name of 4000 letters": ("x" * 4000 + ".jpg", good, None),
        "name in Arabic, Chinese and emoji": ("ثعبان_蛇_🐍\u202egpj.exe", good, None),
        "name that is markup": ("<img src=x onerror=alert(1)>.jpg", good, None),
        "name that is a formula": ("=HYPERLINK(1).jpg", good, None),
        "name of a device": ("CON.jpg", good, None),
    }


def requests(url, known, picture):
    "name of the input -> (function that asks, words of the refusal)"
    mark, web = {"_type": "gradio.FileData"}, "http://127.0.0.1:9/x.jpg"
    deep = []
    for _ in range(100):
        deep = [deep]

    def raw(path, body, method="POST", kind="application/json", **headers):
        "A request made by hand: status and text"
        request = urllib.request.Request(f"{url}{path}", body, {"Content-Type": kind} | headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return {"error": reply.read(400).decode(errors="replace")}
        except urllib.error.HTTPError as error:
            return {"error": f"{error.code} {error.read(400).decode(errors='replace')}"}

    api = "/gradio_api"
    values = {"nothing": (None, "no file was sent"), "a number": (5, "no file was sent"),
              "a text": ("x" * 100, "no file was sent"),
              "a list": ([1, {}], "no file was sent"), "an empty object": ({}, "no file was sent"),
              "nested a hundred deep": (deep, "nested"),
              "a text of 100 KB": ("x" * 100_000, "too long"),
              "/etc/passwd": ({"path": "/etc/passwd"}, SENT),
              "/etc/passwd as a file": ({"path": "/etc/passwd", "meta": mark}, SENT),
              "a picture of the server": ({"path": str(picture)}, SENT),
              "/dev/zero": ({"path": "/dev/zero", "meta": mark}, SENT),
              "/proc/self/environ": ({"path": "/proc/self/environ", "meta": mark}, SENT),
              "out of the upload folder": ({"path": f"{known}/../../../../../etc/passwd", "meta": mark}, SENT),
              "a directory": ({"path": str(Path(known).parent), "meta": mark}, SENT),
              "a path with a null": ({"path": "a\0b", "meta": mark}, SENT),
              "a path of 100 KB": ({"path": "/" * 100_000, "meta": mark}, SENT),
              "meta that is a number": ({"path": "x", "meta": 7}, SENT),
              "size that is a word": ({"path": known + "x", "size": "big", "meta": mark}, SENT),
              "a web address": ({"path": web, "meta": mark}, FETCH),
              "a web address as url": ({"url": web, "path": "", "meta": mark}, FETCH),
              "the cloud's metadata": ({"path": "http://169.254.169.254/latest/meta-data", "meta": mark}, FETCH),
              "a file: address": ({"path": "file:///etc/passwd", "meta": mark}, FETCH)}
    asked = {f"request: {name}": (lambda value=value: call(url, value), words)
             for name, (value, words) in values.items()}
    return asked | {
        "request: a country nobody knows": (lambda: call(url, file_data(known), {"country": "Atlantis"}), "Atlantis"),
        "request: labels nobody knows": (lambda: call(url, file_data(known), None, ["x"]), "label 'x' is not"),
        "request: four values": (lambda: call(url, 1, 2, 3, 4), "4 values"),
        "request: no values": (lambda: call(url), "0 values"),
        "request: not JSON": (lambda: raw(f"{api}/call/identify", b"{{{"), "422"),
        "request: JSON of 2 MB": (lambda: raw(f"{api}/call/identify", b"[" * 2**21), "1 MB"),
        "request: an endpoint that is none": (lambda: raw(f"{api}/call/nothing", b'{"data": []}'), "no such endpoint"),
        "request: past the queue": (lambda: raw(f"{api}/run/identify", b'{"data": [null, null, null]}'),
                                    "join the queue"),
        "request: /file= of /etc/passwd": (lambda: raw(f"{api}/file=/etc/passwd", None, "GET"), ONLY),
        "request: /file= of the bundle": (lambda: raw(f"{api}/file={picture.parent.parent}/bundle/config.json", None,
                                                      "GET"),
                                          ONLY),
        "request: /file= of a temporary file": (lambda: raw(f"{api}/file={picture}", None, "GET"), ONLY),
        "request: /file= beside the uploads": (lambda: raw(f"{api}/file={known}/../../../server.log", None, "GET"),
                                               ONLY),
        "host: another name": (lambda: raw("/config", None, "GET", Host="evil.example"), HOST),
        "host: another name, a file": (lambda: raw(f"{api}/file={known}", None, "GET", Host="evil.example:7860"), HOST),
        "host: another name, an upload": (lambda: raw(f"{api}/upload", b"x", Host="localhost.evil.example"), HOST),
        "host: another name, an event": (lambda: raw(f"{api}/queue/data?session_hash=a", None, "GET", Host="a.b"),
                                         HOST),
        "host: forwarded for this machine": (lambda: raw("/config", None, "GET", Host="evil.example",
                                                         **{"X-Forwarded-Host": "localhost"}), HOST),
        "request: /file= of a web address": (lambda: raw(f"{api}/file={web}", None, "GET"), FETCH),
        "request: /proxy=": (lambda: raw(f"{api}/proxy={web}", None, "GET"), DOOR),
        "request: a component's functions": (lambda: raw(f"{api}/component_server", b"{}"), DOOR),
        "upload: 41 MB": (lambda: oversized(url), "maximum"),
        "upload: no multipart": (lambda: raw(f"{api}/upload", b"x" * 100), "Invalid content type"),
        "upload: 500 MB promised": (lambda: promised(url), "400 MB"),
    }


def oversized(url):
    "A file above the limit"
    try:
        return {"error": f"uploaded as {upload(url, bytes(41 * 2**20))}"}
    except urllib.error.HTTPError as error:
        return {"error": f"{error.code} {error.read().decode()}"}
    except OSError as error:
        return {"error": f"413 maximum (the connection was closed: {type(error).__name__})"}


def promised(url):
    "A request that announces 500 MB and brings a part of it"
    connection = http.client.HTTPConnection(url.rpartition("/")[2], timeout=30)
    connection.putrequest("POST", "/gradio_api/upload")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", str(500 * 2**20))
    connection.endheaders()
    for _ in range(64):
        connection.send(bytes(2**20))
    reply = connection.getresponse()
    return {"error": f"{reply.status} {reply.read().decode()}"}


def beside_slow(url, good):
    "Seconds of other visitors' answers while a slow file is opened, and what is said of that file"
    call(url, file_data(upload(url, good)))
    told, seconds = [], []
    slow = threading.Thread(target=lambda: told.append(said(call(url, file_data(upload(url, many_scans(3000)))))))
    slow.start()
    while slow.is_alive():
        begin = time.perf_counter()
        call(url, file_data(upload(url, good)))
        seconds.append(time.perf_counter() - begin)
    return seconds, told[0]


def add_odd_labels(bundle):
    "Labels that a page must not take for markup"
    from the_project.answer.config import seal_of
    path = Path(bundle) / "config.json"
    config = json.loads(path.read_text())
    config["labels"][:2] = ["<img src=x onerror=alert(1)>", "$0_$50 {{7*7}} ${7*7}"]
    config.pop("genus", None)
    config["seal"] = seal_of(config)
    path.write_text(json.dumps(config))
    return bundle


def said(answer):
    "An answer in one line"
    if "error" in answer:
        return str(answer["error"])
    return "answered" + "".join(f"; {note}" for note in answer["notes"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle")
    parser.add_argument("--model", default="mobilenetv3_small_100")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    listener = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)  # for the addresses below
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(draw_photos(Path(folder) / "photos", 640, 480, 1)[0])
        with contextlib.redirect_stdout(io.StringIO()):
            bundle = args.bundle or add_odd_labels(make_bundle(args.model, Path(folder) / "bundle"))
        good, failed, rows = photo.read_bytes(), 0, 0
        (Path(folder) / "uploads").mkdir()
        with serve(bundle, Path(folder) / "uploads") as (process, url):
            known = upload(url, good)
            before = call(url, file_data(known))
            print(f"{'input':44} {'MB':>5}  answer")

            def ask_file(name, data):
                return call(url, file_data(upload(url, data, Path(name).name if "/" not in name else name), name))

            inputs = {name: (lambda name=file, data=data: ask_file(name, data), words)
                      for name, (file, data, words) in files(good).items()}
            asked = list((inputs | requests(url, known, photo)).items())
            for name, (ask, words) in asked[::4] if args.quick else asked:
                try:
                    answer = ask()
                except urllib.error.HTTPError as error:
                    answer = {"error": f"{error.code} {error.read(300).decode(errors='replace')}"}
                except Exception as error:  # whatever it is, it is what the visitor would see
                    answer = {"error": f"NO ANSWER {type(error).__name__}: {error}"}
                line, after = said(answer), call(url, file_data(upload(url, good)))
                wrong = "NO ANSWER" in line or "\n" in line or len(line) > 400 or "Traceback" in line
                wrong |= after.get("probabilities") != before["probabilities"] or process.poll() is not None
                wrong |= ("error" in answer) != (words is not None) and words != ""
                wrong |= bool(words) and words not in line
                failed, rows = failed + wrong, rows + 1
                print(f"{name[:44]:44} {memory(process)[0]:5.0f}  {line[:150]}{'   <-- FAILED' * wrong}", flush=True)
            for path in ("/", "/config"):
                with urllib.request.urlopen(url + path) as reply:
                    failed += (markup := b"<img src=x" in reply.read())
                    print(f"a label that is markup, in {path}: {'not escaped   <-- FAILED' if markup else 'escaped'}")
            seconds, told = beside_slow(url, good)
            failed += (late := max(seconds) > 2)
            print(f"beside a slow file ({told[:90]}): {len(seconds)} others, slowest {max(seconds):.2f} s{' <-- FAILED' * late}")
            peak = memory(process)[1]
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            left = [path for path in (Path(folder) / "uploads").rglob("*") if path.is_file()
                    and path.name != "server.log"]
            failed += bool(left)
            print(f"left after SIGTERM: {len(left)} files{' <-- FAILED' * bool(left)}")
        log = (Path(folder) / "uploads" / "server.log").read_text()
        strays = [path for path in Path(folder).rglob("*") if path.name in ("x.jpg", "cron.d")
                  and "uploads" not in path.parts]
        failed += (traces := log.count("Traceback"))
        print(f"{rows} inputs, {failed} failed; traces in the server's log: {traces}; files outside "
              f"the upload folder: {len(strays)}; "
              f"peak memory {peak:.0f} MB")
        if "Traceback" in log:
            print(log[-4000:])
    sys.exit(bool(failed or strays))


if __name__ == "__main__":
    main()
