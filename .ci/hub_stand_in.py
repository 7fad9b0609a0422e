"""A Hub on loopback, for tests of publishing: the protocol of the Hugging Face Hub as far as publishing needs it, and faults to order.

Explained and tested in nbs/page/10_hub_stand_in.ipynb; no part of the wheel.
"""
import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from huggingface_hub.utils.sha import git_hash

from the_project.page.space import read_card


# as the Hub's .gitattributes and its look at the bytes
_LFS = ("*.onnx", "*.safetensors", "*.wasm", "*.bin", "*.jpg", "*.png", "*.zip")


def is_lfs(
    path: str,     # in the repository
    size: int,     # bytes
    sample: bytes,  # the first bytes of the file
) -> bool:
    "Whether a file is stored apart from git"
    return size > 0 and (size > 10_000_000 or b"\0" in sample
                         or any(fnmatch(path.lower(), pattern) for pattern in _LFS))


@dataclass
class Repo:
    "A repository of the stand-in"
    kind: str                    # "model", "dataset" or "space"
    name: str                    # "user/name"
    private: bool = False
    sdk: str | None = None       # of a Space
    hardware: str | None = None  # of a Space
    files: dict = field(default_factory=dict)    # path -> bytes
    commits: list = field(default_factory=list)  # (oid, title), oldest first

    def commit(self, title: str, changes: dict) -> str:
        "Apply path -> bytes, or None to delete; the commit's oid"
        for path, data in changes.items():
            if data is None: self.files.pop(path, None)
            else: self.files[path] = data
        state = "".join(f"{path}{git_hash(data)}" for path, data in sorted(self.files.items()))
        self.commits.append((hashlib.sha1(f"{len(self.commits)}{title}{state}".encode()).hexdigest(), title))
        if self.kind == "space": self.sdk = self.card().get("sdk", self.sdk)
        return self.commits[-1][0]

    def card(self) -> dict: return read_card(self.files.get("README.md", b"").decode())[0]

    def entry(self, path: str) -> dict:
        "A file as the Hub lists it"
        data = self.files[path]
        lfs = is_lfs(path, len(data), data[:512])
        large = dict(lfs=dict(oid=hashlib.sha256(data).hexdigest(), size=len(data), pointerSize=134)) if lfs else {}
        return dict(type="file", path=path, oid=git_hash(data), size=len(data), **large)

    def info(self) -> dict:
        "The repository as the Hub describes it"
        card = self.card()
        tags = [*(card.get("tags") or []), *([f"license:{card['license']}"] if "license" in card else [])]
        return dict(id=self.name, sha=self.commits[-1][0], private=self.private, tags=tags, cardData=card, gated=False,
                    disabled=False, siblings=[dict(rfilename=path) for path in sorted(self.files)],
                    **(dict(sdk=self.sdk) if self.sdk else {}))


@dataclass
class Fault:
    "What goes wrong, where, and how often"
    match: str          # regular expression over "METHOD /path"
    how: int | str      # an HTTP status, "cut" (before the work) or "lost" (after it)
    times: int = 1      # requests it hits
    after: int = 0      # requests it lets through first
    message: str = ""   # the Hub's words
    wait: int | None = None  # seconds, as the header Retry-After

    def hits(self, line: str) -> bool:
        "Whether this request fails; counts"
        if not re.search(self.match, line) or self.times <= 0: return False
        self.after -= 1
        if self.after >= 0: return False
        self.times -= 1
        return True


class HubStandIn:
    "`with HubStandIn() as hub:` a Hub at `hub.url`, with `hub.repos`, `hub.faults` and the list of requests `hub.log`"
    def __init__(
        self,
        user: str = "me",             # whose token it is
        token: str = "hf_stand_in",   # the one that is accepted
        role: str = "write",          # of the token: "read" or "write"
        paid: bool = False,           # may the user have Spaces that compute?
        organisations: tuple = (),    # the user belongs to
    ):
        self.user, self.token, self.role, self.paid, self.organisations = user, token, role, paid, organisations
        self.repos, self.objects, self.faults, self.log, self.hosts = {}, {}, [], [], {}
        self.lock = threading.RLock()

    def __enter__(self) -> "HubStandIn":
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def commits(self, kind: str, name: str) -> int:
        "Commits of a repository after the one that made it; 0 where there is none"
        return len(self.repos[kind, name].commits) - 1 if (kind, name) in self.repos else 0


class _Answer(Exception):
    "What a request is answered with"
    def __init__(self, status: int, body: object = None, **headers):
        self.status, self.body, self.headers = status, {} if body is None else body, headers


def _refuse(status: int, message: str, code: str | None = None) -> _Answer:
    return _Answer(status, dict(error=message), **{"X-Error-Message": message},
                   **({"X-Error-Code": code} if code else {}))


