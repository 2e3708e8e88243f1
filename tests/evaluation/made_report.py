"""A report of random rows, and a section that holds a text wherever it may stand; built by several tests."""

from __future__ import annotations

import numpy as np

from modwright.evaluation.explorer import explorers
from modwright.evaluation.metrics import evaluate_split
from modwright.evaluation.report import Report
from modwright.evaluation.resampling import Interval
from modwright.evaluation.scored import scored_split
from modwright.evaluation.sections import Figure, Section, Table
from modwright.evaluation.thresholds import choose_thresholds
from modwright.evaluation.worst import worst_errors
from modwright.render.svg import Plot, picture
from modwright.schema import Schema, Target, TargetKind, pair_input, text_input

HOSTILE = "<script>alert(1)</script>"
REVERSED = "abc\u202edcba"


def made(
    labels=("insult", "threat", "rare"),
    title="a model",
    facts=None,
    n=150,
    split="test",
    target="moderation",
    fitted_on=(),
    text="you are a silly goose",
    sections=(),
    errors=50,
    point_name="default",
):
    """A report of random scores whose labels follow from them, so that they are calibrated."""
    multi = Target.create(target, TargetKind.MULTI_LABEL, [*labels, "safe"])
    single = Target.create("tone", TargetKind.SINGLE_LABEL, ["safe", "dismissive", "rude", "hostile"])
    schema = Schema((multi, single))
    rng = np.random.default_rng(0)
    scores = {target: rng.random((n, len(multi.labels))), "tone": rng.dirichlet(np.ones(4), n)}
    values = {name: (rng.random(part.shape) < part).astype(float) for name, part in scores.items()}
    values[target][:, len(labels) - 1] = np.arange(n) < 3
    values["tone"] = np.eye(4)[scores["tone"].argmax(1)]
    point = choose_thresholds(schema, scores, values)
    inputs = [pair_input("what am I", text) if row % 2 else text_input(text) for row in range(n)]
    scored = scored_split(split, schema, inputs, values, scores, point)
    evaluation = evaluate_split(schema, scores, values, scored.flagged, resamples=40)
    points = {point_name: point}
    bands = {target: {labels[0]: (0.2, 0.8)}}
    return Report(
        title=title,
        schema=schema,
        evaluations={split: evaluation},
        point=point,
        points=points,
        facts=facts or {},
        fitted_on=fitted_on,
        explorers=explorers(scored, {name: one.thresholds for name, one in points.items()}, bands),
        sections=sections,
        errors=worst_errors([scored], errors),
        notes=(f"{title}: a note",),
    )


def a_section(text):
    """A section that holds a text wherever it may stand."""
    plot = Plot(text, "share")
    drawing = picture(plot.width, plot.height, text, plot.axes())
    figures = Table(
        text,
        (text, "rows", "F1"),
        ((text, 20, Interval(0.5, 0.4, 0.6, 20)), ("b", 3, None)),
        text,
        ("F1",),
        (1,),
    )
    texts = Table(text, ("text",), ((text,),), hidden=True)
    return Section("slices", text, text, (figures, texts), (Figure(text, drawing, text),), (text,), text)
