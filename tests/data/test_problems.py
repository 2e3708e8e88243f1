"""Several problems at once: all are counted, the first are listed, however many files and checks add to them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modwright.data import textual
from modwright.data.problems import DataProblemsError, Problems
from modwright.errors import DataError


def test_rows_are_listed_while_there_is_room_and_all_are_counted():
    problems, made = Problems(limit=3), []

    def make(row: int) -> DataError:
        made.append(row)
        return DataError(f"row {row}", file="a.csv", line=row)

    problems.add_rows(np.array([4, 5]), make)
    problems.add_rows(np.array([6, 7, 8]), make)
    problems.add_rows(np.array([9]), make)
    assert made == [4, 5, 6]
    assert (problems.total, [error.line for error in problems.kept]) == (6, [4, 5, 6])


def total(load, files, **options) -> int:
    with pytest.raises(DataProblemsError) as caught:
        load(files, **options)
    assert len(caught.value.problems) == min(100, caught.value.total)
    return caught.value.total


def test_rows_of_several_files_are_all_counted(load):
    bad = {"a": 0.5, "b": 0.9}
    sums = "".join(json.dumps({"text": "x", "labels": {"t": bad}}) + "\n" for _ in range(80))
    files = {"a.jsonl": sums, "b.jsonl": sums}
    assert total(load, files, kind="single_label") == 160


def test_empty_conversations_of_several_files_are_all_counted(load):
    rows = "messages,rude\n" + ",1\n" * 80
    options = {"labels": ("rude",), "messages": "messages"}
    assert total(load, {"a.csv": rows, "b.csv": rows}, **options) == 160


def test_uneven_and_large_records_are_all_counted(load, monkeypatch):
    monkeypatch.setattr(textual, "CHUNK_BYTES", 512)
    uneven = "text,rude\n" + "a\n" * 160
    assert total(load, {"a.csv": uneven}, labels=("rude",)) == 160
    large = "text,rude\n" + ("b" * 50 + ",1\n") * 160
    assert total(load, {"b.csv": large}, labels=("rude",), reading={"max_record_bytes": 40}) == 160
