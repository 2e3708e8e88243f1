"""A job's files as its dataset: what is tolerated, what is not, and what files and targets add."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from modwright.data.dataset import labels, read_dataset
from modwright.data.problems import DataProblemsError
from modwright.errors import DataError
from modwright.jobs.specs import Hyperparameters, JobSpec, TargetSpec, TrainingFile
from modwright.jobs.validating import check_data
from modwright.jobs.workspace import Order, OrderedFile, Workspace
from modwright.testing import tiny_records


def order(workspace, *files, **more):
    """An order of (split, lines, weight) files, laid down."""
    ordered = []
    for number, (split, lines, weight) in enumerate(files):
        path = workspace.folder / "files" / f"{number}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        ordered.append(OrderedFile(f"files/{number}.jsonl", sha256, "rows.jsonl", split, weight))
    spec = JobSpec("fast", (TrainingFile("a"),), hyperparameters=Hyperparameters(), **more)
    return Order(spec, tuple(ordered), "offline", 0.0, "EUR")


def lines(number, seed=0):
    return [json.dumps(record) for record in tiny_records(number, seed=seed)]


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "job")


def test_files_become_splits_and_their_weights_multiply_those_of_rows(workspace):
    heavy = [json.dumps({**record, "weight": 0.5}) for record in tiny_records(20, seed=2)]
    found = check_data(
        order(workspace, ("train", lines(30), 1.0), ("train", heavy, 3.0), ("validation", lines(10, 5), 1.0)),
        workspace,
    )
    train = found.dataset.splits["train"]
    assert train["weight"].to_list() == [1.0] * 30 + [1.5] * 20
    assert found.dataset.splits["validation"]["weight"].to_list() == [1.0] * 10
    assert read_dataset(workspace.dataset).id == found.dataset.id
    assert found.skipped_lines == 0
    assert train["source"][30] == "rows.jsonl (2):1"  # of one name, told apart


def test_declared_targets_are_the_ones_that_train_in_their_order(workspace):
    declared = (TargetSpec("moderation", ("threat", "safe", "insult")),)
    found = check_data(order(workspace, ("train", lines(60), 1.0), targets=declared), workspace)
    assert found.dataset.schema.names == ("moderation",)
    target = found.dataset.schema.targets[0]
    assert target.labels == ("threat", "safe", "insult")
    assert not [name for name in found.dataset.splits["train"].columns if name.startswith("tone/")]
    whole = check_data(order(workspace, ("train", lines(60), 1.0)), workspace).dataset
    theirs = whole.schema.target("moderation")
    places = [theirs.labels.index(label) for label in target.labels]
    expected = labels(whole.splits["train"], theirs)[:, places]
    np.testing.assert_array_equal(labels(found.dataset.splits["train"], target), expected)


def test_a_declared_target_that_no_file_has_is_an_error(workspace):
    declared = (TargetSpec("moderation", ("safe", "insult", "threat")), TargetSpec("mood", ("good",)))
    with pytest.raises(DataError, match="the label 'good' was declared"):
        check_data(order(workspace, ("train", lines(60), 1.0), targets=declared), workspace)


def test_wrong_lines_are_left_out_as_far_as_the_job_tolerates_them(workspace):
    rows = lines(40)
    rows[4] = "no json"
    rows[9] = '{"text": 5, "labels": {"moderation": []}}'
    rows[19] = '{"text": "a goose", "labels": {"moderation": "insult"}}'  # shows only beside the others
    told = order(workspace, ("train", rows, 1.0), invalid_sample_skip_percentage=0.1)
    found = check_data(told, workspace)
    assert found.skipped_lines == 3
    assert sorted(problem.line for problem in found.skipped) == [5, 10, 20]
    sources = found.dataset.splits["train"]["source"].to_list()
    assert sources == [f"rows.jsonl:{n}" for n in range(1, 41) if n not in (5, 10, 20)]
    assert not any("blank" in note for note in found.notes)


def test_more_wrong_lines_than_tolerated_fail_with_each_line(workspace):
    rows = lines(40)
    for place in range(0, 10):
        rows[place] = "no json"
    for tolerated in (0.0, 0.2):
        with pytest.raises(DataProblemsError) as caught:
            check_data(
                order(workspace, ("train", rows, 1.0), invalid_sample_skip_percentage=tolerated), workspace
            )
        assert caught.value.total == 10
        assert [problem.line for problem in caught.value.problems] == list(range(1, 11))
    assert not workspace.dataset.exists()


def test_tolerance_is_of_each_file_and_not_of_all_together(workspace):
    few = lines(4, seed=3)
    few[0], few[1], few[2] = "{", "{", "{"
    told = order(
        workspace, ("train", lines(96), 1.0), ("train", few, 1.0), invalid_sample_skip_percentage=0.5
    )
    with pytest.raises(DataError):
        check_data(told, workspace)


def test_rows_that_are_learned_and_judged_are_noted(workspace):
    same = lines(30)
    found = check_data(order(workspace, ("train", same, 1.0), ("validation", same[:5], 1.0)), workspace)
    assert any("validation rows are training rows" in note for note in found.notes)
    assert not any("--" in note for note in found.notes)


def test_openai_conversations_bring_their_label_as_the_last_message(workspace):
    rows = [
        json.dumps(
            {
                "messages": [
                    {"role": "user", "content": f"text {number}"},
                    {"role": "assistant", "content": "insult" if number % 2 else "safe"},
                ]
            }
        )
        for number in range(20)
    ]
    made = order(workspace, ("train", rows, 1.0))
    (file,) = made.files
    openai = OrderedFile(file.path, file.sha256, file.name, file.split, file.weight, openai=True)
    found = check_data(Order(made.spec, (openai,), "offline", 0.0, "EUR"), workspace)
    assert set(found.dataset.schema.target("moderation").labels) == {"insult", "safe"}
