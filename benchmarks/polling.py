"""What a training costs those who watch it: the times of answers beside a running job, and on an idle server.

    python benchmarks/polling.py [--clients 200] [--seconds 60] [--model tiny]

Starts `modwright serve` with its worker, as it is shipped, and a job of many steps. Clients, each with a connection of its
own, do what notebooks do: ask for the whole job, read the answer, wait a second. They do it in three phases, always for
the same job:

training    while the job runs: steps are written, bodies change, the trainer computes
idle        after the job was cancelled: nothing else is done
contention  the same, beside processes that only burn the processors, as many as the trainer kept busy, as nice as it was

Training against idle is what the training costs. Contention against idle is what of that the processors cost; the rest
comes of what changes: the job is written and its body made anew. The shares of the processors tell who was busy: the
server, its worker, the trainer, this process with its clients, what only burns, and all others on the machine: where
their share is not small, the figures are of them, too.
`--model` is `tiny`, an encoder of random weights made here, or what jobs may train, such as `balanced`.
The figures go to benchmarks/results/polling.json, or to --out.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from common import RESULTS, machine
from modwright.files import write_json
from modwright.testing import make_tiny_base, tiny_encoder_recipe, tiny_records

PACKAGES = ("modwright", "fastapi", "uvicorn", "sqlalchemy", "torch")
JOBS = "/v1/fine_tuning/jobs"
TINY = "tiny"
_PERIOD_S = 1.0
_SETTLING_S = 5.0
_PATIENCE_S = 600.0
_TICKS = os.sysconf("SC_CLK_TCK")
_STEPS = 1_000_000
_BURN = "import os; os.nice(%d - os.nice(0))\nwhile True: pass"
#: Share of the cost of training, in logarithms, from which one cause is named alone.
_MOST = 0.7


@dataclass
class Answers:
    """What came back: seconds of each answer, bytes of bodies, and how often which status."""

    seconds: list[float] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


def main() -> None:
    """Measure, print and write."""
    options = _arguments()
    with (
        tempfile.TemporaryDirectory(prefix="modwright-polling-") as folder,
        serving(Path(folder), options.model) as (url, server),
    ):
        phases = measured(url, server, options)
    result = {
        "machine": machine(PACKAGES),
        "model": options.model,
        "clients": options.clients,
        "seconds": options.seconds,
        "phases": phases,
        **compared(phases),
    }
    write_json(options.out, result)
    print(json.dumps(result, indent=2))


@contextlib.contextmanager
def serving(folder: Path, model: str) -> Iterator[tuple[str, int]]:
    """Run a server and its worker, both below a folder; gives its address and process id."""
    settings = {"MODWRIGHT_HOME": str(folder / "home")}
    if model == TINY:
        recipe = folder / "tiny.toml"
        overrides = ("batches.rows=512", "evaluation.resamples=0", "window.max_tokens=32")
        text = tiny_encoder_recipe(make_tiny_base(folder / "base"), *overrides).to_toml()
        recipe.write_text(text, encoding="utf-8")
        settings["MODWRIGHT_JOB_ALIASES"] = json.dumps({TINY: str(recipe)})
    code = "from modwright.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--port", "0", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **settings}
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"], process.pid
        finally:
            process.terminate()
            process.wait(60)


def measured(url: str, server: int, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the figures of each phase."""
    job = begun(url, options)
    trainer = found_trainer(server)
    niceness = int(_stat(trainer)[16])
    training = phase(url, server, job, options)
    assert asked(url, f"{JOBS}/{job}")["status"] == "RUNNING", "the job ended before the clients did"
    asked(url, f"{JOBS}/{job}/cancel", {})
    wait_for(url, job, lambda body: body["status"] == "CANCELLED")
    idle = phase(url, server, job, options)
    burners = max(1, math.ceil(training["processors"]["trainer"] - 0.1))
    with burning(burners, niceness):
        contention = phase(url, server, job, options)
    return {"training": training, "idle": idle, "contention": contention}


def begun(url: str, options: argparse.Namespace) -> str:
    """Create a job of more steps than anybody waits for; return its id once some of them are done."""
    content = "".join(json.dumps(record) + "\n" for record in tiny_records(2_000, seed=1)).encode()
    body = {
        "model": options.model,
        "training_files": [upload(url, content)],
        "hyperparameters": {"training_steps": _STEPS},
    }
    job = str(asked(url, JOBS, body)["id"])
    wait_for(url, job, lambda body: len(body["checkpoints"]) >= options.steps)
    return job


def wait_for(url: str, job: str, there: Any) -> None:
    """Wait until a job is as it should be."""
    until = time.monotonic() + _PATIENCE_S
    while not there(body := asked(url, f"{JOBS}/{job}")):
        if time.monotonic() > until or body["status"].startswith("FAILED"):
            sys.exit(f"the job is {body['status']}: {body['error']}")
        time.sleep(0.5)


