"""The ground of `chaos.py`: a home, a database that can be killed, tiny recipes, jobs over HTTP, and what is counted."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import working_folder
from modwright.artifact import read_artifact
from modwright.jobs.preparing import lay_down
from modwright.jobs.specs import JobSpec
from modwright.jobs.states import TERMINAL, Status
from modwright.jobs.validating import check_data, plan_of
from modwright.jobs.worker import open_parts
from modwright.jobs.workspace import FOLDER, Workspace
from modwright.pipeline.train import train
from modwright.settings import Settings
from modwright.storage.artifacts import install
from modwright.testing import make_tiny_base, tiny_encoder_recipe, tiny_records

COMMAND = Path(sys.executable).with_name("modwright")
PROJECT = "default"
_PROGRAMS = Path("/usr/lib/postgresql")
#: So many different files are trained on; the ids that they give in peace are computed once each.
_KINDS = 4


class PostgreSQL:
    """A server in a folder of its own that keeps what it has said it keeps, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._data = folder, folder / "data"
        self._programs = max(_PROGRAMS.glob("*/bin"), key=lambda path: float(path.parent.name))
        self._user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        folder.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        if not self._data.is_dir():
            self._run("initdb", "-D", self._data, "-U", "modwright", "-A", "trust", "-E", "UTF8")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://modwright@/postgres?host={self._folder}"

    def start(self) -> None:
        """Start it, as soon as what was killed has let go."""
        options = f"-c listen_addresses= -c unix_socket_directories={self._folder} -c max_connections=300"
        for _ in range(60):
            if self._run(
                "pg_ctl",
                "-D",
                self._data,
                "-w",
                "-l",
                self._folder / "log",
                "-o",
                options,
                "start",
                check=False,
            ):
                return
            time.sleep(0.5)
        raise TimeoutError("PostgreSQL does not start")

    def kill(self) -> None:
        """SIGKILL for the postmaster and all of its processes."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            postmaster = int((self._data / "postmaster.pid").read_text().split()[0])
            others = subprocess.run(
                ["pgrep", "-P", str(postmaster)], capture_output=True, text=True
            ).stdout.split()
            for pid in (postmaster, *map(int, others)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """Stop it."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "fast", "stop", check=False)

    def _run(self, program: str, *arguments: object, check: bool = True) -> bool:
        who = (
            {}
            if self._user is None
            else {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        )
        done = subprocess.run(
            [str(self._programs / program), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            **who,
        )
        if check and done.returncode:
            raise RuntimeError(f"{program} left with {done.returncode}")
        return done.returncode == 0


@dataclass
class Ground:
    """A home with a server's settings, and what is asked of it over HTTP and counted in its database."""

    settings: Settings
    steps: int
    port: int
    server: PostgreSQL | None = None
    peace: dict[int, str] = field(default_factory=dict)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, kind: str, given: argparse.Namespace) -> Iterator[Ground]:
        """Make, or find again, the ground of a database; PostgreSQL is stopped at the end."""
        folder = working_folder("chaos", f"{kind}-{given.jobs}-{given.seed}-{given.steps}")
        base = folder / "base"
        if not (base / "tokenizer.json").is_file():
            make_tiny_base(base)
        recipe = folder / "tiny.toml"
        small = ("training.epochs=4", "checkpoints.every_steps=5", "evaluation.resamples=0")
        recipe.write_text(tiny_encoder_recipe(base, *small).to_toml(), encoding="utf-8")
        postgresql = (
            PostgreSQL(Path("/tmp") / f"chaos-{os.getuid()}-{given.jobs}-{given.seed}")
            if kind == "postgresql"
            else None
        )
        settings = Settings(
            home=folder / "home",
            database=postgresql.url if postgresql else None,
            threads=1,
            lease_s=10.0,
            max_attempts=1000,
            job_workers=0,
            job_aliases={"tiny": str(recipe)},
        )
        try:
            yield cls(settings, given.steps, _free_port(), postgresql)
        finally:
            if postgresql is not None:
                postgresql.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def can_kill_database(self) -> bool:
        """Say whether there is a server to kill; SQLite dies with each process that writes it."""
        return self.server is not None

    def kill_database(self, away_s: float) -> None:
        """Kill PostgreSQL and start it again after a while."""
        assert self.server is not None
        self.server.kill()
        time.sleep(away_s)
        self.server.start()

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command of modwright on this ground."""
        told = self.settings.model_dump(mode="json", exclude_defaults=True)
        own = {
            f"MODWRIGHT_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
            for name, value in told.items()
        }
        kept = {key: value for key, value in os.environ.items() if not key.startswith("MODWRIGHT_")}
        log = (self.settings.home.parent / f"{arguments[0]}.log").open("ab")
        with log:
            return subprocess.Popen([str(COMMAND), *arguments], env=kept | own, stdout=log, stderr=log)

    def create(self, number: int) -> None:
        """Create the jobs that are not there yet; each has another seed, so none is another's twin."""
        names = {job["suffix"] for job in self._jobs()}
        files = self._files()
        for place in range(number):
            if f"n{place}" in names:
                continue
            train_file, held = files[place % _KINDS]
            self._ask(
                "/v1/fine_tuning/jobs",
                {
                    "model": "tiny",
                    "job_type": "classifier",
                    "training_files": [{"file_id": train_file, "weight": 1}],
                    "validation_files": [held],
                    "suffix": f"n{place}",
                    "hyperparameters": {"training_steps": self.steps},
                    "auto_start": True,
                },
            )

    def ended(self) -> int:
        """Return how many jobs have ended; 0 while nobody can say."""
        try:
            return sum(job["status"] in TERMINAL for job in self._jobs())
        except (OSError, ValueError):
            return 0

    def counted(self) -> dict[str, Any]:
        """Count what was promised, by the database itself and by the blobs."""
        parts = open_parts(self.settings)
        jobs, total = parts.jobs.list(PROJECT, page_size=100_000)
        broken: list[str] = []
        attempts: Counter[int] = Counter()
        for job in jobs:
            events = parts.jobs.events(PROJECT, job.id)
            ends = [
                one.data["status"] for one in events if one.data and one.data.get("status") in set(TERMINAL)
            ]
            steps = [one.step_number for one in parts.jobs.checkpoints(PROJECT, job.id, newest_first=False)]
            attempts[sum(one.name == "requeued" for one in events)] += 1
            if job.status is not Status.SUCCESS or ends != [Status.SUCCESS]:
                broken.append(f"{job.suffix} is {job.status}, ended {ends}, {job.error}")
            elif steps != list(range(1, self.steps + 1)):
                broken.append(f"{job.suffix} has the steps {steps[:3]}…{steps[-3:]} ({len(steps)})")
            else:
                broken += self._wrong_model(parts, job)
        lost = sorted({file for job in jobs for file in _files_of(job) if not _is_whole(parts, file)})
        models = parts.models.list(PROJECT)
        left = [path.name for path in (self.settings.home / FOLDER).glob("*") if path.is_dir()]
        kept = not broken and not lost and len(models) == total and not left
        return {
            "ended": dict(Counter(str(job.status) for job in jobs)),
            "models": len(models),
            "files_lost": len(lost),
            "queued_again": {str(times): number for times, number in sorted(attempts.items())},
            "workspaces_left": len(left),
            "broken": broken,
            "kept": kept,
        }

    def _wrong_model(self, parts: Any, job: Any) -> list[str]:
        model = parts.models.get(PROJECT, job.fine_tuned_model)
        folder = self.settings.home.parent / "installed"
        install(model.manifest, parts.blobs, folder)
        found, kind = read_artifact(folder).id, int(job.suffix[1:]) % _KINDS
        if kind not in self.peace:
            self.peace[kind] = self._in_peace(parts, job, kind)
        return [] if found == self.peace[kind] else [f"{job.suffix} has another artifact: {found[:12]}"]

    def _in_peace(self, parts: Any, job: Any, kind: int) -> str:
        workspace = Workspace(self.settings.home.parent / f"peace-{kind}")
        spec = JobSpec.from_json(job.spec)
        order = lay_down(workspace, PROJECT, spec, parts.files, parts.blobs, self.settings)
        dataset = check_data(order, workspace).dataset
        recipe = plan_of(order, dataset, self.settings).recipe
        return train(recipe, dataset, workspace.model, self.settings, on_event=lambda event: None).artifact.id

    def remove(self) -> None:
        """Remove all that was made: it was counted."""
        shutil.rmtree(self.settings.home.parent, ignore_errors=True)
        if self.server is not None:
            shutil.rmtree(self.server._folder, ignore_errors=True)

    def _files(self) -> list[tuple[str, str]]:
        """Upload what the jobs train on; the same content and name give the same file."""
        return [
            (
                self._upload(f"train-{kind}.jsonl", tiny_records(120, seed=kind)),
                self._upload(f"held-{kind}.jsonl", tiny_records(30, seed=1000 + kind)),
            )
            for kind in range(_KINDS)
        ]

    def _upload(self, name: str, records: list[dict[str, Any]]) -> str:
        boundary = "chaos"
        content = "".join(f"{json.dumps(record)}\n" for record in records)
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n{content}\r\n'
            f"--{boundary}--\r\n"
        ).encode()
        told = self._send("/v1/files", body, f"multipart/form-data; boundary={boundary}")
        return str(told["id"])

    def _jobs(self) -> list[dict[str, Any]]:
        told = self._send("/v1/fine_tuning/jobs?page_size=1000")
        found: list[dict[str, Any]] = told["data"]
        return found

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._send(path, json.dumps(body).encode(), "application/json")

    def _send(self, path: str, body: bytes | None = None, kind: str = "") -> dict[str, Any]:
        request = urllib.request.Request(self.url + path, body, {"Content-Type": kind} if kind else {})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                told: dict[str, Any] = json.load(answer)
                return told
        except urllib.error.HTTPError as error:
            raise OSError(f"{path}: {error.code} {error.read()[:500]!r}") from None


def _files_of(job: Any) -> tuple[str, ...]:
    return JobSpec.from_json(job.spec).file_ids


def _is_whole(parts: Any, file_id: str) -> bool:
    """Say whether a file is there with every byte."""
    row = parts.files.get(PROJECT, file_id)
    digest = hashlib.sha256()
    for piece in parts.blobs.read(row.sha256):
        digest.update(piece)
    return digest.hexdigest() == row.sha256


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])
