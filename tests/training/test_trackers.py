"""Trackers for real, offline; and that one which fails, lags or hangs neither stops nor holds a run."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

from modwright.errors import MissingExtraError
from modwright.pipeline.run_folder import open_run
from modwright.recipe import load_recipe
from modwright.training import trackers as module
from modwright.training.events import Looked, RunStarted, Step, Tracked, Warned
from modwright.training.trackers import TensorBoardTracker, Trackers, WandbTracker, open_trackers

STEP, LOOK = Step(1, 0.5, None, 0.1, 1e-3, 100, 0.5, 2), Looked(1, 0.1, 0.4, {"roc_auc": 0.8}, True)


class Told:
    """A tracker that keeps what it is told."""

    def __init__(self):
        self.told = []

    def step(self, run, step):
        self.told.append((run, step))

    def look(self, run, look):
        self.told.append((run, look))

    def close(self):
        self.told.append("closed")

    def shown(self):
        final = any(item[0] == "final" for item in tuple(self.told))
        return [("final", "final there", "http://127.0.0.1/1")] if final else []


class Failing(Told):
    """A tracker that fails at the second step, as badly as it can."""

    def step(self, run, step):
        super().step(run, step)
        if step.number == 2:
            raise SystemExit("no room left")


class Hanging(Told):
    """A tracker whose end never comes."""

    def close(self):
        threading.Event().wait()


def drain(trackers, *events):
    warnings = [warning for event in events for warning in trackers.on_event(event)]
    return warnings + trackers.close()


def test_a_tracker_is_told_of_steps_and_looks_by_run():
    told = Told()
    drain(Trackers({"told": told}), STEP, RunStarted("final", 2), LOOK, Warned("mild"))
    assert told.told == [("", STEP), ("final", LOOK), "closed"]


def test_what_a_tracker_shows_is_told_once():
    found = drain(Trackers({"told": Told()}), RunStarted("final", 2), STEP, LOOK, STEP)
    assert found == [Tracked("told", "final", "final there", "http://127.0.0.1/1")]


def test_one_that_fails_is_told_of_once_and_the_others_go_on():
    failing, told = Failing(), Told()
    steps = [Step(number, 0.5) for number in (1, 2, 3)]
    (warning,) = drain(Trackers({"failing": failing, "told": told}), *steps)
    assert warning.message == "the tracker 'failing' is left out, the run goes on: SystemExit: no room left"
    assert [step for _, step in failing.told] == steps[:2]
    assert told.told[-1] == "closed"


def test_one_that_hangs_at_the_end_is_left_behind():
    told, began = Told(), time.monotonic()
    (warning,) = drain(Trackers({"hanging": Hanging(), "told": told}, close_timeout_s=0.3), STEP)
    assert "did not close within 0.3 s" in warning.message
    assert time.monotonic() - began < 5
    assert told.told[-1] == "closed"


def test_one_that_lags_is_left_out(monkeypatch):
    monkeypatch.setattr(module, "_MOST_WAITING", 2)
    gate = threading.Event()

    class Slow(Told):
        def step(self, run, step):
            gate.wait(20)

    trackers = Trackers({"slow": Slow()}, close_timeout_s=0.1)
    warnings = [warning for _ in range(5) for warning in trackers.on_event(STEP)]
    gate.set()
    assert ["lags" in warning.message for warning in warnings] == [True]


def test_a_run_goes_on_without_its_failing_tracker(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WandbTracker", lambda *_: Failing())
    told = []
    recipe = load_recipe("balanced", ["trackers.wandb=moderation"])
    with open_run(tmp_path / "model", {}, recipe, told.append) as run:
        for number in (1, 2, 3):
            run.on_event(Step(number, 0.5))
    warnings = [event for event in told if isinstance(event, Warned)]
    assert len(warnings) == 1
    assert "wandb" in warnings[0].message
    assert '"warned"' in (tmp_path / "model-run" / "events.jsonl").read_text()


@pytest.mark.parametrize(
    ("line", "package"),
    [("trackers.wandb=moderation", "wandb"), ("trackers.tensorboard=true", "tensorboard")],
)
def test_a_package_that_is_missing_is_an_error_before_the_start(tmp_path, monkeypatch, line, package):
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == package else object())
    with (
        pytest.raises(MissingExtraError) as caught,
        open_run(tmp_path / "model", {}, load_recipe("balanced", [line]), print),
    ):
        pass
    assert caught.value.extra == "trackers"
    assert not (tmp_path / "model-run").exists()


def test_nothing_is_tracked_unless_the_recipe_says_so(tmp_path):
    for recipe in (None, load_recipe("balanced").trackers):
        assert open_trackers(recipe, tmp_path, "model", {}).close() == []
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_reads_what_is_written(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "tensorboard"
    first = [Step(number, 1 / number) for number in (1, 2, 3, 4)]
    assert (
        drain(Trackers({"t": TensorBoardTracker(folder)}), RunStarted("fold 1 of 2", 5), *first, LOOK) == []
    )
    time.sleep(1.1)  # TensorBoard orders files by the second of their name
    again = [Step(number, 10 / number) for number in (3, 4, 5)]
    assert drain(Trackers({"t": TensorBoardTracker(folder)}), RunStarted("fold 1 of 2", 5), *again) == []
    read = EventAccumulator(str(folder / "fold-1-of-2"))
    read.Reload()
    losses = {event.step: event.value for event in read.Scalars("train/loss")}
    assert losses == pytest.approx({1: 1.0, 2: 0.5, 3: 10 / 3, 4: 2.5, 5: 2.0})
    assert len(read.Scalars("train/loss")) == 5
    assert read.Scalars("validation/roc_auc")[0].value == pytest.approx(0.8)


def test_weights_and_biases_writes_offline_below_the_folder(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "home"))
    folder = tmp_path / "model-run"
    folder.mkdir()
    tracker = WandbTracker("moderation", "offline", folder, "model", {"optimizer": {"learning_rate": 1e-3}})
    events = [RunStarted("fold 1 of 2", 1), STEP, LOOK, RunStarted("final", 1), STEP]
    assert drain(Trackers({"wandb": tracker}), *events) == [
        Tracked("wandb", "fold 1 of 2", "model fold 1 of 2", None),
        Tracked("wandb", "final", "model final", None),
    ]
    runs = sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))
    assert len(runs) == 2
    written = b"".join(path.read_bytes() for path in runs)
    assert all(word in written for word in (b"train/loss", b"validation/roc_auc", b"learning_rate"))
    private = [str(tmp_path), socket.gethostname(), *filter(None, [os.environ.get("USER")])]
    assert not [name for name in private if len(name) > 3 and name.encode() in written]


def test_who_sets_the_variable_names_the_run_of_weights_and_biases(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_NAME", "mine")
    tracker = WandbTracker("moderation", "offline", tmp_path, "model", {})
    assert drain(Trackers({"wandb": tracker}), RunStarted("final", 1), STEP) == [
        Tracked("wandb", "final", "mine")
    ]
