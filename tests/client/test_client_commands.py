"""`modwright files`, `jobs` and `models` against a real server: what they print, kept as a file, and how they fail.

`GOLDEN=write pytest tests/client` writes the transcript anew; read the difference before you commit.
"""

import io
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from client_rig import ROWS, rig
from rich.console import Console
from typer.testing import CliRunner

from modwright.cli import job_view
from modwright.cli.app import load_commands
from modwright.client import Client, Update
from modwright.errors import ConflictError, DataError, NotFoundError, TrainingError, UsageError

TRANSCRIPT = Path(__file__).parents[1] / "golden" / "cli" / "server.txt"
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def shared(tmp_path_factory, checker):
    with rig(tmp_path_factory.mktemp("rig"), checker) as made:
        yield made


@pytest.fixture
def server(shared, monkeypatch):
    """A server that other tests use, too, and which the commands ask."""
    ask(shared, monkeypatch)
    return shared


@pytest.fixture
def fresh(tmp_path, checker, monkeypatch):
    """A server that keeps nothing yet."""
    monkeypatch.chdir(tmp_path)
    with rig(tmp_path / "rig", checker) as made:
        ask(made, monkeypatch)
        yield made


def ask(made, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("MODWRIGHT_URL", made.url)
    monkeypatch.delenv("MODWRIGHT_KEY", raising=False)


def run(*words, code=0):
    """Run a command in this process and return what it prints; errors of ours come through."""
    result = CliRunner().invoke(load_commands(), list(words), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


class Transcript:
    """Commands and what they print, with ids as the names they were given and times as a form."""

    def __init__(self):
        self.lines, self._names = [], {}

    def run(self, *words):
        printed = run(*words)
        self.lines += [f"$ modwright {self._normal(' '.join(words))}", self._normal(printed).rstrip(), ""]
        return printed

    def _normal(self, text):
        text = _ID.sub(lambda found: self._names.setdefault(found[0], f"<id {len(self._names) + 1}>"), text)
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<time>", text)
        text = re.sub(r":20250416:[0-9a-f]{8}", ":20250416:<hex>", text)
        return re.sub(r"  +", "  ", text)


def first_id(printed):
    return _ID.search(printed)[0]


def test_the_whole_road_prints_what_it_is_kept_to_print(fresh, tmp_path):
    told = Transcript()
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "held.jsonl").write_text(json.dumps(ROWS[0]) + "\n")
    file = first_id(told.run("files", "upload", "train.jsonl"))
    told.run("files", "list")
    told.run("files", "show", file)
    told.run("files", "download", file, "--out", "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "train.jsonl").read_bytes()
    created = told.run(
        *("jobs", "create", "--model", "fast", "--train", f"{file}=2", "--validation", "held.jsonl"),
        *("--steps", "30", "--learning-rate", "1e-4", "--suffix", "goose", "--no-start"),
        *("--target", "moderation=insult,safe", "--set", "head.folds=3"),
    )
    job = re.search(r"created job (\S+)", created)[1]
    fresh.validate()
    told.run("jobs", "watch", job)
    told.run("jobs", "show", job)
    told.run("jobs", "start", job)
    claim = fresh.claim()
    fresh.warn(claim, "the rate is \x1b[31mignored")
    fresh.steps(claim, 1, 30, look=20)
    model = fresh.publish(claim)
    told.run("jobs", "watch", job)
    told.run("jobs", "list")
    told.run("jobs", "logs", job)
    told.run("models", "list")
    told.run("models", "rename", model, "Goose", "--description", "finds geese")
    told.run("models", "alias", model, "live")
    told.run("models", "show", "live")
    told.run("models", "archive", model)
    told.run("models", "list")
    told.run("models", "unarchive", model)
    told.run("models", "alias", model, "live", "--drop")
    told.run("models", "delete", model)
    told.run("files", "delete", file)
    found = "\n".join(told.lines)
    if os.environ.get("GOLDEN") == "write":
        TRANSCRIPT.write_text(found)
    assert found == TRANSCRIPT.read_text()


def test_for_machines_every_command_prints_json(server, tmp_path):
    path = server.path()
    file = json.loads(run("files", "upload", str(path), "--json"))["files"][0]
    assert json.loads(run("files", "show", file["id"], "--json")) == file
    assert file["id"] in [row["id"] for row in json.loads(run("files", "list", "--json"))["files"]]
    job = json.loads(run("jobs", "create", "--model", "fast", "--train", str(path), "--json"))
    assert job["training_files"] == [file["id"]]
    server.validate()
    server.train(12)
    lines = [json.loads(line) for line in run("jobs", "watch", job["id"], "--json").splitlines()]
    assert [line["step_number"] for line in lines if line["event"] == "step"] == list(range(1, 13))
    assert lines[-1]["event"] == "end"
    shown = json.loads(run("jobs", "show", job["id"], "--json"))
    assert shown["fine_tuned_model"] == lines[-1]["fine_tuned_model"]
    assert json.loads(run("jobs", "logs", job["id"], "--json"))["events"][0]["data"] == {"status": "QUEUED"}
    assert json.loads(run("jobs", "list", "--json"))["jobs"][0]["id"] == job["id"]
    assert json.loads(run("models", "show", lines[-1]["fine_tuned_model"], "--json"))["job"] == job["id"]
    assert {"goose"} <= {row["id"] for row in json.loads(run("models", "list", "--json"))["models"]}
    assert "fast" in [row["id"] for row in json.loads(run("models", "list", "--bases", "--json"))["models"]]


def test_the_key_of_weights_and_biases_comes_from_the_environment_and_is_not_told(server, monkeypatch):
    secret = "f00d" * 10
    monkeypatch.setenv("WANDB_API_KEY", secret)
    words = ("jobs", "create", "--model", "balanced", "--wandb-project", "geese", "--train")
    printed = run(*words, str(server.path()), "--json")
    assert secret not in printed
    claim = server.claim()
    assert json.loads(server.factory.sealer.open(claim.secrets)) == {"wandb": secret}
    assert json.loads(printed)["integrations"][0]["project"] == "geese"
    run("jobs", "cancel", json.loads(printed)["id"])
    server.factory.jobs.cancelled(claim)
    monkeypatch.delenv("WANDB_API_KEY")
    result = CliRunner().invoke(load_commands(), [*words, str(server.path())], catch_exceptions=False)
    assert "WANDB_API_KEY is not set here: the server's own key is used" in result.stderr
    claim = server.claim()
    assert claim.secrets is None
    run("jobs", "cancel", claim.job.id)
    server.factory.jobs.cancelled(claim)


def test_a_job_that_fails_leaves_with_what_it_failed_of(server):
    create = ("jobs", "create", "--model", "fast", "--train")
    job = json.loads(run(*create, str(server.path()), "--json"))["id"]
    server.refuse(code="invalid_data", message="no rows are left")
    with pytest.raises(DataError, match="no rows are left"):
        run("jobs", "watch", job)
    job = json.loads(run(*create, str(server.path()), "--json"))["id"]
    assert "CANCELLED" in run("jobs", "cancel", job)
    with pytest.raises(TrainingError, match="is CANCELLED"):
        run("jobs", "watch", job)
    with pytest.raises(ConflictError):
        run("jobs", "start", job)


def test_what_cannot_be_is_told_before_anything_is_uploaded(server):
    path = str(server.path())
    create = ("jobs", "create", "--model", "fast", "--train", path)
    before = run("files", "list", "--json")
    for words, kind, message in (
        (("--train", "none.jsonl"), NotFoundError, "neither a file here nor the id"),
        (("--train", f"{path}=much"), UsageError, "weight is 'much'"),
        (("--target", "moderation"), UsageError, "target is 'moderation'"),
        (("--set", "head.folds"), UsageError, "override is 'head.folds'"),
        (("--validation", "none.jsonl"), NotFoundError, "neither a file"),
    ):
        with pytest.raises(kind, match=message):
            run(*create, *words)
    with pytest.raises(UsageError, match="nothing is to be changed"):
        run("models", "rename", "goose")
    assert run("files", "list", "--json") == before


def test_as_a_process_it_prints_an_error_and_leaves_with_its_code(server):
    def leave(*words, **environment):
        done = subprocess.run(
            [sys.executable, "-c", "from modwright.cli import main; main()", *words],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **environment},
        )
        return done.returncode, done.stderr

    path = server.path(ROWS[0], "no json", '{"text": 3}')
    code, told = leave("files", "upload", str(path))
    assert code == 3
    assert f"{path}:2: " in told
    assert f"{path}:3" in told
    assert "Traceback" not in told
    code, told = leave("jobs", "list", "--json", MODWRIGHT_URL="http://127.0.0.1:1")
    assert code == 1
    assert json.loads(told)["error"]["code"] == "unavailable"


def test_on_a_terminal_one_line_moves_with_the_loss(server, monkeypatch):
    """The job goes on while it is watched; what the bar shows is read from the terminal it draws on."""
    job = json.loads(run("jobs", "create", "--model", "fast", "--train", str(server.path()), "--json"))["id"]
    server.validate()
    live = job_view.LiveJob()
    terminal = Console(force_terminal=True, width=120, record=True, file=io.StringIO())
    live._console = live._bar.live.console = terminal
    live._bar.disable = False
    shown = threading.Event()
    details = []

    def work():
        claim = server.claim()
        server.steps(claim, 1, 5, look=5)
        shown.wait(20)
        server.publish(claim)

    worker = threading.Thread(target=work)
    worker.start()
    with Client() as client, live:
        for update in client.jobs.watch(job, every_s=0.02):
            assert isinstance(update, Update)
            live.show(update)
            details.append(live._bar.tasks[0].fields["detail"])
            if details[-1].startswith("5/30"):
                shown.set()
    worker.join()
    assert any(re.match(r"5/30  loss 0\.\d{4}.*  best validation 0\.4000", detail) for detail in details)
    assert "step 5/30: loss 0.2000, validation 0.4000" in terminal.export_text()
