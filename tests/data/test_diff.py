"""What changed between two datasets: told apart by kind, counted right, never quoting a text."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from modwright.cli.app import app, load_commands
from modwright.data.columnar import pl
from modwright.data.dataset import make_dataset, write_dataset
from modwright.data.diff import diff_datasets
from modwright.data.tables import MESSAGES_TYPE
from modwright.schema import Schema, Target, TargetKind

ROWS = "".join(
    json.dumps(
        {"text": f"secret goose {row}", "id": f"k{row}", "n": row, "labels": {"t": ["x"] * (row % 4 == 0)}}
    )
    + "\n"
    for row in range(40)
)
PAIRS = "".join(
    json.dumps({"prompt": f"p{row // 2}", "response": f"r{row}", "labels": {"t": ["x"] * (row % 3 == 0)}})
    + "\n"
    for row in range(20)
)


@pytest.fixture
def dataset(load):
    return load({"a.jsonl": ROWS, "b.jsonl": PAIRS}, {"b.jsonl": "test"}).dataset


def remade(dataset, schema=None, steps=None, **splits):
    provenance = {**dataset.provenance, "steps": [*dataset.provenance["steps"], *(steps or [])]}
    return make_dataset(schema or dataset.schema, {**dataset.splits, **splits}, provenance)


def test_the_same_content_is_equal_wherever_it_came_from(dataset, load):
    other = load({"elsewhere.jsonl": ROWS, "b.jsonl": PAIRS}, {"b.jsonl": "test"}).dataset
    diff = diff_datasets(dataset, other)
    assert diff.equal
    assert (diff.rows.same, diff.rows.added, diff.rows.removed, diff.rows.moved) == (60, {}, {}, {})
    assert not any((diff.schema, diff.columns, diff.sources, diff.steps, diff.examples))
    assert all(label.changed == 0 and label.before == label.after for label in diff.labels)


def test_rows_added_removed_and_moved(dataset):
    train, test = dataset.splits["train"], dataset.splits["test"]
    moved = train[30:40].select(train.columns)
    step = {"step": "cap", "seed": 3, "splits": {"train": {"kept": 25}}}
    later = remade(dataset, steps=[step], train=train[5:30], test=pl.concat([test[:18], moved.drop("n")]))
    diff = diff_datasets(dataset, later)
    assert not diff.equal
    assert (diff.rows.removed, diff.rows.added) == ({"train": 5, "test": 2}, {})
    assert diff.rows.moved == {("train", "test"): 10}
    assert diff.rows.same == 53
    assert diff.steps == ("with the step cap seed=3",)
    rates = diff.labels[0]
    assert (rates.before["train"].positives, rates.before["train"].known) == (10, 40)
    assert (rates.after["train"].positives, rates.after["train"].known) == (6, 25)
    back = diff_datasets(later, dataset)
    assert back.rows.added == {"train": 5, "test": 2}
    assert back.rows.moved == {("test", "train"): 10}


def test_label_changes_are_counted_both_ways(dataset):
    train = dataset.splits["train"]
    values = train["t/x"].to_list()
    values[0:5] = [None, 1.0, 0.2, 0.9, 0.7]  # were 1, 0, 0, 0, 1
    diff = diff_datasets(dataset, remade(dataset, train=train.with_columns(pl.Series("t/x", values))), show=1)
    (label,) = diff.labels
    assert (label.on, label.off, label.shifted, label.learned, label.forgotten) == (2, 0, 2, 0, 1)
    assert diff.rows.relabelled == 5
    (example,) = diff.examples["relabelled"]
    assert example == {
        "before": {"id": "k0", "split": "train", "labels": {"t/x": 1.0}},
        "after": {"id": "k0", "split": "train", "labels": {}},
    }
    back = diff_datasets(remade(dataset, train=train.with_columns(pl.Series("t/x", values))), dataset).labels[
        0
    ]
    assert (back.on, back.off, back.shifted, back.learned, back.forgotten) == (0, 2, 2, 1, 0)


def test_inputs_ids_weights_and_columns(dataset):
    train = dataset.splits["train"]
    later = train.with_columns(
        id=pl.when(pl.col("n") < 3).then("new" + pl.col("id")).otherwise("id"),
        text=pl.when(pl.col("n") > 35).then(pl.lit("edited ") + pl.col("text")).otherwise("text"),
        weight=pl.when(pl.col("n") == 7).then(2.0).otherwise("weight"),
        n=pl.when(pl.col("n") == 8).then(None).otherwise("n"),
        extra=pl.lit("e"),
    )
    diff = diff_datasets(dataset, remade(dataset, train=later))
    rows = diff.rows
    assert (rows.renumbered, rows.edited, rows.reweighted, rows.columns) == (3, 4, 1, {"n": 1})
    assert (rows.added, rows.removed, rows.moved) == ({}, {}, {})
    assert diff.columns == ("column 'extra' is new",)


def test_order_alone_is_a_difference_that_is_named(dataset):
    diff = diff_datasets(dataset, remade(dataset, train=dataset.splits["train"][::-1]))
    assert not diff.equal
    assert diff.rows.reordered == ("train",)
    assert (diff.rows.same, diff.rows.relabelled) == (60, 0)


def test_duplicates_are_counted_one_by_one(dataset):
    train = dataset.splits["train"]
    thrice = pl.concat([train, train[:1], train[:1]])
    diff = diff_datasets(remade(dataset, train=thrice), remade(dataset, train=thrice[:41]))
    assert (diff.rows.same, diff.rows.removed) == (61, {"train": 1})


def test_the_schema(dataset, load):
    rows = ROWS.replace('"x"', '"y"')
    later = load({"a.jsonl": rows, "b.jsonl": PAIRS.replace('"x"', '"y"')}, {"b.jsonl": "test"}).dataset
    diff = diff_datasets(dataset, later)
    assert diff.schema == (
        "target 't': label 'x' is gone",
        "target 't': label 'y' is new",
        "target 't': label 'x' seems to be called 'y' now",
    )
    assert {label.label: (bool(label.before), bool(label.after)) for label in diff.labels} == {
        "x": (True, False),
        "y": (False, True),
    }
    one = Schema(
        (
            Target.create("t", TargetKind.MULTI_LABEL, ("x", "y")),
            Target.create("u", TargetKind.MULTI_LABEL, ("z",)),
        )
    )
    two = Schema((Target.create("t", TargetKind.SINGLE_LABEL, ("y", "x"), ("y",)),), 0.4)
    frame = (
        dataset.splits["train"]
        .drop("n")
        .with_columns(pl.lit(0.0).alias("t/y"), pl.lit(None, pl.Float64).alias("u/z"))
    )
    first, last = frame, frame.select([*frame.columns[:6], "t/y", "t/x"])
    diff = diff_datasets(make_dataset(one, {"train": first}, {}), make_dataset(two, {"train": last}, {}))
    assert diff.schema == (
        "target 'u' is gone",
        "target 't': the labels are in another order: y, x",
        "target 't': is single_label, was multi_label",
        "target 't': the negative labels are y, were none",
        "a label holds above 0.4, before above 0.5",
    )


@st.composite
def shuffles(draw):
    """Rows of few ids and texts, so that many are alike, dealt into two splits, twice."""

    def rows():
        number = draw(st.integers(1, 12))
        cells = st.lists(st.integers(0, 3), min_size=number, max_size=number)
        frame = pl.DataFrame(
            {
                "id": pl.Series(draw(cells)).cast(pl.String),
                "text": pl.Series(draw(cells)).cast(pl.String),
                "messages": pl.Series([None] * number, dtype=MESSAGES_TYPE),
                "weight": [1.0] * number,
                "group": pl.Series([None] * number, dtype=pl.String),
                "source": ["f"] * number,
                "t/x": np.array(draw(cells)) / 3,
            }
        )
        cut = draw(st.integers(0, number))
        return {"train": frame[:cut], "test": frame[cut:]}

    schema = Schema((Target.create("t", TargetKind.MULTI_LABEL, ("x",)),))
    return make_dataset(schema, rows(), {}), make_dataset(schema, rows(), {})


@given(shuffles())
def test_every_row_is_accounted_for(pair):
    before, after = pair
    rows = diff_datasets(before, after, show=2).rows
    for side, alone in ((rows.before, rows.removed), (rows.after, rows.added)):
        assert sum(side.values()) == rows.same + rows.renumbered + rows.edited + sum(alone.values())
    for split in ("train", "test"):
        came = sum(number for (_, to), number in rows.moved.items() if to == split) + rows.added.get(split, 0)
        went = sum(number for (start, _), number in rows.moved.items() if start == split) + rows.removed.get(
            split, 0
        )
        assert rows.after[split] - rows.before[split] == came - went
    back = diff_datasets(after, before).rows
    assert (back.same, back.renumbered, back.edited) == (rows.same, rows.renumbered, rows.edited)
    assert diff_datasets(before, before).equal


def test_the_command_and_its_exit_codes(dataset, tmp_path):
    train = dataset.splits["train"]
    ids = pl.Series("id", ["\x1b[31m[red]\n" + row for row in train["id"]])
    one = write_dataset(remade(dataset, train=train.with_columns(ids)), tmp_path / "one")
    flipped = train.with_columns(ids, pl.col("t/x") * 0, weight=pl.lit(2.0))
    two = write_dataset(remade(dataset, train=flipped[:30]), tmp_path / "two")

    def run(*arguments):
        return CliRunner().invoke(load_commands() and app, ["data", "diff", *map(str, arguments)])

    same = run(one, one)
    assert same.exit_code == 0
    assert same.stdout.startswith("the same content: ")
    shown = run(one, two, "--show", "2")
    assert shown.exit_code == 1
    assert "10 rows: of 'train' removed" in shown.stdout
    assert "30 rows: another weight" in shown.stdout
    assert '"id": "\\u001b[31m[red]\\nk0"' in shown.stdout
    assert "\x1b" not in shown.stdout
    assert "secret" not in shown.stdout
    body = json.loads(run(one, two, "--json").stdout)
    assert (body["equal"], body["rows"]["removed"], body["rows"]["relabelled"]) == (False, {"train": 10}, 8)
    assert body["labels"][0]["before"]["train"] == {"positives": 10, "known": 40, "share": 0.25}
    assert "secret" not in json.dumps(body)
    missing = run(one, tmp_path / "nothing")
    assert missing.exception.exit_code == 2


def test_a_duplicate_that_goes_changes_no_label_of_the_others(load):
    def rows(*labels):
        return "".join(
            f'{{"text": "{text}", "labels": {{"t": {json.dumps(held)}}}}}\n' for text, held in labels
        )

    before = load({"a.jsonl": rows(("dup", ["x"]), ("dup", []), ("o", ["x"]))}).dataset
    after = load({"b.jsonl": rows(("dup", []), ("o", ["x"]))}).dataset
    for one, other in ((before, after), (after, before)):
        found = diff_datasets(one, other).rows
        assert (found.relabelled, found.edited) == (0, 0)
        assert (found.removed or found.added) == {"train": 1}
        assert found.renumbered == 2
