"""The experiment that tells whether a response is used: on pairs where it decides, and where the prompt does."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from modwright.cli.experiment import ResponseOptions, response
from modwright.cli.view import run_view
from modwright.data.importing import import_dataset
from modwright.data.options import ImportOptions, Meaning
from modwright.errors import DataError
from modwright.evaluation.binary import Metric
from modwright.pipeline.response_use import View, response_use
from modwright.schema import Schema, Target, TargetKind, pair_input, text_input
from modwright.testing import NEUTRAL_WORDS
from modwright.training.rows import TrainingRows

SCHEMA = Schema((Target.create("moderation", TargetKind.SINGLE_LABEL, ("safe", "rude")),))
PROMPTS = 30


def pairs(deciding):
    """Every prompt has two responses; a rude word in the deciding part makes the pair rude."""
    rng = np.random.default_rng(3)
    inputs, rude = [], []
    for number in range(PROMPTS):
        neutral = [" ".join(rng.choice(NEUTRAL_WORDS, size=4)) for _ in range(3)]
        for turn in range(2):
            is_rude = (turn if deciding is View.RESPONSE else number) % 2 == 1
            word = " silly goose" if is_rude else " green garden"
            prompt, answer = neutral[0], neutral[1 + turn]
            prompt, answer = (prompt, answer + word) if deciding is View.RESPONSE else (prompt + word, answer)
            inputs.append(pair_input(prompt, answer))
            rude.append(float(is_rude))
    labels = np.stack([1.0 - np.array(rude), np.array(rude)], axis=1)
    number = len(inputs)
    return TrainingRows(inputs, {"moderation": labels}, np.ones(number), [str(n) for n in range(number)])


@pytest.fixture(scope="module")
def run(new_home, recipe, tmp_path_factory):
    settings = new_home(tmp_path_factory.mktemp("home") / "home")

    def runner(rows, schema=SCHEMA):
        return response_use(
            recipe, schema, rows, settings, number_of_folds=2, resamples=100, on_event=lambda event: None
        )

    return runner


def test_where_the_response_decides_it_is_shown_to_be_used(run):
    found = run(pairs(View.RESPONSE))
    (label,) = found.labels
    assert (found.rows, found.prompts, found.folds) == (2 * PROMPTS, PROMPTS, 2)
    assert (label.label, label.positives) == ("rude", PROMPTS)
    assert label.is_used
    auc = {view: figures[Metric.ROC_AUC].value for view, figures in label.views.items()}
    assert auc[View.PAIR] > 0.9
    assert auc[View.RESPONSE] > 0.9
    gain = label.gains[View.PROMPT][Metric.ROC_AUC]
    assert gain.value == pytest.approx(auc[View.PAIR] - auc[View.PROMPT])
    assert 0 < gain.low <= gain.value <= gain.high
    assert json.loads(json.dumps(found.to_json()))["labels"][0]["response_is_used"] is True


def test_where_the_prompt_decides_it_is_not(run):
    (label,) = run(pairs(View.PROMPT)).labels
    assert not label.is_used
    assert label.views[View.PROMPT][Metric.ROC_AUC].value > 0.9
    assert label.gains[View.RESPONSE][Metric.ROC_AUC].low > 0


def test_rows_without_a_prompt_are_left_out(run):
    rows = pairs(View.RESPONSE)
    mixed = TrainingRows(
        [text_input("hello"), *rows.inputs],
        {"moderation": np.concatenate([[[1.0, 0.0]], rows.labels["moderation"]])},
        np.ones(len(rows.inputs) + 1),
        ["x", *rows.groups],
    )
    assert run(mixed).to_json() == run(rows).to_json()
    with pytest.raises(DataError, match="of 3 rows 0 have a prompt"):
        run(
            TrainingRows(
                [text_input("a")] * 3, {"moderation": np.tile([1.0, 0.0], (3, 1))}, np.ones(3), ["a"] * 3
            )
        )


@pytest.mark.real
def test_on_real_pairs_the_response_is_used(tmp_path):
    data = Path(os.environ.get("MODWRIGHT_TEST_DATA", "../shared/data")) / "safe_rlhf" / "pairs.jsonl"
    if not data.is_file():
        pytest.skip(f"{data} is absent")
    meaning = Meaning(prompt="prompt", response="response", labels=("label",), negative=("unharmful",))
    import_dataset(ImportOptions((str(data),), tmp_path / "data", meaning=meaning))
    options = ResponseOptions(
        "fast", tmp_path / "data", tmp_path / "out", ('head.kinds=["linear"]',), folds=3
    )
    with run_view(quiet=True) as view:
        found, _ = response(options, view)
    (label,) = found.labels
    assert found.prompts == 549
    assert label.is_used
    assert label.views[View.PAIR][Metric.ROC_AUC].value > 0.62
