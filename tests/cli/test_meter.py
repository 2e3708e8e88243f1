"""What a run under way shows: figures that follow from its steps, in the room there is, and a line per look."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from modwright.cli import view
from modwright.cli.meter import RunMeter, clock_text, look_line
from modwright.cli.view import run_view
from modwright.training.events import Looked, Resumed, RunStarted, Step


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self):
        return self.now


def step(number, loss=0.5, total=100):
    return Step(number, loss, None, number / 10, 4.5e-5, 200, 0.1, total)


@pytest.fixture
def meter():
    clock = Clock()
    meter = RunMeter(RunStarted("fold 1 of 4", 100), clock)
    meter.clock = clock
    return meter


def test_speed_counts_computing_and_what_is_left_counts_everything(meter):
    for number in range(1, 11):
        meter.clock.now += 0.1 if number == 1 else 0.5  # a look and a checkpoint take the rest
        meter.step(step(number))
    assert meter.tokens_per_s == pytest.approx(2000)
    assert meter.left_s == pytest.approx((0.1 + 9 * 0.5) / 10 * 90)


def test_a_resumed_run_reckons_from_where_it_goes_on(meter):
    for number in (51, 52):
        meter.clock.now += 1.0
        meter.step(Step(number, 0.5, total=100, seconds=1.0))
    assert meter.left_s == pytest.approx(48.0)


def test_the_loss_is_smoothed_without_a_bias_at_the_beginning(meter):
    meter.step(step(1, loss=0.8))
    assert meter.loss == pytest.approx(0.8)
    meter.step(step(2, loss=0.0))
    assert 0.3 < meter.loss < 0.5


def test_what_has_no_room_is_left_out_from_the_end(meter):
    meter.look(Looked(0, 0.0, 0.69, {}, True))
    meter.clock.now += 0.1
    meter.step(step(10))
    assert meter.detail(200) == "10/100  loss 0.5000  0:09 left  best 0.6900  2,000 tokens/s  rate 4.5e-05"
    for room in range(10, 90):
        assert len(meter.detail(room)) <= room
        assert meter.detail(200).startswith(meter.detail(room))


def test_a_look_is_one_line():
    look = Looked(50, 1.5, 0.31234, {"macro_auc": 0.88, "macro_f1": 0.8}, True)
    assert look_line("final", look) == (
        "final: step 50, epoch 1.50: validation loss 0.3123, macro_auc 0.8800, macro_f1 0.8000 (best so far)"
    )
    assert look_line("", Looked(0, 0.0, 0.7, {}, True)) == "before training: validation loss 0.7000"


@pytest.mark.parametrize(
    ("seconds", "text"), [(7, "0:07"), (750, "12:30"), (11_100, "3:05:00"), (59.7, "1:00")]
)
def test_durations_read_like_a_clock(seconds, text):
    assert clock_text(seconds) == text


EVENTS = (
    RunStarted("final", 4),
    Resumed(1),
    Looked(1, 0.5, 0.7, {}, True),
    step(2, total=4),
    step(3, total=4),
    Looked(3, 1.5, 0.6, {"macro_auc": 0.9}, True),
)


def test_a_pipe_gets_a_line_per_run_and_look(capsys):
    with run_view(quiet=False) as shown:
        for event in EVENTS:
            shown.on_event(event)
    assert capsys.readouterr().err.splitlines() == [
        "final",
        "goes on after step 1",
        "final: step 1, epoch 0.50: validation loss 0.7000 (best so far)",
        "final: step 3, epoch 1.50: validation loss 0.6000, macro_auc 0.9000 (best so far)",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_shows_the_run_in_one_line(monkeypatch, width):
    screen = io.StringIO()
    monkeypatch.setattr(
        view, "Console", lambda **_: Console(file=screen, force_terminal=True, width=width, color_system=None)
    )
    with run_view(quiet=False) as shown:
        for event in EVENTS:
            shown.on_event(event)
        shown._bars.refresh()
    rows = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", row) for row in re.split(r"[\r\n]+", screen.getvalue())]
    live = [row for row in rows if "3/4" in row]
    assert live
    assert all(len(row) <= width and "loss 0.5000" in row for row in live)
    assert all(("rate" in row) == (width == 120) for row in live)