class _Handler(BaseHTTPRequestHandler):
    "One request; `_ROUTES` says who answers it"
    protocol_version, hub = "HTTP/1.1", None

    def log_message(self, *_): return

    def handle_one(self):
        length = self.headers.get("Content-Length")
        body, line = self.rfile.read(int(length)) if length else self._chunks(), f"{self.command} {self.path}"
        with self.hub.lock:
            fault = next((fault for fault in self.hub.faults if fault.hits(line)), None)
            how = fault.how if fault else None
            self.hub.log.append(f"{line}{f' !{how}' if fault else ''}")
            if how == "cut": return self._close()
            works = how in (None, "lost")
            answer = self._answer(line, body) if works else _refuse(how, fault.message or f"injected {how}")
            if fault and fault.wait is not None: answer.headers["Retry-After"] = str(fault.wait)
        return self._close() if how == "lost" else self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_one

    def _chunks(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked": return b""
        parts = []
        while size := int(self.rfile.readline(), 16): parts.append(self.rfile.read(size)), self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _close(self):
        self.close_connection = True
        self.connection.shutdown(2)

    def _answer(self, line: str, body: bytes) -> _Answer:
        path = unquote(urlsplit(self.path).path)
        public = self.command in ("GET", "HEAD") and not path.startswith("/api/whoami")
        public = public or path.startswith("/storage/")
        if self.headers.get("Authorization") != f"Bearer {self.hub.token}" and not public:
            return _refuse(401, "Invalid credentials in Authorization header")
        for pattern, function in _ROUTES:
            if found := re.fullmatch(pattern, f"{self.command} {path}"):
                try: return function(self.hub, *found.groups(), body, self)
                except _Answer as answer: return answer
        return _refuse(404, f"the stand-in has no {line}")

    def _send(self, answer: _Answer):
        data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        kind = "application/octet-stream" if isinstance(answer.body, bytes) else "application/json"
        for key, value in ({"Content-Type": kind, "Content-Length": str(len(data))} | answer.headers).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(data)


def _whoami(hub, body, request):
    orgs = [dict(name=name, type="org", roleInOrg="write") for name in hub.organisations]
    return _Answer(200, dict(type="user", name=hub.user, orgs=orgs,
                             auth=dict(type="access_token", accessToken=dict(displayName="x", role=hub.role))))


def _may_write(hub, owner: str):
    if hub.role != "write": raise _refuse(403, "Forbidden: your token has no write permission")
    if owner not in (hub.user, *hub.organisations):
        raise _refuse(403, f"Forbidden: you don't have the rights to write to {owner}")


def _create(hub, body, request):
    told = json.loads(body)
    kind, owner = told.get("type", "model"), told.get("organization") or hub.user
    name, sdk = f"{owner}/{told['name']}", told.get("sdk")
    _may_write(hub, owner)
    prefix = "" if kind == "model" else f"{kind}s/"
    if (kind, name) in hub.repos:
        raise _Answer(409, dict(error=f"You already created this {kind} repo", url=f"{hub.url}/{prefix}{name}"))
    if sdk in ("gradio", "docker") and not hub.paid:
        raise _refuse(402, "A subscription is required to create a Space with this SDK")
    repo = hub.repos[kind, name] = Repo(kind, name, told.get("visibility") == "private", sdk, told.get("hardware"))
    files = {".gitattributes": "".join(f"{pattern} filter=lfs\n" for pattern in _LFS).encode()}
    if sdk == "static":
        files |= {"README.md": b"---\nsdk: static\n---\n", "index.html": b"<h1>Welcome</h1>", "style.css": b"h1 {}"}
    repo.commit("initial commit", files)
    return _Answer(200, dict(url=f"{hub.url}/{prefix}{name}", name=name, id=name))


def _delete(hub, body, request):
    told = json.loads(body)
    name = f"{told.get('organization') or hub.user}/{told['name']}"
    _may_write(hub, name.split("/")[0])
    _repo(hub, told.get("type", "model"), name)
    del hub.repos[told.get("type", "model"), name]
    return _Answer(200)


def _repo(hub, kind: str, name: str, request=None) -> Repo:
    known = request is None or request.headers.get("Authorization") == f"Bearer {hub.token}"
    repo = hub.repos.get((kind, name))
    if repo is None or (repo.private and not known):
        raise _refuse(404 if known else 401, "Repository not found" if known else "Invalid username or password.",
                      "RepoNotFound")
    return repo


def _validate(hub, body, request):
    text, kind = json.loads(body)["content"], json.loads(body)["repoType"]
    data, _ = read_card(text)
    wrong = [] if text.startswith("---") else [dict(message="empty metadata")]
    if kind == "space" and data.get("sdk") not in ("gradio", "static", "docker"):
        wrong.append(dict(message='"sdk" must be one of gradio, docker, static'))
    if len(str(data.get("short_description", ""))) > 60:
        wrong.append(dict(message='"short_description" is longer than 60 characters'))
    return _Answer(400 if wrong and kind == "space" else 200,
                   dict(errors=wrong if kind == "space" else [], warnings=[] if kind == "space" else wrong))


def _preupload(hub, kind, name, revision, body, request):
    repo, files = _repo(hub, kind, name), []
    _may_write(hub, name.split("/")[0])
    for told in json.loads(body)["files"]:
        path, lfs = told["path"], is_lfs(told["path"], told["size"], base64.b64decode(told["sample"]))
        entry = repo.entry(path) if path in repo.files else {}
        there = entry["lfs"]["oid"] if "lfs" in entry else entry.get("oid")
        files.append(dict(path=path, uploadMode="lfs" if lfs else "regular", shouldIgnore=False,
                          **(dict(oid=there) if there else {})))
    return _Answer(200, dict(files=files))


def _batch(hub, prefix, name, body, request):
    _repo(hub, prefix[:-2] if prefix else "model", name)
    _may_write(hub, name.split("/")[0])
    objects = [dict(oid=told["oid"], size=told["size"]) for told in json.loads(body)["objects"]]
    for one in objects:
        if one["oid"] not in hub.objects: one["actions"] = dict(upload=dict(href=f"{hub.url}/storage/{one['oid']}"))
    return _Answer(200, dict(transfer="basic", objects=objects))


def _store(hub, oid, body, request):
    if hashlib.sha256(body).hexdigest() != oid: raise _refuse(400, "the content's hash is another")
    hub.objects[oid] = body
    return _Answer(200)


def _commit(hub, kind, name, revision, body, request):
    repo = _repo(hub, kind, name)
    _may_write(hub, name.split("/")[0])
    lines, changes = [json.loads(line) for line in body.splitlines()], {}
    header = lines[0]["value"]
    if header.get("parentCommit", repo.commits[-1][0]) != repo.commits[-1][0]:
        raise _refuse(412, "A commit has happened since. Please refresh and try again.")
    for line in lines[1:]:
        value = line["value"]
        if line["key"] == "file": changes[value["path"]] = base64.b64decode(value["content"])
        if line["key"] == "deletedFile": changes[value["path"]] = None
        if line["key"] == "lfsFile":
            if value["oid"] not in hub.objects:
                raise _refuse(400, f"the LFS object of {value['path']} was not uploaded")
            changes[value["path"]] = hub.objects[value["oid"]]
    oid = repo.commit(header["summary"], changes)
    return _Answer(200, dict(success=True, commitOid=oid, commitUrl=f"{hub.url}/{name}/commit/{oid}"))


def _info(hub, kind, name, body, request):
    repo = _repo(hub, kind, name, request)
    host = hub.hosts.get(name) or (f"{hub.url}/live/{name}" if repo.sdk == "static" else None)
    runtime = dict(stage="RUNNING" if host else "NO_APP_FILE",
                   hardware=dict(current=repo.hardware, requested=repo.hardware))
    return _Answer(200, repo.info() | (dict(host=host, runtime=runtime) if kind == "space" else {}))


def _tree(hub, kind, name, revision, body, request):
    repo = _repo(hub, kind, name, request)
    return _Answer(200, [repo.entry(path) for path in sorted(repo.files)])


def _history(hub, kind, name, revision, body, request):
    repo = _repo(hub, kind, name, request)
    return _Answer(200, [dict(id=oid, title=title, message="", authors=[dict(user=hub.user)],
                              date="2026-01-01T00:00:00.000Z")
                         for oid, title in reversed(repo.commits)])


def _runtime(hub, name, body, request):
    return _Answer(200, _info(hub, "space", name, body, request).body["runtime"])


def _file(hub, prefix, name, revision, path, body, request):
    repo = _repo(hub, prefix[:-2] if prefix else "model", name, request)
    if path not in repo.files: raise _refuse(404, "Entry not found", "EntryNotFound")
    entry = repo.entry(path)
    return _Answer(200, repo.files[path],
                   **{"ETag": f'"{entry.get("lfs", entry)["oid"]}"', "X-Repo-Commit": repo.commits[-1][0]})


def _live(hub, name, path, body, request):
    return _file(hub, "spaces/", name, "main", path or "index.html", body, request)


_NAME, _KIND = r"([\w.-]+/[\w.-]+?)", r"/api/(model|dataset|space)s/"
_ROUTES = [
    (r"GET /api/whoami-v2", _whoami), (r"POST /api/repos/create", _create), (r"DELETE /api/repos/delete", _delete),
    (r"POST /api/validate-yaml", _validate), (rf"POST {_KIND}{_NAME}/preupload/(.+)", _preupload),
    (rf"POST /(spaces/|datasets/)?{_NAME}\.git/info/lfs/objects/batch", _batch), (r"PUT /storage/(\w+)", _store),
    (rf"POST {_KIND}{_NAME}/commit/(.+)", _commit), (rf"GET {_KIND}{_NAME}/tree/([^/]+)/?", _tree),
    (rf"GET {_KIND}{_NAME}/commits/(.+)", _history), (rf"GET /api/spaces/{_NAME}/runtime", _runtime),
    (rf"GET {_KIND}{_NAME}(?:/revision/.+)?", _info),
    (rf"(?:GET|HEAD) /(spaces/|datasets/)?{_NAME}/resolve/(\w+)/(.+)", _file),
    (rf"(?:GET|HEAD) /live/{_NAME}/(.*)", _live)]
