"""What a real trainer, and a real check of a file, find in their environment: what they need, no secret of the server."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from modwright.jobs.checking import ProcessChecker
from modwright.jobs.environment import needed
from modwright.jobs.executors import LocalExecutor, TrainerCommand, trainer_environment
from modwright.jobs.states import Phase
from modwright.settings import Settings

SECRETS = {
    "AWS_ACCESS_KEY_ID": "s3cret-aws-id",
    "AWS_SECRET_ACCESS_KEY": "s3cret-aws",
    "AWS_SESSION_TOKEN": "s3cret-session",
    "MODWRIGHT_DATABASE": "postgresql://u:s3cret-db@h/n",
    "MODWRIGHT_STORAGE": "s3://s3cret-bucket",
    "MODWRIGHT_SECRET_KEY": "s3cret-key-of-32-characters-or-more",
    "MODWRIGHT_KEY": "mw-s3cret",
    "PGPASSWORD": "s3cret-pg",
    "DATABASE_URL": "s3cret-url",
    "OPENAI_API_KEY": "s3cret-openai",
    "GITHUB_TOKEN": "s3cret-github",
    "WANDB_API_KEY": "s3cret-wandb",
}
NEEDED = {
    "https_proxy": "http://127.0.0.1:9",
    "NO_PROXY": "localhost",
    "HF_HOME": "/nowhere",
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
    "NCCL_DEBUG": "WARN",
    "LC_ALL": "C.UTF-8",
}
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def surroundings(monkeypatch):
    for name, value in (SECRETS | NEEDED).items():
        monkeypatch.setenv(name, value)


def environment_of(pid):
    deadline = time.monotonic() + 20
    while not (content := Path(f"/proc/{pid}/environ").read_bytes()):  # not yet set up by the kernel
        assert time.monotonic() < deadline
    entries = content.decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if entry)


@linux
def test_a_trainer_has_what_it_needs_and_no_secret_of_the_server(surroundings, tmp_path):
    settings = Settings(
        home=tmp_path / "home",
        cache=tmp_path / "cache",
        database=SECRETS["MODWRIGHT_DATABASE"],
        secret_key=SECRETS["MODWRIGHT_SECRET_KEY"],
        key=SECRETS["MODWRIGHT_KEY"],
        threads=1,
    )
    command = TrainerCommand(
        Phase.VALIDATE, tmp_path, trainer_environment(settings, {"WANDB_TAGS": "of the job"})
    )
    running = LocalExecutor().start(command)
    try:
        found = environment_of(running.pid)
    finally:
        assert any("holds no order" in line for line in running.lines()), "it is a trainer, and it worked"
        running.kill()
    assert "s3cret" not in str(found)
    assert not SECRETS.keys() & found.keys()
    assert found.items() >= NEEDED.items()
    assert found["PATH"]
    assert found["WANDB_TAGS"] == "of the job"
    own = {name: value for name, value in found.items() if name.startswith("MODWRIGHT_")}
    assert own == {
        "MODWRIGHT_HOME": str(settings.home),
        "MODWRIGHT_CACHE": str(settings.cache),
        "MODWRIGHT_THREADS": "1",
    }


@linux
def test_the_check_of_a_file_sees_no_secret_either(surroundings):
    checker = ProcessChecker(parallel=1)
    try:
        row = b'{"text": "you are a silly goose", "labels": {"moderation": ["insult"]}}\n'
        assert checker.check([row], "rows.jsonl").lines == 1
        (reader,) = checker._readers
        found = environment_of(reader._process.pid)
    finally:
        checker.close()
    assert "s3cret" not in str(found)
    assert not SECRETS.keys() & found.keys()
    assert found.items() >= NEEDED.items()


def test_a_name_that_nobody_thought_of_stays_behind():
    assert needed({"SOME_VENDORS_TOKEN": "x", "PATH": "/bin", "Http_Proxy": "p"}) == {
        "PATH": "/bin",
        "Http_Proxy": "p",
    }
