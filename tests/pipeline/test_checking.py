"""Checks that need models: tokens of a base, labels doubted out of fold; the description as a folder."""

from __future__ import annotations

import json

import pytest

from modwright.data.columnar import pl
from modwright.data.dataset import make_dataset
from modwright.errors import UsageError
from modwright.pipeline import checking
from modwright.pipeline.checking import CheckOptions, base_tokens, check, write_label_errors
from modwright.pipeline.describing import JSON, PAGE, dataset_facts, describe_dataset, write_description
from modwright.schema import text_input


@pytest.fixture
def settings(new_home, tmp_path):
    return new_home(tmp_path / "home")


def test_tokens_are_the_bases_own(tiny_base, tiny_base_folder, settings):
    tokens = base_tokens(str(tiny_base_folder), settings)
    texts = ["you are a silly goose", ""]
    assert tokens.count([text_input(text) for text in texts]).tolist() == tiny_base.tokenizer.lengths(texts)
    assert tokens.max_tokens == tiny_base.max_tokens


def test_texts_longer_than_the_base_are_told(dataset, tiny_base_folder, settings):
    frame = dataset.splits["train"]
    long = frame.with_columns(text=pl.concat_str([pl.col("text")] * 60, separator=" "))
    longer = make_dataset(dataset.schema, {**dataset.splits, "train": long}, {})
    options = CheckOptions(base=str(tiny_base_folder))
    found = {finding.code for finding in check(longer, options, settings, on_event=print).findings}
    assert "too_long" in found
    assert "too_long" not in {f.code for f in check(dataset, options, settings, on_event=print).findings}


def test_labels_are_doubted_out_of_fold(dataset, recipe, settings, monkeypatch, tmp_path):
    # The shipped recipe's base is another; the road from rows to scores is the real one.
    monkeypatch.setattr(checking, "load_recipe", lambda name: recipe)
    found = check(dataset, CheckOptions(label_errors=True), settings, on_event=lambda event: None)
    assert found.errors is not None
    assert found.errors.columns == ["id", "source", "target", "label", "given", "predicted", "likely"]
    counted = sum(finding.rows for finding in found.findings if finding.code == "likely_label_error")
    assert counted == len(found.errors)
    for name in ("e.csv", "e.json", "e.jsonl"):
        write_label_errors(found.errors, tmp_path / name)
    assert len(json.loads((tmp_path / "e.json").read_text())) == len(found.errors)
    with pytest.raises(UsageError, match=r"\.txt"):
        write_label_errors(found.errors, tmp_path / "e.txt")
    for name in ("e.csv", "e.json", "e.jsonl"):
        for rows in (found.errors[:0], found.errors):
            write_label_errors(rows, tmp_path / name)  # in place of an earlier one, with rows or without
        (tmp_path / name).write_text('[{"text": "mine"}]')
        with pytest.raises(UsageError, match="is no list of label errors"):
            write_label_errors(found.errors, tmp_path / name)
        assert "mine" in (tmp_path / name).read_text()


def test_a_description_is_a_folder_written_whole(dataset, settings, tmp_path, tiny_base_folder):
    found = describe_dataset(dataset, str(tiny_base_folder), settings)
    out = tmp_path / "described"
    paths = write_description(found, "set", dataset_facts(dataset), out)
    assert {path.name for path in paths} >= {JSON, PAGE, "distribution-1.png"}
    assert json.loads((out / JSON).read_text())["id"] == dataset.id
    assert write_description(found, "set", dataset_facts(dataset), out) == paths, "an earlier one is replaced"
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"described: exists already and holds something else: 'notes\.txt'"):
        write_description(found, "set", dataset_facts(dataset), out)
    assert (out / "notes.txt").read_text() == "mine"
    with pytest.raises(UsageError, match="is a file, a folder is written"):
        write_description(found, "set", dataset_facts(dataset), out / "notes.txt")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="something else"):
        write_description(found, "set", dataset_facts(dataset), tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine.txt"]
