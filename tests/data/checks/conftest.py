"""Records that nothing is wrong with, and a short way to the findings about others beside them."""

from __future__ import annotations

import json

import pytest

from modwright.data.checks import check_dataset

SOUND = [{"text": f"text number {row}", "labels": {"t": ["x"] if row % 2 else []}} for row in range(40)]


def jsonl(records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


@pytest.fixture
def found(load):
    """Return the findings, by code, about training records (beside sound ones, unless told) and test records."""

    def _found(train=(), test=None, *, sound=True, **options):
        files = {"a.jsonl": jsonl([*(SOUND if sound else ()), *train])}
        if test is not None:
            files["t.jsonl"] = jsonl(test)
        findings = check_dataset(load(files, {"t.jsonl": "test"}).dataset, **options)
        assert all(finding.remedy for finding in findings)
        return {finding.code: finding for finding in findings}

    return _found


@pytest.fixture
def row():
    """Return a record of a text and its labels."""
    return lambda text, *labels: {"text": text, "labels": {"t": list(labels)}}
