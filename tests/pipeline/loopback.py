"""A stand-in server on loopback whose answers a test writes."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Given path and document, returns status, body (JSON-ready data, or bytes as they are) and further headers. Of the status
#: 0 the body is None for silence, or gives all the bytes of the answer, headers too, as slowly as it likes.
Answer = Callable[[str, Any], tuple[int, Any, dict[str, str]]]


@dataclass
class Asked:
    """What the server was asked: path, document and headers of every request."""

    url: str
    requests: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)

    @property
    def documents(self) -> list[Any]:
        return [document for _, document, _ in self.requests]


@contextlib.contextmanager
def stand_in(answer: Answer) -> Iterator[Asked]:
    """Serve until the end of the block."""
    release = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["content-length"])
            document = json.loads(self.rfile.read(length))
            asked.requests.append(
                (self.path, document, {key.lower(): value for key, value in self.headers.items()})
            )
            status, body, headers = answer(self.path, document)
            if status == 0:  # stay silent until the server goes
                with contextlib.suppress(OSError):  # who asked has gone
                    for piece in body or ():
                        self.wfile.write(piece)
                        if release.is_set():
                            return
                self.close_connection = True
                if body is None:
                    release.wait(20)
                return
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for key, value in {"content-type": "application/json", **headers}.items():
                self.send_header(key, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    asked = Asked(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        release.set()
        server.shutdown()
        server.server_close()
        thread.join()


def completion(
    text: str | None, *, finish: str = "stop", refusal: str | None = None
) -> tuple[int, Any, dict[str, str]]:
    """Return the answer of a chat completion."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    return 200, {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}, {}
