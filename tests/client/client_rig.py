"""A real server on a real socket with a real SQLite database, jobs as a worker makes them, and both clients alike."""

import asyncio
import contextlib
import dataclasses
import inspect
import itertools
import json

from serving_fakes import deployments, served

from modwright import AsyncClient, Client
from modwright.cli.opening import open_factory
from modwright.settings import Settings
from modwright.storage.artifacts import publish
from modwright.storage.job_rows import Level, NewCheckpoint, NewEvent
from modwright.storage.models import NewModel

PROJECT = "default"
LABELS = ("insult", "threat", "safe")
TARGETS = [
    {
        "name": "moderation",
        "kind": "multi_label",
        "labels": list(LABELS),
        "weight": 1.0,
        "loss_function": "multi_class",
    },
]
RESULT = {
    "recipe": "fast",
    "plan": "trains the recipe 'fast'",
    "targets": TARGETS,
    "hyperparameters": {"training_steps": 30, "learning_rate": 1e-4, "epochs": 1.5},
    "metadata": {"expected_duration_seconds": 60, "train_tokens": 300, "cost": 0.25},
}
ROWS = [
    {"text": "you are a silly goose", "labels": {"moderation": ["insult"]}},
    {"text": "hello there", "labels": {"moderation": ["safe"]}},
]


def jsonl(*rows):
    """Return rows as the text of a file."""
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


class Rig:
    """The server's parts, and what a worker does with them."""

    def __init__(self, url, factory, folder):
        self.url, self.factory, self.folder = url, factory, folder
        self._numbers = itertools.count(1)

    def path(self, *rows, name=None):
        """Write a file of rows that no other test has, and return its path."""
        number = next(self._numbers)
        rows = rows or (*ROWS, {"text": f"row {number}", "labels": {"moderation": ["safe"]}})
        path = self.folder / (name or f"rows-{number}.jsonl")
        path.write_text(jsonl(*rows))
        return path

    def claim(self):
        """Take the job that is due."""
        claim = self.factory.jobs.claim("worker", 60.0)
        assert claim is not None
        return claim

    def validate(self):
        """Do the validation that is due."""
        claim = self.claim()
        self.factory.jobs.validated(claim, RESULT, [NewEvent("training-plan", RESULT["plan"])])
        return claim

    def refuse(self, **error):
        """Fail the job that is due."""
        claim = self.claim()
        self.factory.jobs.fail(claim, error, "FAILED_VALIDATION" if claim.phase == "validate" else "FAILED")

    def steps(self, claim, first, last, *, look=10):
        """Do some steps of a job, with falling losses and looks at every tenth."""
        self.factory.jobs.add_checkpoints(
            claim,
            [
                NewCheckpoint(n, 1 / n, 2 / n if n % look == 0 else None, 1e-4, 10)
                for n in range(first, last + 1)
            ],
        )

    def warn(self, claim, message):
        """Log a warning."""
        self.factory.jobs.add_events(claim, [NewEvent("warning", message, Level.WARN)])

    def publish(self, claim):
        """End a job with its model."""
        model = f"ft:classifier:fast:{PROJECT[:8]}:20250416:{claim.job.id[-8:]}"
        folder = self.folder / f"artifact-{claim.job.id}"
        folder.mkdir()
        (folder / "artifact.json").write_text("{}")
        (folder / "thresholds.json").write_text(
            json.dumps({"operating_points": {"default": {}, "strict": {}}})
        )
        new = NewModel(
            model, PROJECT, "fast", "0a1b" * 16, publish(folder, self.factory.blobs), TARGETS, claim.job.id
        )
        self.factory.jobs.succeed(
            claim, model, lambda connection: self.factory.models.insert(connection, new), trained_tokens=300
        )
        return model

    def train(self, last=30):
        """Do the whole training that is due, and return the model's id."""
        claim = self.claim()
        self.steps(claim, 1, last)
        return self.publish(claim)


class Shared:
    """A checker that outlives the servers that use it."""

    def __init__(self, checker):
        self.parallel, self.check = checker.parallel, checker.check

    def close(self):
        """Leave it open."""


@contextlib.contextmanager
def rig(folder, checker, **changes):
    """Give a rig whose server answers on loopback."""
    made = open_factory(Settings(home=folder / "home"))
    made.checker.close()
    factory = dataclasses.replace(made, checker=Shared(checker))
    (folder / "files").mkdir(parents=True)
    try:
        with served(deployments(), factory, **changes) as url:
            yield Rig(url, factory, folder / "files")
    finally:
        factory.database.close()


class Awaited:
    """An asynchronous client that is called like the other one."""

    def __init__(self, inner, runner):
        self._inner, self._runner = inner, runner

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if not callable(found):
            return found if isinstance(found, str) else Awaited(found, self._runner)

        def called(*arguments, **named):
            result = found(*arguments, **named)
            if inspect.isasyncgen(result):
                return self._each(result)
            return self._runner.run(result)

        return called

    def _each(self, stream):
        try:
            while True:
                try:
                    yield self._runner.run(anext(stream))
                except StopAsyncIteration:
                    return
        finally:
            self._runner.run(stream.aclose())


@contextlib.contextmanager
def asking(kind, *arguments, **named):
    """Give a client of a kind, "sync" or "async"."""
    if kind == "sync":
        with Client(*arguments, **named) as client:
            yield client
        return
    with asyncio.Runner() as runner:
        client = AsyncClient(*arguments, **named)
        yield Awaited(client, runner)
        runner.run(client.close())
