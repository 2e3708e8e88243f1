"""The shipped schema of 14 categories: by name where a file's path may stand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modwright.data.dataset import read_dataset
from modwright.data.importing import import_dataset
from modwright.data.options import ImportOptions, Meaning
from modwright.data.recorded import read_recorded, shipped_schemas
from modwright.errors import NotFoundError


def test_the_qa_categories_are_a_schema_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped_schemas() == ("qa-moderation",)
    recorded = read_recorded(Path("qa-moderation"))
    (target,) = recorded.schema.targets
    assert len(target.labels) == 14
    assert target.labels[0] == "animal_abuse"
    assert target.labels[-1] == "violence,aiding_and_abetting,incitement"
    row = {"prompt": "why?", "response": "honk", "category": {"self_harm": 0, "privacy_violation": 1}}
    Path("pairs.jsonl").write_text(json.dumps(row) + "\n" + json.dumps({**row, "response": "hush"}) + "\n")
    meaning = Meaning(prompt="prompt", response="response", labels=("category",), recorded=recorded)
    import_dataset(ImportOptions(("pairs.jsonl",), tmp_path / "rows", meaning=meaning))
    frame = read_dataset(tmp_path / "rows")
    assert frame.schema == recorded.schema
    assert frame.splits["train"]["moderation/privacy_violation"].to_list() == [1.0, 1.0]
    assert frame.splits["train"]["moderation/child_abuse"].to_list() == [None, None]


def test_a_name_that_is_none_lists_the_shipped_ones():
    with pytest.raises(NotFoundError, match="qa-moderation"):
        read_recorded(Path("qa-moderatoin"))
