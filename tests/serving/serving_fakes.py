"""A tiny deterministic classifier, engines and settings around it, and a real server in a thread."""

import contextlib
import re
import socket
import threading
import time
from pathlib import Path

import numpy as np
import uvicorn

from modwright.api.app import create_app
from modwright.evaluation.calibration import TargetCalibration
from modwright.evaluation.thresholds import OperatingPoint
from modwright.schema import Schema, Scores, Target, TargetKind
from modwright.serving.deployments import Deployment, Deployments
from modwright.serving.engine import Engine
from modwright.settings import Settings

MODERATION = Target.create("moderation", TargetKind.MULTI_LABEL, ["insult", "threat", "safe"])
TONE = Target.create("tone", TargetKind.SINGLE_LABEL, ["kind", "rude"])
SCHEMA = Schema((MODERATION, TONE))
#: Characters of one window of the fake.
WINDOW = 100
_WORDS = {"insult": "goose", "threat": "honk", "rude": "silly"}


class FakeClassifier:
    """Scores by the share of a label's word among the words of each window; the context counts a tenth."""

    def __init__(self, schema=SCHEMA):
        self.schema = schema
        self.batches = []

    def predict_proba(self, inputs):
        self.batches.append([item[-1].content for item in inputs])
        self.before(inputs)
        values = {t.name: np.zeros((len(inputs), len(t.labels))) for t in self.schema}
        spans = {t.name: np.zeros((len(inputs), len(t.labels), 2), dtype=np.int64) for t in self.schema}
        windows = np.zeros(len(inputs), dtype=np.int64)
        for n, item in enumerate(inputs):
            last, context = item[-1].content, " ".join(message.content for message in item[:-1])
            begins = range(0, max(len(last), 1), WINDOW)
            windows[n] = len(begins)
            for target in self.schema:
                for k, label in enumerate(target.labels):
                    parts = [word_share(label, last[begin : begin + WINDOW]) for begin in begins]
                    best = int(np.argmax(parts))
                    values[target.name][n, k] = 0.9 * parts[best] + 0.1 * word_share(label, context)
                    begin = best * WINDOW
                    spans[target.name][n, k] = (begin, min(begin + WINDOW, len(last)))
                if target.kind is TargetKind.SINGLE_LABEL:
                    row = values[target.name][n]
                    row[0] = 1.0 - row[1:].sum()
        return Scores(values, windows, spans)

    def before(self, inputs):
        """Overridden to sleep or fail."""


def word_share(label, text):
    """Return 0.05 for no such word, up to 0.95 for nothing else; the negative label is the opposite."""
    if label == "safe":
        return 1.0 - max(word_share(other, text) for other in ("insult", "threat"))
    words = re.findall(r"\w+", text.lower())
    return 0.05 + 0.9 * (words.count(_WORDS.get(label, label)) / len(words) if words else 0.0)


class FailingClassifier(FakeClassifier):
    """Does what a text says: raises, hangs until released, or answers nonsense."""

    def __init__(self, errors=None, schema=SCHEMA):
        super().__init__(schema)
        self.errors = errors or {}
        self.release = threading.Event()
        self.delay_s = 0.0

    def before(self, inputs):
        time.sleep(self.delay_s)
        for item in inputs:
            text = item[-1].content
            if text in self.errors:
                raise self.errors[text]
            if text == "hang":
                assert self.release.wait(20)

    def predict_proba(self, inputs):
        scores = super().predict_proba(inputs)
        texts = [item[-1].content for item in inputs]
        values = scores.values["moderation"]
        if "nan" in texts:
            values[texts.index("nan"), 0] = np.nan
        if "above one" in texts:
            values[texts.index("above one"), 0] = 1.5
        if "too few" in texts:
            return Scores({k: v[:-1] for k, v in scores.values.items()}, scores.windows[:-1], scores.spans)
        if "too many" in texts:
            values = {k: np.concatenate([v, v[:1]]) for k, v in scores.values.items()}
            return Scores(values, scores.windows, scores.spans)
        if "no target" in texts:
            return Scores({}, scores.windows, scores.spans)
        if "not scores" in texts:
            return None
        return scores


def engine(classifier=None, *, id="0123456789abcdef" * 4):
    """Return an engine around a classifier, uncalibrated, with the operating points default and strict."""
    classifier = classifier or FakeClassifier()
    schema = classifier.schema
    return Engine(
        id=id,
        classifier=classifier,
        calibration={target.name: TargetCalibration.identity(target) for target in schema},
        operating_points={
            name: OperatingPoint(name, "made up", {target.name: thresholds(target, at) for target in schema})
            for name, at in (("default", 0.25), ("strict", 0.1))
        },
        created_at=1_700_000_000,
    )


def thresholds(target, at):
    """Return thresholds as they are saved: one per label that may be flagged, none where one always holds."""
    return dict.fromkeys(target.flaggable, at) if target.kind is TargetKind.MULTI_LABEL else {}


def settings(**changes):
    """Return settings that ignore the environment."""
    return Settings(home=Path("/nonexistent"), **changes)


def deployments(*classifiers, names=("goose", "duck", "swan"), **changes):
    """Return deployments of classifiers (one fake where none is given) under names."""
    classifiers = classifiers or (FakeClassifier(),)
    made = settings(**changes)
    return Deployments(
        [
            Deployment(name, engine(item, id=f"{n}{name}".encode().hex().ljust(64, "0")), made)
            for n, (name, item) in enumerate(zip(names, classifiers, strict=False))
        ],
        made,
    )


@contextlib.contextmanager
def served(served_deployments, factory=None, **changes):
    """Run a real server on a free loopback port in a thread; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(served_deployments, settings(**changes), factory)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        deadline_s = time.monotonic() + 10
        while not server.started:
            assert thread.is_alive(), "the server died while it started"
            assert time.monotonic() < deadline_s, "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive(), "the server did not stop"
