"""The model card: every label, the figures of metrics.json, and names that stay text."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from modwright.artifact import BaseIdentity
from modwright.evaluation.calibration import TargetCalibration
from modwright.evaluation.decisions import Decisions
from modwright.evaluation.metrics import evaluate_split
from modwright.evaluation.thresholds import OperatingPoint, flags
from modwright.pipeline.card import model_card
from modwright.schema import Schema, Target, TargetKind
from modwright.testing import TINY_SCHEMA, tiny_recipe


def tables(card):
    """Return the cells of every table row of a card, by its unescaped pipes."""
    rows = [line for line in card.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def test_every_label_and_every_part(trained, dataset):
    card = (trained.folder / "README.md").read_text()
    assert card.startswith("# model\n")
    for target in TINY_SCHEMA:
        assert f"**{target.name}**" in card
        for label in target.labels:
            assert f"| {label} |" in card
    assert "| safe | never (says nothing is wrong) |" in card
    assert "| rude | when most probable |" in card
    for part in ("## What it answers", "## How good it is", "## Made from", "## Limits"):
        assert part in card
    for split, frame in dataset.splits.items():
        assert f"- {len(frame):,} rows of the split `{split}`" in card
    (base,) = trained.artifact.bases
    assert base.weights_sha256[:16] in card
    assert f"licence {base.licence}" in card


def test_the_figures_are_those_of_the_metrics(trained):
    card = (trained.folder / "README.md").read_text()
    metrics = json.loads((trained.folder / "metrics.json").read_text())["splits"]
    thresholds = json.loads((trained.folder / "thresholds.json").read_text())
    rows = {tuple(row[:3]): row for row in tables(card) if len(row) == 10}
    seen = 0
    for split, targets in metrics.items():
        for target, labels in targets.items():
            for label, found in labels.items():
                if (split, target, label) not in rows:
                    continue
                row = rows[split, target, label]
                assert int(row[3]) == found["f1"]["n"]
                for cell, metric in ((row[5], "f1"), (row[7], "roc_auc")):
                    shown = cell.split()[0]
                    rounding = 0.5 * 10 ** -len(shown.partition(".")[2])
                    assert float(shown) == pytest.approx(found[metric]["value"], abs=rounding + 1e-9)
                seen += 1
    assert seen == 9, "three splits of three labels that may be flagged"
    points = thresholds["operating_points"]["default"]["thresholds"]["moderation"]
    for label, threshold in points.items():
        assert f"| {label} | {threshold:.3f} |" in card


def test_hostile_names_stay_text(tiny_base_folder):
    labels = ("a|b", "<img src=x onerror=alert(1)>", "[x](http://example.org)", "`code`")
    schema = Schema((Target.create("*t*|<b>", TargetKind.MULTI_LABEL, labels),))
    (target,) = schema
    rng = np.random.default_rng(0)
    scores = rng.random((60, len(labels)))
    truth = (rng.random((60, len(labels))) < 0.5).astype(float)
    thresholds = dict.fromkeys(labels, 0.5)
    found = evaluate_split(
        schema,
        {target.name: scores},
        {target.name: truth},
        {target.name: flags(target, scores, thresholds)},
        resamples=5,
    )
    point = OperatingPoint("default", "f1", {target.name: thresholds})
    base = BaseIdentity("x`|<i>", "0" * 64, "1" * 64, "[mit](x)")
    name = "# m\n<script>alert(1)</script>"
    decisions = Decisions(
        {target.name: TargetCalibration.identity(target)}, {"default": point, "a|<b>": point}
    )
    evaluations = {"s|<u>": found}
    card = model_card(
        name, schema, (base,), tiny_recipe("tiny"), {"s|<u>": 60}, evaluations, decisions, "out_of_fold"
    )
    assert not re.search(r"(?<!\\)[<\[]", card), "no tag and no link"
    assert "\\`code\\`" in card
    assert "**\\*t\\*\\|\\<b\\>**" in card
    assert {len(row) for row in tables(card)} == {4, 10}
    assert card.splitlines()[0].startswith("# ")
    assert sum(line.startswith("# ") for line in card.splitlines()) == 1


def test_a_band_with_one_promise_says_what_it_does():
    from modwright.evaluation.cuts import NEVER
    from modwright.evaluation.review import LabelBand
    from modwright.pipeline.card_decisions import _band
    from modwright.testing import MODERATION

    def told(low, high, note):
        return _band(LabelBand(low, high, note, 4, 90, None), MODERATION)

    assert told(0.0, 0.618, "4 with the label") == "acts from 0.618; too few rows to pass"
    assert told(0.2, NEVER, "4 without the label") == "passes below 0.200; too few rows to act"
    assert told(0.0, NEVER, "4 with the label; 4 without") == "too few rows"
    assert told(0.2, 0.618, "") == "0.200 to 0.618"
