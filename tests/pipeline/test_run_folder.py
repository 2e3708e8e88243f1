"""A run's folder: what it keeps, what it refuses, and that nothing stands in it twice after a kill."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modwright.errors import UsageError
from modwright.pipeline.run_folder import curves_of, open_run, run_folder_of
from modwright.testing import tiny_recipe
from modwright.training.event_log import FINISHED, OPENED, EventLog, Line, seconds_worked
from modwright.training.events import (
    Chosen,
    Looked,
    Resumed,
    RunStarted,
    Saved,
    Stage,
    Step,
    Warned,
)

IDENTITY = {"recipe_hash": "r", "dataset_id": "d", "bases": [["w", "t"]]}


def ignore(event):
    pass


def lines(out):
    text = (run_folder_of(out) / "events.jsonl").read_text(encoding="utf-8")
    return [line for line in map(json.loads, text.splitlines()) if line["event"] not in (OPENED, FINISHED)]


def steps(out, run):
    return [line["number"] for line in lines(out) if line["event"] == "step" and line.get("run", "") == run]


def opened(out, identity=IDENTITY, tell=ignore):
    return open_run(out, identity, tiny_recipe(), tell)


def train_some(run, name, first, last, *, looks=True):
    for number in range(first, last + 1):
        run.on_event(
            Step(number, 1 / number, epoch=number / 10, learning_rate=1e-3, tokens=100, seconds=0.1, total=20)
        )
        if looks and number % 5 == 0:
            run.on_event(Looked(number, number / 10, 1 / number, {"roc_auc": 0.5}, True))
            run.on_event(Saved(number))


def test_every_event_is_kept_and_handed_on(tmp_path):
    told = []
    events = [
        Stage("embed", 0, 3),
        RunStarted("final", 2),
        Looked(0, 0.0, 0.7, {"roc_auc": 0.5}, True),
        Step(1, 0.5, None, 0.5, 1e-3, 12, 0.1, 2),
        Saved(1),
        Step(2, math.nan),
        Warned("mild ‮ weather"),
    ]
    with opened(tmp_path / "model", tell=told.append) as run:
        for event in events:
            run.on_event(event)
    assert told == events
    kept = lines(tmp_path / "model")
    assert [line["event"] for line in kept] == [
        *("stage", "run_started", "looked", "step", "saved", "step", "warned")
    ]
    assert all(line["time"].endswith("+00:00") for line in kept)
    assert "run" not in kept[0]
    assert {line["run"] for line in kept[1:]} == {"final"}
    assert kept[2]["metrics"] == {"roc_auc": 0.5}
    assert kept[5]["train_loss"] is None
    folder = run_folder_of(tmp_path / "model")
    assert folder == tmp_path / "model-run"
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert ">validation</text>" in (folder / "loss.svg").read_text()
    assert json.loads((folder / "run.json").read_text())["identity"] == IDENTITY


def test_a_resumed_run_lists_no_step_twice(tmp_path):
    out = tmp_path / "model"
    with opened(out) as run:
        run.on_event(RunStarted("fold 1 of 2", 10))
        train_some(run, "fold 1 of 2", 1, 10)
        run.on_event(RunStarted("fold 2 of 2", 10))
        train_some(run, "fold 2 of 2", 1, 8)
    with opened(out) as run:
        run.on_event(RunStarted("fold 1 of 2", 10))
        run.on_event(Resumed(10))
        run.on_event(RunStarted("fold 2 of 2", 10))
        run.on_event(Resumed(5))
        assert steps(out, "fold 2 of 2") == [1, 2, 3, 4, 5]
        train_some(run, "fold 2 of 2", 6, 10)
    assert steps(out, "fold 1 of 2") == list(range(1, 11))
    assert steps(out, "fold 2 of 2") == list(range(1, 11))
    looks = [line["step"] for line in lines(out) if line["event"] == "looked"]
    assert looks == [5, 10, 5, 10]


def test_a_run_killed_before_its_first_checkpoint_begins_anew(tmp_path):
    out = tmp_path / "model"
    with opened(out) as run:
        run.on_event(RunStarted("final", 10))
        run.on_event(Looked(0, 0.0, 0.7, {}, True))
        train_some(run, "final", 1, 7)
    with opened(out) as run:
        run.on_event(RunStarted("final", 10))
        run.on_event(Looked(0, 0.0, 0.7, {}, True))
        assert steps(out, "final") == []
        train_some(run, "final", 1, 10)
    assert steps(out, "final") == list(range(1, 11))
    assert [line["step"] for line in lines(out) if line["event"] == "looked"] == [0, 5, 10]


def test_a_look_made_again_at_the_checkpoint_replaces_the_first(tmp_path):
    out = tmp_path / "model"
    with opened(out) as run:
        run.on_event(RunStarted("final", 10))
        run.on_event(Step(1, 0.5))
        run.on_event(Saved(1))
        run.on_event(Looked(1, 0.1, 0.6, {}, True))
    with opened(out) as run:
        run.on_event(RunStarted("final", 10))
        run.on_event(Resumed(1))
        run.on_event(Looked(1, 0.1, 0.6, {}, True))
    kinds = [line["event"] for line in lines(out)]
    assert kinds.count("looked") == 1
    assert kinds.count("saved") == 1
    assert kinds.count("step") == 1


def test_frozen_runs_have_no_name_and_choose_once(tmp_path):
    out = tmp_path / "model"
    for _ in range(2):
        with opened(out) as run:
            run.on_event(Chosen("moderation", "rbf", 1.0, 0.5, 0.3))
            train_some(run, "", 1, 6, looks=False)
    assert steps(out, "") == [1, 2, 3, 4, 5, 6]
    assert [line["event"] for line in lines(out)].count("chosen") == 1


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6)), max_size=6))
def test_however_often_a_run_is_killed_its_steps_stand_in_order(tmp_path_factory, kills):
    log = EventLog(tmp_path_factory.mktemp("log") / "events.jsonl")
    done = 0
    for saved, more in [*kills, (12, 20)]:
        start = min(saved, done)
        log.add(RunStarted("final", 20))
        if start:
            log.add(Resumed(start))
        for number in range(start + 1, min(20, start + more) + 1):
            log.add(Step(number, 1.0))
            done = number
    numbers = [line.step for line in log.lines if line.kind == "step"]
    assert numbers == list(range(1, done + 1))
    log.close()


def test_a_line_broken_off_by_a_kill_is_left_out(tmp_path):
    out = tmp_path / "model"
    with opened(out) as run:
        train_some(run, "", 1, 3)
    path = run_folder_of(out) / "events.jsonl"
    with path.open("ab") as stream:
        stream.write(b'{"event": "step", "number": 4, "train')
    with opened(out) as run:
        train_some(run, "", 4, 5)
    assert steps(out, "") == [1, 2, 3, 4, 5]


def test_another_recipe_drops_the_checkpoints_and_says_so(tmp_path):
    out, told = tmp_path / "model", []
    with opened(out) as run:
        train_some(run, "", 1, 3)
        (run.checkpoints / "step-3").mkdir()
    (run_folder_of(out) / "notes.txt").write_text("mine")
    with opened(out, tell=told.append) as run:
        assert (run.checkpoints / "step-3").is_dir()
        assert not told
    with opened(out, {**IDENTITY, "recipe_hash": "other"}, told.append) as run:
        assert list(run.checkpoints.iterdir()) == []
    (warning,) = told
    assert "another recipe or dataset" in warning.message
    assert steps(out, "") == []
    assert (run_folder_of(out) / "notes.txt").read_text() == "mine"


def test_after_success_checkpoints_go_and_the_rest_stays(tmp_path):
    out = tmp_path / "model"
    with opened(out) as run:
        train_some(run, "", 1, 3)
        run.finish()
    folder = run_folder_of(out)
    assert not (folder / "checkpoints").exists()
    assert {path.name for path in folder.iterdir()} == {"run.json", "events.jsonl", "loss.svg", "loss.png"}
    assert json.loads((folder / "run.json").read_text())["state"] == "finished"


def test_a_failing_run_keeps_its_checkpoints(tmp_path):
    out = tmp_path / "model"
    folders = []

    def fail():
        with opened(out) as run:
            (run.checkpoints / "step-3").mkdir()
            folders.append(run.checkpoints)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (folders[0] / "step-3").is_dir()


@pytest.mark.parametrize("held", ["a folder", "a file", "a foreign run.json"])
def test_what_is_no_run_is_refused_and_left_alone(tmp_path, held):
    folder = run_folder_of(tmp_path / "model")
    if held == "a file":
        folder.write_text("mine")
    else:
        folder.mkdir()
        (folder / ("notes.txt" if held == "a folder" else "run.json")).write_text('{"mine": true}')
    with pytest.raises(UsageError, match=r"run's folder") as caught, opened(tmp_path / "model"):
        pass
    assert caught.value.where == str(folder)
    assert not (folder / "checkpoints").exists()


def test_a_folder_in_which_a_kill_left_only_the_start_is_taken(tmp_path):
    folder = run_folder_of(tmp_path / "model")
    folder.mkdir()
    (folder / ".run.json.partial").write_text('{"modw')
    with opened(tmp_path / "model") as run:
        assert run.checkpoints.is_dir()


def test_a_second_process_waits_for_the_first(tmp_path):
    out, order = tmp_path / "model", []
    program = textwrap.dedent(
        f"""
        from pathlib import Path
        from modwright.pipeline.run_folder import open_run
        from modwright.testing import tiny_recipe
        print("ready", flush=True)
        with open_run(Path({str(out)!r}), {IDENTITY!r}, tiny_recipe(), print):
            print("in", flush=True)
        """
    )
    with opened(out):
        other = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline() == "ready\n"
        reader = threading.Thread(target=lambda: order.append(other.stdout.readline()))
        reader.start()
        time.sleep(0.3)
        assert order == []
    reader.join(30)
    assert order == ["in\n"]
    assert other.wait(30) == 0


def test_a_drawing_that_fails_is_told_once(tmp_path, monkeypatch):
    told = []

    def broken(*_):
        raise OSError("no ink")

    monkeypatch.setattr("modwright.pipeline.run_folder.draw_losses", broken)
    with opened(tmp_path / "model", tell=told.append) as run:
        train_some(run, "", 1, 10)
    assert [event.message for event in told if isinstance(event, Warned)] == [
        "the losses are not drawn: no ink"
    ]


def test_curves_hold_the_losses_of_each_run(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    for event in (
        RunStarted("a", 2),
        Looked(0, 0.0, 0.7, {}, True),
        Step(1, 0.6),
        Step(2, math.inf),
        RunStarted("b", 2),
        Step(1, 0.5, 0.4),
    ):
        log.add(event)
    log.close()
    a, b = curves_of(log.lines)
    assert (a.name, a.train, a.valid) == ("a", [(1, 0.6)], [(0, 0.7)])
    assert (b.name, b.train, b.valid) == ("b", [(1, 0.5)], [(1, 0.4)])


def test_time_between_a_kill_and_the_next_start_is_no_work():
    def at(kind, second):
        return Line({"event": kind, "time": f"2024-05-01T10:00:{second:02d}.500+00:00"})

    log = [
        at("opened", 0),
        at("step", 3),
        at("step", 7),
        at("opened", 40),
        at("step", 42),
        at("finished", 43),
    ]
    assert seconds_worked(log) == pytest.approx(10.0)
    assert seconds_worked([]) == 0.0
