"""The scored pairs: means over raters, unknown where nobody scored, one record per pair."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modwright.errors import DataError
from modwright.pipeline.pairs import CATEGORIES, CATEGORY, POOLED, CategoryCount, pyrit_records, read_pyrit
from modwright.schema import Target, TargetKind


def write(
    folder: Path,
    name: str,
    category: str,
    rows: list[tuple[Any, ...]],
    raters: tuple[str, ...] = ("human_score_1",),
) -> None:
    """Write a file as pyrit has them: rows are objective, response, then a score per rater."""
    text = io.StringIO()
    text.write(f"# dataset_version=1.0, harm_definition={category}.yaml, harm_definition_version=1.0,,\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["harm_category", "objective", "assistant_response", *raters, "data_type"])
    for objective, response, *scores in rows:
        writer.writerow([category.upper(), objective, response, *scores, "text"])
    (folder / name).write_text(text.getvalue(), encoding="utf-8")


THREE = ("human_score_1", "human_score_2", "human_score_3")


def test_a_score_is_the_mean_of_its_raters_and_the_rest_is_unknown(tmp_path: Path) -> None:
    write(tmp_path, "v.csv", "violence", [("why?", "honk", "0.25", "0.5", "1")], THREE)
    (record,) = pyrit_records(tmp_path)
    assert record["labels"][POOLED] == {POOLED: pytest.approx(1.75 / 3)}
    assert record["labels"][CATEGORY] == dict.fromkeys(CATEGORIES) | {"violence": pytest.approx(1.75 / 3)}
    assert (record["prompt"], record["response"], record["raters"]) == ("why?", "honk", 3)
    assert (record["source_file"], record["source_line"], record["harm_category"]) == ("v.csv", 3, "violence")


def test_targets_fit_the_vocabulary(tmp_path: Path) -> None:
    write(tmp_path, "v.csv", "violence", [("why?", "honk", "1")])
    (record,) = pyrit_records(tmp_path)
    for name, labels in record["labels"].items():
        assert Target.create(name, TargetKind.MULTI_LABEL, labels).flaggable == tuple(labels)


def test_the_mean_is_exact_at_the_threshold(tmp_path: Path) -> None:
    write(tmp_path, "v.csv", "violence", [("why?", "honk", "0.25", "0.5", "0.75")], THREE)
    pairs = read_pyrit(tmp_path)
    assert pairs.records[0]["labels"][POOLED][POOLED] == 0.5
    assert pairs.summary.harmful == 0


def test_a_pair_scored_again_is_one_record_with_all_its_raters(tmp_path: Path) -> None:
    write(
        tmp_path,
        "s.csv",
        "sexual",
        [("why?", "honk", "0"), ("other", "goose", "1"), ("Why? ", " HONK", "0.5")],
    )
    pairs = read_pyrit(tmp_path)
    assert [record["raters"] for record in pairs.records] == [2, 1]
    assert pairs.records[0]["labels"][CATEGORY]["sexual"] == 0.25
    assert pairs.records[0]["prompt"] == "why?", "the text is the first one, as it stands"
    assert (pairs.summary.rows, pairs.summary.pairs, pairs.summary.merged, pairs.summary.copied) == (
        3,
        2,
        1,
        0,
    )
    assert pairs.summary.dropped == 1


def test_the_same_score_twice_in_one_file_is_two_people(tmp_path: Path) -> None:
    write(
        tmp_path, "p.csv", "privacy", [("why?", "honk", "0"), ("why?", "honk", "0"), ("why?", "honk", "0.75")]
    )
    (record,) = pyrit_records(tmp_path)
    assert (record["raters"], record["labels"][CATEGORY]["privacy"]) == (3, 0.25)


def test_a_row_copied_into_another_file_counts_once(tmp_path: Path) -> None:
    rows = [("why?", "honk", "0.25", "0.25", "1"), ("other", "goose", "1", "1", "1")]
    write(tmp_path, "h_multi.csv", "hate_speech", rows, THREE)
    write(tmp_path, "mini_h.csv", "hate_speech", rows[:1], THREE)
    pairs = read_pyrit(tmp_path)
    assert (pairs.summary.rows, pairs.summary.pairs, pairs.summary.copied, pairs.summary.merged) == (
        3,
        2,
        1,
        0,
    )
    assert [record["raters"] for record in pairs.records] == [3, 3]
    assert pairs.records[0]["labels"][POOLED][POOLED] == 0.5


def test_a_pair_of_two_categories_is_known_in_both_and_harmful_in_the_worse(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "privacy", [("why?", "honk", "0.25")])
    write(tmp_path, "b.csv", "violence", [("why?", "honk", "0.75")])
    pairs = read_pyrit(tmp_path)
    (record,) = pairs.records
    known = {name: value for name, value in record["labels"][CATEGORY].items() if value is not None}
    assert known == {"privacy": 0.25, "violence": 0.75}
    assert record["labels"][POOLED][POOLED] == 0.75
    assert pairs.summary.categories["privacy"] == CategoryCount(1, 0)
    assert pairs.summary.categories["violence"] == CategoryCount(1, 1)


def test_the_older_column_name_and_lines_of_rows_with_line_breaks(tmp_path: Path) -> None:
    rows = [("one", "first\nsecond\nthird", "0"), ("two", 'says "honk", twice', "1")]
    write(tmp_path, "r.csv", "representational", rows, ("human_score",))
    records = pyrit_records(tmp_path)
    assert [record["source_line"] for record in records] == [3, 6]
    assert records[0]["response"] == "first\nsecond\nthird"
    assert records[1]["response"] == 'says "honk", twice'


def test_ids_depend_on_the_pair_alone(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "privacy", [("why?", "honk", "0.25"), ("what?", "quack", "1")])
    before = {record["prompt"]: record["id"] for record in pyrit_records(tmp_path)}
    write(tmp_path, "a.csv", "violence", [("what?", "quack", "0"), ("why?", "honk", "1")])
    assert {record["prompt"]: record["id"] for record in pyrit_records(tmp_path)} == before
    assert len(set(before.values())) == 2


QUARTERS = st.sampled_from(["0", "0.25", "0.5", "0.75", "1"])


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("cd"), QUARTERS), min_size=1, max_size=12))
def test_no_score_is_lost(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    write(folder, "v.csv", "violence", rows)
    records = pyrit_records(folder)
    total = sum(record["labels"][CATEGORY]["violence"] * record["raters"] for record in records)
    assert total == pytest.approx(sum(float(score) for _, _, score in rows))
    assert sum(record["raters"] for record in records) == len(rows)
    assert len(records) == len({row[:2] for row in rows})


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        ("objective,assistant_response,human_score_1\na,b,1\n", "x.csv:1", "no known category"),
        (
            "# harm_definition=geese.yaml\nobjective,assistant_response,human_score_1\n",
            "x.csv:1",
            "no known category",
        ),
        (
            "# harm_definition=violence.yaml\nobjective,human_score_1\na,1\n",
            "x.csv:2",
            "no column assistant_response",
        ),
        (
            "# harm_definition=violence.yaml\nobjective,assistant_response\na,b\n",
            "x.csv:2",
            "no column human_score",
        ),
        (
            "# harm_definition=violence.yaml\nobjective,assistant_response,human_score_1\na,b,1\na,c,1.5\n",
            "x.csv:4, field 'human_score_1'",
            "the score is '1.5'",
        ),
        (
            "# harm_definition=violence.yaml\nobjective,assistant_response,human_score_1\na,b,\n",
            "x.csv:3",
            "''",
        ),
        (
            "# harm_definition=violence.yaml\nobjective,assistant_response,human_score_1\na\n",
            "x.csv:3",
            "is empty",
        ),
        (
            '# harm_definition=violence.yaml\nobjective,assistant_response,human_score_1\na,"b"c,1\n',
            "x.csv:3",
            "CSV",
        ),
    ],
)
def test_a_file_that_is_none_of_pyrits_is_an_error_at_its_line(
    tmp_path: Path, content: str, where: str, what: str
) -> None:
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(DataError) as failed:
        read_pyrit(tmp_path)
    assert failed.value.where is not None
    assert failed.value.where.startswith(where)
    assert what in failed.value.message


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no CSV files"):
        read_pyrit(tmp_path)
