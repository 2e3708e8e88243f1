"""Workers, trainers, the database and the server are killed while jobs run: every job ends once, and as in peace.

    python benchmarks/chaos.py [--jobs 100] [--workers 4] [--every 4] [--seed 0] [--databases sqlite postgresql]

Tiny encoders of random weights are trained by the installed commands: `modwright serve` and so many `modwright worker`.
Jobs are created over HTTP, all at once. Every few seconds something is killed (SIGKILL): a trainer, a worker (started
again), the server (started again), and PostgreSQL itself (immediate stop, started again). It goes on until every job has
ended. Then it is counted: each job has one SUCCESS and one model, its steps are 1 to N each once, its artifact has the
id that the same rows give in peace, its model installs from blobs with every hash right, and no workspace is left.
Results go to benchmarks/results/chaos.json. Run again after it was interrupted, it goes on with the jobs that are there;
what was counted for a database of the same numbers is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chaos_ground import Ground
from common import RESULTS, TUNED_PACKAGES, machine

BOOK = RESULTS / "chaos.json"
#: How often each thing is killed, of a hundred kills.
_SHARES = {"trainer": 45, "worker": 40, "server": 8, "database": 7}
_DEADLINE_S = 4 * 3600.0


@dataclass
class Night:
    """One bad night: what runs, and what was killed so far."""

    ground: Ground
    workers: int
    every_s: float
    draw: np.random.Generator
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    server: subprocess.Popen[bytes] | None = None
    kills: Counter[str] = field(default_factory=Counter)

    def run(self, jobs: int) -> dict[str, Any]:
        """Create the jobs that are missing, kill until all have ended, and count."""
        begun = time.monotonic()
        try:
            self.start_server()
            self.ground.create(jobs)
            self._start_workers()
            self._disturb(jobs, time.monotonic() + _DEADLINE_S)
        finally:
            self.end()
        return {
            "jobs": jobs,
            "workers": self.workers,
            "kills": dict(self.kills),
            "seconds": round(time.monotonic() - begun, 1),
            **self.ground.counted(),
        }

    def _disturb(self, jobs: int, deadline: float) -> None:
        said = -1
        while (ended := self.ground.ended()) < jobs:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{ended} of {jobs} jobs ended")
            if ended != said:
                print(f"  {ended} of {jobs} ended, killed {dict(self.kills)}", flush=True)
                said = ended
            time.sleep(float(self.draw.uniform(0.5, 1.5)) * self.every_s)
            self._kill_something()
            self._start_workers()

    def _kill_something(self) -> None:
        names = [name for name in _SHARES if name != "database" or self.ground.can_kill_database]
        shares = np.array([_SHARES[name] for name in names], dtype=float)
        name = str(self.draw.choice(names, p=shares / shares.sum()))
        if getattr(self, f"_kill_{name}")():
            self.kills[name] += 1

    def _kill_trainer(self) -> bool:
        trainers = [pid for worker in self.processes for pid in children(worker)]
        if not trainers:
            return False
        os.kill(int(self.draw.choice(trainers)), signal.SIGKILL)
        return True

    def _kill_worker(self) -> bool:
        pid = int(self.draw.choice(list(self.processes)))
        process = self.processes.pop(pid)
        process.kill()
        process.wait()
        return True

    def _kill_server(self) -> bool:
        assert self.server is not None
        self.server.kill()
        self.server.wait()
        self.start_server()
        return True

    def _kill_database(self) -> bool:
        self.ground.kill_database(float(self.draw.uniform(0.5, 4.0)))
        return True

    def _start_workers(self) -> None:
        self.processes = {pid: one for pid, one in self.processes.items() if one.poll() is None}
        while len(self.processes) < self.workers:
            process = self.ground.start("worker", "--quiet")
            self.processes[process.pid] = process

    def start_server(self) -> None:
        """Start the server and wait until it answers."""
        self.server = self.ground.start("serve", "--port", str(self.ground.port))
        url = f"{self.ground.url}/health"
        for _ in range(600):
            try:
                with urllib.request.urlopen(url, timeout=5):
                    return
            except OSError:
                if self.server.poll() is not None:
                    raise RuntimeError(f"the server left with {self.server.returncode}") from None
                time.sleep(0.2)
        raise TimeoutError("the server does not answer")

    def end(self) -> None:
        """Stop everything: politely, which gives back what is under way."""
        running = [*self.processes.values(), *([self.server] if self.server else [])]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that live."""
    try:
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [int(child) for text in lists for child in text.split()]


def main() -> None:
    """Spend a night on each database, write down what was counted; leave with 1 where a promise is broken."""
    given = _arguments()
    book = json.loads(BOOK.read_text()) if BOOK.is_file() else {}
    whole = {"jobs": given.jobs, "workers": given.workers, "every_s": given.every, "seed": given.seed}
    if book.get("asked") != whole:
        book = {"asked": whole, "databases": {}}
    for place, kind in enumerate(given.databases):
        if kind in book["databases"]:
            continue
        print(f"{kind}:", flush=True)
        with Ground.opened(kind, given) as ground:
            night = Night(ground, given.workers, given.every, np.random.default_rng([given.seed, place]))
            found = night.run(given.jobs)
        book["databases"][kind] = found
        book["machine"] = machine(TUNED_PACKAGES)
        book["all_kept"] = all(one["kept"] for one in book["databases"].values())
        BOOK.write_text(json.dumps(book, indent=2) + "\n")
        print(json.dumps(found, indent=2), flush=True)
        ground.remove()
    if not book["all_kept"]:
        sys.exit("a promise is broken")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--every", type=float, default=4.0, help="seconds between two kills, about")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=60, help="of each training")
    parser.add_argument(
        "--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"]
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
