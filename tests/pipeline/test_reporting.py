"""What a report shows of a review band is what the band decides; a report is named after its artifact."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from modwright.evaluation.cuts import NEVER
from modwright.evaluation.review import REVIEW, LabelBand, Promise, ReviewBand, TooFew
from modwright.pipeline.evaluate import evaluate
from modwright.pipeline.reporting import seen_between
from modwright.schema import Target, TargetKind

SURE = LabelBand(0.2, 0.8, "", 100, 100, None)
SILENT = LabelBand(0.0, NEVER, "3 with the label; 4 without the label", 3, 4, None)
ONLY_PASSES = LabelBand(0.3, NEVER, "4 without the label", 100, 4, None)
ONLY_FLAGS = LabelBand(0.0, 0.7, "3 with the label", 3, 100, None)


def review(too_few=TooFew.LEAVE_OUT, **bands):
    return ReviewBand(Promise(0.05, 0.05, too_few), {"moderation": bands}, {}, {})


def test_a_label_without_a_promise_sends_people_what_it_flags():
    band = review(insult=SURE, threat=SILENT, spam=ONLY_PASSES, slur=ONLY_FLAGS)
    assert seen_between(band, "moderation", dict.fromkeys(band.bands["moderation"], 0.5)) == {
        "insult": (0.2, 0.8),
        "threat": (0.5, NEVER),
        "spam": (0.5, NEVER),
        "slur": (0.5, 0.7),
    }


def test_one_that_flags_nothing_either_has_no_band():
    band = review(insult=SURE, threat=SILENT, spam=ONLY_PASSES, slur=ONLY_FLAGS)
    assert seen_between(band, "moderation", dict.fromkeys(band.bands["moderation"], NEVER)) == {
        "insult": (0.2, 0.8),
        "slur": (0.7, 0.7),
    }


def test_what_people_are_to_see_they_see():
    band = review(TooFew.REVIEW, insult=SURE, threat=SILENT, slur=ONLY_FLAGS)
    assert seen_between(band, "moderation", {}) == {
        "insult": (0.2, 0.8),
        "threat": (0.0, NEVER),
        "slur": (0.0, 0.7),
    }


@pytest.mark.parametrize("band", [SURE, SILENT, ONLY_PASSES, ONLY_FLAGS])
@pytest.mark.parametrize("other", [None, SURE, SILENT])
@pytest.mark.parametrize("too_few", list(TooFew))
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9, NEVER])
def test_it_is_what_the_band_decides(band, other, too_few, threshold):
    """Where the other label lets every text pass, or says nothing, a text's verdict is this label's."""
    bands = {"insult": band} | ({} if other is None else {"threat": other})
    target = Target.create("moderation", TargetKind.MULTI_LABEL, tuple(bands))
    scores = np.zeros((101, len(bands)))
    scores[:, 0] = np.linspace(0, 1, 101)
    whole = review(too_few, **bands)
    flagged_from = {"insult": threshold, "threat": 0.5}
    texts, _ = whole.decide(target, scores, flagged_from)
    low, high = seen_between(whole, "moderation", flagged_from).get("insult", (NEVER, NEVER))
    if too_few is TooFew.LEAVE_OUT or other is not SILENT:
        assert ((scores[:, 0] >= low) & (scores[:, 0] < high)).tolist() == (texts == REVIEW).tolist()
    else:
        assert (texts >= REVIEW).all()  # for the other label's sake


def test_a_report_on_the_folder_one_stands_in_has_a_name(trained, dataset, new_home, tmp_path, monkeypatch):
    monkeypatch.chdir(trained.folder)
    found = evaluate(
        Path(), dataset, tmp_path / "out", new_home(tmp_path / "home"), splits=["test"], resamples=0
    )
    title = json.loads((found.report.parent / "report.json").read_text())["title"]
    assert title == f"Evaluation of {trained.folder.name}"