def phase(url: str, server: int, job: str, options: argparse.Namespace) -> dict[str, Any]:
    """Let the clients ask for some seconds; return the times of answers, and who used the processors."""
    used, steps = Used.now(server), len(asked(url, f"{JOBS}/{job}")["checkpoints"])
    answers = asyncio.run(polled(url, f"{JOBS}/{job}", options.clients, options.seconds))
    shares = Used.now(server).shares_since(used)
    made = len(asked(url, f"{JOBS}/{job}")["checkpoints"]) - steps
    times = 1_000 * np.array(answers.seconds)
    count = len(answers.seconds)
    p50, p99 = np.percentile(times, [50, 99])
    return {
        "answers": count,
        "answers_per_second": round(count / options.seconds, 1),
        "statuses": dict(answers.statuses),
        "p50_ms": round(float(p50), 2),
        "p99_ms": round(float(p99), 2),
        "max_ms": round(float(times.max()), 2),
        "body_kb": round(float(np.mean(answers.bytes)) / 1_000, 1),
        "steps_per_second": round(made / (options.seconds + _SETTLING_S), 1),
        "processors": {name: round(share, 3) for name, share in shares.items()},
        "server_ms_per_answer": round(1_000 * shares["server"] * options.seconds / count, 2),
    }


async def polled(url: str, path: str, clients: int, seconds: float) -> Answers:
    """Ask by many clients, spread over the first second, until so many seconds were counted.

    The first seconds are not counted: connections are opened, and what the phase before left is still worked off.
    """
    answers, place = Answers(), urlsplit(url)
    counted = time.perf_counter() + _SETTLING_S
    until = counted + seconds

    async def client(number: int) -> None:
        await asyncio.sleep(_PERIOD_S * number / clients)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        request = f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\nAccept: application/json\r\n\r\n".encode()
        while (sent := time.perf_counter()) < until:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            if sent > counted:
                answers.seconds.append(time.perf_counter() - sent)
                answers.bytes.append(length)
                answers.statuses[int(head.split(b" ", 2)[1])] += 1
            await asyncio.sleep(_PERIOD_S)
        writer.close()

    await asyncio.gather(*map(client, range(clients)))
    return answers


@dataclass(frozen=True)
class Used:
    """Seconds of processors that each has used so far, by who, and when that was."""

    at: float
    seconds: dict[str, float]

    @classmethod
    def now(cls, server: int) -> Used:
        """Read /proc: the server, what it has started, this process, and the whole machine."""
        below = [(process, _words(process)) for process in _descendants(server)]
        trainers = sum(_seconds(process) for process, words in below if "modwright.jobs.trainer" in words)
        workers = sum(_seconds(process) for process, words in below if "worker" in words)
        busy = [float(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        machine_s = (sum(busy[:8]) - busy[3] - busy[4]) / _TICKS  # all but idle and waiting for disks
        burners = sum(
            _seconds(child) for child in _descendants(os.getpid()) if "while True" in " ".join(_words(child))
        )
        own = {"server": _seconds(server), "worker": workers, "trainer": trainers, "burners": burners}
        return cls(time.monotonic(), {**own, "clients": _seconds(os.getpid()), "machine": machine_s})

    def shares_since(self, before: Used) -> dict[str, float]:
        """Return how many processors each has used on average; `others` is what is left of the machine's."""
        passed = self.at - before.at
        shares = {name: (value - before.seconds[name]) / passed for name, value in self.seconds.items()}
        whole = shares.pop("machine")
        return {**shares, "others": max(0.0, whole - sum(shares.values()))}


def found_trainer(server: int) -> int:
    """Return the id of the trainer's process."""
    return next(process for process in _descendants(server) if "modwright.jobs.trainer" in _words(process))


def _descendants(process: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in path.read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found


def _words(process: int) -> list[str]:
    """Return a process's command line; empty where it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_text().split("\0")
    return []


def _stat(process: int) -> list[str]:
    """Return the fields behind the name in /proc/PID/stat; 11 and 12 are ticks used, 16 is the niceness."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def _seconds(process: int) -> float:
    with contextlib.suppress(OSError):
        return sum(map(int, _stat(process)[11:13])) / _TICKS
    return 0.0


@contextlib.contextmanager
def burning(number: int, niceness: int) -> Iterator[None]:
    """Keep so many processors busy with nothing, at a niceness."""
    burners = [subprocess.Popen([sys.executable, "-c", _BURN % niceness]) for _ in range(number)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def compared(phases: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return each phase as a ratio to idle, and what that says of the cause."""
    idle = phases["idle"]
    ratios = {
        name: {key: round(phases[name][key] / idle[key], 2) for key in ("p50_ms", "p99_ms")}
        for name in ("training", "contention")
    }
    whole, part = (float(np.log(max(1.0, ratios[name]["p99_ms"]))) for name in ("training", "contention"))
    share = part / whole if whole else 0.0
    if whole < np.log(1.2):
        cause = "none: the training costs those who watch it hardly anything"
    elif share >= _MOST:
        cause = "the processors: a process that only burns them costs as much"
    elif share <= 1.0 - _MOST:
        cause = "what changes, a job that is written and its body: burning the processors costs little"
    else:
        cause = "both the processors and what changes, a job that is written and its body"
    return {"ratios_to_idle": ratios, "cause": cause}


def asked(url: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask the server; a body makes it a POST."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def upload(url: str, content: bytes) -> str:
    """Upload a file to train on; return its id."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="train.jsonl"\r\n\r\n'
    headers = {"content-type": "multipart/form-data; boundary=b"}
    request = urllib.request.Request(f"{url}/v1/files", head + content + b"\r\n--b--\r\n", headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return str(json.load(answer)["id"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each phase")
    parser.add_argument("--steps", type=int, default=100, help="that are done before the clients come")
    parser.add_argument("--model", default=TINY)
    parser.add_argument("--out", type=Path, default=RESULTS / "polling.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
