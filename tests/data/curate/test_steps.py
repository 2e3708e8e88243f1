"""Each step: what it keeps, what it says it dropped, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_datasets import make, random_dataset

from modwright.data.curate import STEPS, curate, make_step, natural_prevalence, parse_step
from modwright.data.dataset import labels
from modwright.errors import DataError, RecipeError, UsageError
from modwright.schema import TargetKind

#: Every step with parameters that do something on the random dataset.
EXAMPLES = {
    "exact_duplicates": {"keep": "mean"},
    "near_duplicates": {"threshold": 0.7},
    "length": {"min": 10, "max": 40},
    "language": {"allowed": ["en"], "min_probability": 0.3},
    "drop_labels": {"labels": ["spam"]},
    "cap": {},
    "downsample": {"rows": 100},
    "per_label": {"count": 10},
    "rare_labels": {"min_share": 0.01},
    "shuffle": {},
}


def run(dataset, *steps, seed=0, **more):
    return curate(dataset, [parse_step(step) for step in steps], seed, **more)


def texts_of(number):
    return [f"goose number {row}" for row in range(number)]


def last(dataset):
    return dataset.provenance["steps"][-1]


def test_every_step_has_an_example():
    assert set(EXAMPLES) == set(STEPS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_step_changes_nothing_it_is_given_and_logs_every_row(name, dataset):
    before = {split: frame.clone() for split, frame in dataset.splits.items()}
    steps, schema = list(dataset.provenance["steps"]), dataset.schema
    planned = [make_step(name, EXAMPLES[name])]
    curated, again = curate(dataset, planned, 5), curate(dataset, planned, 5)
    assert curated.id == again.id
    assert all(dataset.splits[split].equals(frame) for split, frame in before.items())
    assert (dataset.provenance["steps"], dataset.schema) == (steps, schema)
    log = last(curated)
    assert log["step"] == name
    for split, counted in log["splits"].items():
        assert counted["before"] == len(dataset.splits[split])
        assert counted["kept"] == len(curated.splits[split])
        assert counted["before"] == counted["kept"] + counted["dropped"]
    assert sum(log["why"].values()) == sum(counted["dropped"] for counted in log["splits"].values())
    for split in ("validation", "test"):
        if name in ("rare_labels", "drop_labels"):
            assert curated.splits[split]["id"].equals(dataset.splits[split]["id"])
        else:
            assert curated.splits[split].equals(dataset.splits[split])


@pytest.mark.parametrize("name", [name for name, step in STEPS.items() if step.random])
def test_chance_comes_from_the_seed_alone(name, dataset):
    planned = [make_step(name, EXAMPLES[name])]
    assert curate(dataset, planned, 1).id != curate(dataset, planned, 2).id
    assert last(curate(dataset, planned, 7))["seed"] == 7


@given(
    st.lists(st.sampled_from(sorted(set(EXAMPLES) - {"language", "drop_labels"})), max_size=5),
    st.integers(0, 3),
)
def test_steps_compose(names, seed):
    dataset = random_dataset(60, seed)
    planned = [make_step(name, EXAMPLES[name]) for name in names]
    try:
        whole = curate(dataset, planned, seed)
    except (DataError, UsageError):  # nothing was left
        return
    bit_by_bit = dataset
    for place, step in enumerate(planned):
        bit_by_bit = curate(bit_by_bit, [step], seed + place)
    assert whole.id == bit_by_bit.id
    assert whole.provenance == bit_by_bit.provenance


def test_splits_are_touched_by_name_alone(dataset):
    two = run(dataset, "length min=10 splits=train,test")
    assert set(last(two)["splits"]) == {"train", "test"}
    assert two.splits["validation"].equals(dataset.splits["validation"])
    assert set(last(run(dataset, "length min=10 splits=all"))["splits"]) == set(dataset.splits)
    with pytest.raises(UsageError, match="'tset', which is not there"):
        run(dataset, "length min=10 splits=tset")
    with pytest.raises(UsageError, match="splits=all"):
        run(random_dataset(40, splits=("only",)), "length min=1")


SAME = ["You are a  silly goose", "what a day", "you are a silly goose ", "what a day"]
VALUES = [[1, 0], [0, np.nan], [0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("keep", "ids", "values"),
    [
        ("first", ["train-0", "train-1"], [[1, 0], [0, np.nan]]),
        ("mean", ["train-0", "train-1"], [[0.5, 0], [0, 1]]),
        ("drop", ["train-1"], [[0, np.nan]]),
    ],
)
def test_conflicting_duplicates(keep, ids, values):
    curated = run(make({"train": (SAME, VALUES)}), f"exact_duplicates keep={keep}")
    assert curated.splits["train"]["id"].to_list() == ids
    np.testing.assert_array_equal(labels(curated.splits["train"], curated.schema.targets[0]), values)
    assert last(curated)["details"]["train"] == {"conflicting_contents": 1}


def test_near_duplicates_leave_what_is_unlike():
    texts = [
        "the brown fox jumps over the lazy dog by the river",
        "a lovely day for geese to fly south, all together",
        "the brown fox jumps over the lazy dog by the rivers",
        "The Brown  fox jumps over the lazy dog by the river",
        "",
        "ok",
    ]
    dataset = make({"train": (texts, np.zeros((6, 2)))})
    curated = run(dataset, "near_duplicates threshold=0.8")
    assert curated.splits["train"]["id"].to_list() == ["train-0", "train-1", "train-4", "train-5"]
    assert last(curated)["why"] == {"a duplicate": 1, "nearly a duplicate": 1}
    assert len(run(dataset, "near_duplicates threshold=1.0").splits["train"]) == 5


def test_lengths_in_every_unit():
    dataset = make({"train": (["a", "two words", "three short words"], np.zeros((3, 2)))})
    assert len(run(dataset, "length min=2").splits["train"]) == 2
    assert last(run(dataset, "length min=2 max=2 unit=words"))["why"] == {"too short": 1, "too long": 1}
    tokens = run(
        dataset, "length max=9 unit=tokens", count_tokens=lambda texts: np.array(list(map(len, texts)))
    )
    assert tokens.splits["train"]["id"].to_list() == ["train-0", "train-1"]
    with pytest.raises(UsageError, match="need a tokenizer"):
        run(dataset, "length max=9 unit=tokens")


def test_other_languages_go_and_short_texts_stay():
    texts = [
        "The weather was lovely today and the geese flew over the lake",
        "Das Wetter war heute sehr schön und die Gänse flogen über den See",
        "na ja",
    ]
    curated = run(make({"train": (texts, np.zeros((3, 2)))}), "language allowed=en")
    assert curated.splits["train"]["id"].to_list() == ["train-0", "train-2"]
    assert last(curated)["why"] == {"another language": 1}
    with pytest.raises(UsageError, match="'english' is not known"):
        run(curated, "language allowed=english")


@given(st.integers(0, 50), st.integers(20, 300), st.sampled_from([0.0, 0.5, 1.0]))
def test_downsampling_leaves_the_weighted_prevalence(seed, rows, power):
    dataset = random_dataset(500, seed, ("train",))
    dataset = make(
        {
            "train": (
                dataset.splits["train"]["text"].to_list(),
                np.nan_to_num(labels(dataset.splits["train"], dataset.schema.targets[0])),
                np.random.default_rng(seed).random(500) + 0.1,
            )
        },
        dataset.schema.targets[0].labels,
    )
    curated = run(dataset, f"downsample rows={rows} power={power}", seed=seed)
    old, new = dataset.splits["train"], curated.splits["train"]
    assert abs(len(new) - rows) <= 16
    assert new["weight"].sum() == pytest.approx(old["weight"].sum())
    for label in dataset.schema.targets[0].labels:
        column = f"moderation/{label}"
        assert (new[column] * new["weight"]).sum() == pytest.approx((old[column] * old["weight"]).sum())


def test_a_lower_power_spares_rare_combinations(dataset):
    counts = [
        run(dataset, f"downsample rows=120 power={power}").splits["train"]["moderation/obscene"].sum()
        for power in (1.0, 0.5, 0.0)
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_per_label_reaches_its_counts_where_there_are_so_many(dataset):
    curated = run(dataset, "per_label count=20 unflagged=15")
    old, new = (labels(one.splits["train"], one.schema.targets[0]) for one in (dataset, curated))
    for before, after in zip(np.nansum(old, axis=0), np.nansum(new, axis=0), strict=True):
        assert after >= min(before, 20)
    assert (np.nan_to_num(new).max(axis=1) == 0).sum() == 15
    other = curate(dataset, [make_step("per_label", {"count": 5, "counts": {"insult": 50}})])
    assert other.splits["train"]["moderation/insult"].sum() >= 50
    with pytest.raises(UsageError, match="did you mean 'insult'"):
        curate(dataset, [make_step("per_label", {"count": 5, "counts": {"insolt": 50}})])


def test_per_label_takes_what_is_known_before_what_nobody_looked_at():
    unknown = [float("nan")] * 50
    values = np.array([1.0] * 50 + unknown + [0.0] * 1_000)[:, None]
    curated = run(make({"train": (texts_of(1_100), values)}, ["insult"]), "per_label count=50")
    kept = labels(curated.splits["train"], curated.schema.targets[0])[:, 0]
    assert [(kept == 1).sum(), (kept == 0).sum(), np.isnan(kept).sum()] == [50, 50, 0]
    assert last(curated)["why"] == {"no label holds": 950, "no label is known": 50}


def test_a_negative_label_is_wanted_as_unflagged():
    values = np.eye(2)[np.arange(40) % 2]
    with pytest.raises(UsageError, match="'safe', a negative label") as caught:
        run(
            make({"train": (texts_of(40), values)}, ["insult", "safe"], negative=("safe",)),
            "per_label count=5 counts={safe=20}",
        )
    assert "unflagged = 20" in (caught.value.remedy or "")


def test_a_step_in_words_takes_lists_and_tables_as_toml_has_them(dataset):
    assert parse_step("drop_labels labels=['spam',\"odd one\"]").step.labels == ("spam", "odd one")
    assert parse_step("drop_labels labels=spam,odd").step.labels == ("spam", "odd")
    assert parse_step("per_label count=1 counts={'moderation/insult'=3}").step.counts == {
        "moderation/insult": 3
    }
    assert last(run(dataset, "per_label count=1 counts={'moderation/insult'=3}"))["counts"] == {
        "moderation/insult": 3
    }


def test_downsampling_draws_rows_that_weigh_something():
    weighted = make({"train": (texts_of(4), np.zeros((4, 1)), [0.0, 0.0, 0.0, 10.0])}, ["insult"])
    for seed in range(5):
        assert run(weighted, "downsample rows=1", seed=seed).splits["train"]["weight"].to_list() == [10.0]


def test_rare_labels_are_decided_on_training_rows_alone():
    many, none = np.tile([1.0, 0.0], (50, 1)), np.tile([1.0, 1.0], (50, 1))
    texts = [f"goose {row}" for row in range(50)]
    dataset = make({"train": (texts, many), "test": (texts, none)})
    curated = run(dataset, "rare_labels min_share=0.01")
    assert curated.schema.targets[0].labels == ("insult",)
    assert "moderation/threat" not in curated.splits["test"].columns
    assert len(curated.splits["test"]) == 50
    assert last(curated)["removed"] == {"moderation/threat": {"positives": 0, "known": 50}}
    assert run(dataset, "rare_labels min_share=0.01 over=all").schema == dataset.schema


def test_a_target_keeps_a_label():
    with pytest.raises(UsageError, match="leaves no label of the target 'moderation'"):
        run(random_dataset(), "rare_labels min_count=100000")
    with pytest.raises(UsageError, match="leaves the label 'threat' alone"):
        run(make({"train": (["a"], [[1, 0]])}, kind=TargetKind.SINGLE_LABEL), "drop_labels labels=insult")


def test_rows_of_a_dropped_class_are_unknown():
    values = np.eye(3)
    dataset = make({"train": (["a", "b", "c"], values)}, ("x", "y", "z"), TargetKind.SINGLE_LABEL)
    curated = run(dataset, "drop_labels labels=moderation/y")
    found = labels(curated.splits["train"], curated.schema.targets[0])
    np.testing.assert_array_equal(found, [[1, 0], [np.nan, np.nan], [0, 1]])


def test_a_shuffle_is_a_permutation(dataset):
    curated = run(dataset, "shuffle")
    before, after = dataset.splits["train"], curated.splits["train"]
    assert not before.equals(after)
    assert before.equals(after[np.argsort(after["id"].str.slice(6).cast(int).to_numpy())])


def test_the_prevalence_is_kept_for_correcting_scores(dataset):
    curated = run(dataset, "cap", "shuffle")
    cap, shuffle = curated.provenance["steps"][-2:]
    assert shuffle["prevalence"] == {}
    assert set(cap["prevalence"]) == {"train"}
    before, after = natural_prevalence(curated.provenance["steps"], "train", "moderation/insult")
    column = "moderation/insult"
    assert before == pytest.approx(dataset.splits["train"][column].mean())
    assert after == pytest.approx(curated.splits["train"][column].mean())
    assert natural_prevalence(curated.provenance["steps"], "test", "moderation/insult") is None


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("capp", "there is no step 'capp'", "did you mean 'cap'?"),
        ("cap max_shar=0.3", "unknown parameter 'max_shar'", "did you mean 'max_share'?"),
        ("cap max_share=much", "'max_share' is 'much'", None),
        ("cap max_share", "is given 'max_share'", "KEY=VALUE"),
        ("downsample", "the parameter 'rows' is missing", "state it"),
        ("rare_labels min_share=0.01 splits=all", "takes labels out of all splits", "leave out splits"),
        ('cap "', "step is 'cap \"'", "write NAME"),
        ("cap splits=train,train", "splits is train, train", "once"),
        ("downsample rows=5 rows=6", "'rows' twice", "once"),
    ],
)
def test_what_is_wrong_with_a_step_is_named(text, message, remedy):
    with pytest.raises(RecipeError) as caught:
        parse_step(text)
    assert message in str(caught.value)
    assert (remedy or "") in (caught.value.remedy or "")


@pytest.mark.parametrize(
    "text",
    [
        "length min=3 max=2",
        "downsample rows=0",
        "rare_labels",
        "near_duplicates threshold=0",
        "per_label count=-1",
    ],
)
def test_parameters_make_sense(text):
    with pytest.raises(UsageError):
        parse_step(text)


def test_a_step_that_leaves_nothing_says_why(dataset):
    with pytest.raises(DataError, match="leaves no row of the split 'train'") as caught:
        run(dataset, "length min=10000")
    assert "too short: 400" in (caught.value.remedy or "")
