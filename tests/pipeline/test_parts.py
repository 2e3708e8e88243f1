"""Slices and bias beside an evaluation: what is asked for is checked first, measured, and stands in metrics.json."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modwright.data.columnar import pl
from modwright.data.dataset import make_dataset
from modwright.errors import DataError, ModwrightError, NotFoundError, UsageError
from modwright.evaluation.bias import BiasMetric
from modwright.pipeline.evaluate import evaluate
from modwright.pipeline.parts import MeasureBias, MeasureSlices
from modwright.pipeline.rows import aligned_rows
from modwright.settings import Settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(home=tmp_path_factory.mktemp("home"), threads=1)


@pytest.fixture(scope="module")
def columned(dataset):
    """The tiny dataset with columns to compare rows by, in its test split 40 rows."""
    splits = {}
    for name, frame in dataset.splits.items():
        rows = len(frame)
        splits[name] = frame.with_columns(
            pl.Series("site", ["news" if row % 3 else "forum" for row in range(rows)]),
            pl.Series("length", [float(row % 2) for row in range(rows)]),
            pl.Series("gardeners", [None if row < 4 else round(row % 4 / 4, 2) for row in range(rows)]),
            pl.Series("name", [f"row {row}" for row in range(rows)]),
        )
    return make_dataset(dataset.schema, splits, {})


@pytest.fixture(scope="module")
def terms(tmp_path_factory):
    """A list that names two identities by words of the tiny texts."""
    path = tmp_path_factory.mktemp("terms") / "terms.txt"
    path.write_text("bakers: bread, table\nwalkers: walk, river\n")
    return path


@pytest.fixture(scope="module")
def judged(trained, columned, settings, terms, tmp_path_factory):
    """An evaluation with slices and bias, and its metrics.json."""
    measurements = [
        MeasureSlices(("site", "length", "column:length", "script", "source")),
        MeasureBias.of(["gardeners"], str(terms)),
    ]
    out = tmp_path_factory.mktemp("judged")
    result = evaluate(
        trained.folder, columned, out, settings, splits=["test"], resamples=20, measurements=measurements
    )
    return result, json.loads(result.metrics.read_text(), parse_constant=pytest.fail)


def test_slices_are_in_metrics_json(judged, columned):
    _, data = judged
    found = data["slices"]["splits"]["test"]
    assert list(found) == ["site", "length", "column:length", "script", "source"]
    assert [(part["part"], part["rows"]) for part in found["site"]["moderation"]["parts"]] == [
        ("news", 26),
        ("forum", 14),
    ]
    assert all(part["part"].endswith("characters") for part in found["length"]["moderation"]["parts"])
    assert [part["part"] for part in found["column:length"]["tone"]["parts"]] == ["0", "1"]
    assert [part["part"] for part in found["script"]["moderation"]["parts"]] == ["Latin"]
    assert [(part["part"], part["rows"]) for part in found["source"]["moderation"]["parts"]] == [("tiny", 40)]
    whole = found["site"]["moderation"]["all"]["labels"]["insult"]["metrics"]
    own = data["splits"]["test"]["moderation"]["insult"]
    assert whole["roc_auc"] == own["roc_auc"]


def test_bias_is_in_metrics_json(judged, columned, engine):
    _, data = judged
    insult = data["bias"]["splits"]["test"]["moderation"]["insult"]
    assert list(insult["identities"]) == ["gardeners", "bakers", "walkers"]
    rows = aligned_rows(columned.splits["test"], columned.schema, engine.schema).rows
    texts = columned.splits["test"]["text"].to_list()
    bread = np.array([bool({"bread", "table"} & set(text.split())) for text in texts])
    assert sum(insult["identities"]["bakers"][word] for word in ("positives", "negatives")) == bread.sum()
    held = rows.labels["moderation"][:, 0] > 0.5
    assert insult["identities"]["bakers"]["positives"] == (bread & held).sum()
    shares = np.array([row % 4 / 4 > 0.5 and row >= 4 for row in range(40)])
    gardeners = insult["identities"]["gardeners"]
    assert gardeners["positives"] + gardeners["negatives"] == shares.sum()
    assert gardeners["metrics"][BiasMetric.SUBGROUP]["n"] == shares.sum()
    assert "gardeners" in data["bias"]["identities_from"]
    assert "terms.txt" in data["bias"]["identities_from"]


def test_a_headline_sums_up_each(judged):
    result, _ = judged
    assert [finding.key for finding in result.findings] == ["slices", "bias"]
    slices, bias = (finding.sections[0].headline for finding in result.findings)
    assert "comparisons" in slices or "clearly worse" in slices
    assert "mention" in bias


@pytest.mark.parametrize(
    ("measurement", "error", "words"),
    [
        (MeasureSlices(("sit",)), UsageError, "no column 'sit'"),
        (MeasureSlices(("group",)), UsageError, "no column 'group'"),
        (MeasureSlices(("column:script",)), UsageError, "no column 'script'"),
        (MeasureBias(("gardener",)), UsageError, "no column 'gardener'"),
        (MeasureBias(("site",)), DataError, "row 1 holds 'forum', expected a share"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_scored(
    measurement, error, words, trained, columned, settings, tmp_path
):
    with pytest.raises(error, match=words):
        evaluate(
            trained.folder,
            columned,
            tmp_path / "out",
            settings,
            measurements=[measurement],
            progress=lambda *seen: pytest.fail("scored"),
        )
    assert not (tmp_path / "out").exists()


def test_the_nearest_column_is_named(columned):
    with pytest.raises(UsageError) as caught:
        MeasureSlices(("sit",)).check(columned, ["test"])
    assert caught.value.remedy == "did you mean 'site'?"
    with pytest.raises(UsageError) as caught:
        MeasureSlices(("lenght",)).check(columned, ["test"])
    assert caught.value.remedy == "did you mean 'length'?"


def test_names_given_twice_and_terms_that_are_not_there():
    with pytest.raises(UsageError, match="'site' is named twice"):
        MeasureSlices(("site", "site"))
    with pytest.raises(UsageError, match="'female' is named twice"):
        MeasureBias.of(["female"], "identities-en")
    with pytest.raises(NotFoundError, match="no such file of terms"):
        MeasureBias.of([], "nowhere.txt")


def test_a_column_of_names_has_no_parts(trained, columned, settings, tmp_path):
    with pytest.raises(ModwrightError, match="value of its own"):
        evaluate(
            trained.folder,
            columned,
            tmp_path,
            settings,
            splits=["test"],
            measurements=[MeasureSlices(("name",))],
        )
