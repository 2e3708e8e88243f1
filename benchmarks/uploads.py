"""What uploads cost a server: memory of a large one, fifty at once, and a disk that fills up in the middle.

    python benchmarks/uploads.py [--megabytes 512] [--parallel 50]

Starts `modwright serve` without workers and talks to it over a socket. A file of 512 MB of records streams in; the peak
of resident memory over idle is read from /proc, of the server and of the process that checks files. Fifty clients send
2 MB each at the same moment. Then a server whose home is a tmpfs of 64 MB (made here, which needs root; left out
without) takes a file that does not fit, and another that does. The figures go to benchmarks/results/uploads.json.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from common import RESULTS, machine
from modwright.files import write_json

PACKAGES = ("modwright", "fastapi", "uvicorn", "python-multipart", "sqlalchemy")
ALLOWED_MB = 200
_MB = 1_000_000
_HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n'
_END = b"\r\n--b--\r\n"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--parallel", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, serving(Path(home)) as (url, process):
        upload(url, b"warm.jsonl", 1)
        large = measured(process, lambda: upload(url, b"large.jsonl", options.megabytes))
        at_once = measured(process, lambda: upload_many(url, options.parallel))
    result = {"machine": machine(PACKAGES), "large": large, "at_once": at_once, "full_disk": full_disk()}
    large["within_limit"] = large["server_peak_over_idle_mb"] < ALLOWED_MB
    write_json(RESULTS / "uploads.json", result)
    print(json.dumps(result, indent=2))


@contextlib.contextmanager
def serving(home: Path) -> Iterator[tuple[str, int]]:
    """Run a server that keeps things below a folder; gives its address and process id."""
    settings = {"MODWRIGHT_HOME": str(home), "MODWRIGHT_JOB_WORKERS": "0"}
    command = [
        sys.executable,
        "-c",
        "from modwright.cli import main; main()",
        "serve",
        "--port",
        "0",
        "--json",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **settings}
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"], process.pid
        finally:
            process.terminate()
            process.wait(60)


def records(megabytes: int, seed: int) -> Iterator[bytes]:
    """Yield about so many megabytes of JSONL in pieces of 64 KB or so, the same for the same arguments."""
    text = "some words of a comment that goes on and on, as comments do, until it ends here. " * 2
    piece, sent, number = [], 0, 0
    while sent < megabytes * _MB:
        labels = ["insult", "threat"] if number % 3 == 0 else ["safe"]
        row = {"text": f"{seed} {number} {text}", "labels": {"moderation": labels}}
        piece.append(json.dumps(row) + "\n")
        number += 1
        if number % 256 == 0:
            joined = "".join(piece).encode()
            sent, piece = sent + len(joined), []
            yield joined


def upload(url: str, name: bytes, megabytes: int, seed: int = 0) -> tuple[int, dict[str, Any]]:
    """Upload records; return status and body. A server that answers before the end is listened to."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=1_200)
    connection.putrequest("POST", "/v1/files")
    connection.putheader("content-type", "multipart/form-data; boundary=b")
    connection.putheader("transfer-encoding", "chunked")
    connection.endheaders()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for piece in itertools.chain([_HEAD % name], records(megabytes, seed)):
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(_END), _END))
    with contextlib.closing(connection):
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def upload_many(url: str, number: int) -> tuple[int, dict[str, Any]]:
    """Upload different files at the same moment; return 200 and what all of them hold, or the first refusal."""
    with ThreadPoolExecutor(number) as threads:
        answers = list(threads.map(lambda n: upload(url, b"%d.jsonl" % n, 2, n), range(number)))
    for status, body in answers:
        if status != 200:
            return status, body
    return 200, {key: sum(body[key] for _, body in answers) for key in ("bytes", "num_lines")}


def measured(process: int, work: Callable[[], tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    """Return seconds and peaks of memory over idle of a server and of its children while work is done."""
    family = [process, *children(process)]
    idle = {member: memory(member, "VmRSS") for member in family}
    for member in family:
        Path(f"/proc/{member}/clear_refs").write_text("5")  # the peak begins anew
    begun = time.perf_counter()
    status, body = work()
    seconds = time.perf_counter() - begun
    assert status == 200, body
    peaks = {member: memory(member, "VmHWM") for member in {*family, *children(process)}}
    checkers = [peaks[member] - idle.get(member, 0.0) for member in peaks if member != process]
    return {
        "mb": round(body["bytes"] / _MB, 1),
        "lines": body["num_lines"],
        "seconds": round(seconds, 1),
        "server_idle_mb": round(idle[process], 1),
        "server_peak_over_idle_mb": round(peaks[process] - idle[process], 1),
        "checkers_peak_over_idle_mb": [round(value, 1) for value in sorted(checkers)],
    }


def children(process: int) -> list[int]:
    """Return the ids of a process's children."""
    found = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text().split()]


def memory(process: int, what: str) -> float:
    """Return a figure of a process's memory in MB; VmRSS is now, VmHWM the peak."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(what))


def full_disk() -> dict[str, Any] | None:
    """Return what a server on a small disk answers to a file that does not fit, and what is left of it."""
    with tempfile.TemporaryDirectory() as home:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", home]).returncode:
            return None
        try:
            with serving(Path(home)) as (url, _):
                upload(url, b"warm.jsonl", 1)
                before = used_bytes(home)
                status, body = upload(url, b"large.jsonl", 200)
                left = used_bytes(home) - before
                after, _ = upload(url, b"small.jsonl", 5)
        finally:
            subprocess.run(["umount", home], check=True)
    return {"status": status, "code": body["code"], "left_bytes": left, "next_status": after}


def used_bytes(folder: str) -> int:
    """Return how much lies on a folder's file system in files that hold content, the database left out."""
    kept = [path for path in Path(folder).rglob("*") if path.is_file() and ".db" not in path.name]
    return sum(path.stat().st_size for path in kept)


if __name__ == "__main__":
    main()
