"""The picture of the losses: every run in it, as SVG text and as a PNG, the same bytes for the same data."""

from __future__ import annotations

import numpy as np
import pytest

from modwright.render.losses import LossCurve, draw_losses, running_mean


def curve(name, steps):
    train = [(step, 0.2 + 0.5 / step) for step in range(1, steps + 1)]
    return LossCurve(name, train, [(0, 0.7), (steps, 0.3)])


def test_one_run_is_one_frame_with_both_losses(tmp_path):
    draw_losses([curve("final", 200)], "a model", [tmp_path / "loss.svg", tmp_path / "loss.png"])
    svg = (tmp_path / "loss.svg").read_text()
    assert all(f">{word}</text>" in svg for word in ("a model", "training", "validation", "step"))
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_several_runs_stand_by_name_in_both_frames(tmp_path):
    curves = [curve("fold 1 of 2", 30), curve("fold 2 of 2", 30), LossCurve("final", [(1, 0.5)])]
    draw_losses(curves, "a model", [tmp_path / "loss.svg"])
    svg = (tmp_path / "loss.svg").read_text()
    assert [svg.count(f">{name}</text>") for name in ("fold 1 of 2", "fold 2 of 2", "final")] == [2, 2, 1]


def test_a_run_that_begins_with_an_underscore_is_in_the_legends(tmp_path):
    draw_losses([curve("_one", 30), curve("_two", 30)], "a model", [tmp_path / "loss.svg"])
    svg = (tmp_path / "loss.svg").read_text()
    assert [svg.count(f">{name}</text>") for name in ("_one", "_two")] == [2, 2]


def test_the_same_data_give_the_same_bytes(tmp_path):
    for name in ("a.svg", "b.svg", "a.png", "b.png"):
        draw_losses([curve("final", 80)], "a model", [tmp_path / name])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    "odd",
    [
        LossCurve("", [], [(0, 0.7)]),
        LossCurve("$x^$ <b>&", [(1, 0.0)]),
        LossCurve("long", [(i, 1.0) for i in range(1, 30_000)]),
    ],
)
def test_odd_curves_are_drawn(tmp_path, odd):
    for curves in ([odd], [odd, odd]):
        draw_losses(curves, "$\\frac$ <script>", [tmp_path / "loss.svg"])
        svg = (tmp_path / "loss.svg").read_text()
        assert "<script>" not in svg
        assert len(svg) < 200_000


def test_the_running_mean_looks_back_only():
    points = np.array([[1, 4.0], [2, 2.0], [3, 6.0], [4, 0.0]])
    assert running_mean(points, 2).tolist() == [[1, 4.0], [2, 3.0], [3, 4.0], [4, 3.0]]
