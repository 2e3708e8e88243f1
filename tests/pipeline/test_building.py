"""A data recipe becomes the dataset that import, split and curation make of it one by one, in memory or from disk."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modwright.data.columnar import pl
from modwright.data.curate import curate, steps_of
from modwright.data.curate.duplicates import near_groups
from modwright.data.curate.part import MemoryStore, Part
from modwright.data.dataset import groups, labels, make_dataset, read_dataset
from modwright.data.importing import load_dataset
from modwright.data.near import Likeness, comparable
from modwright.data.resplit import resplit
from modwright.data.tables import MESSAGES_TYPE
from modwright.errors import DataError, RecipeError, UsageError
from modwright.pipeline.building import build_dataset, import_options
from modwright.recipe import load_data_recipe, shipped_data_recipes
from modwright.schema import Schema, Target, TargetKind
from modwright.settings import load_settings

WORDS = ["silly", "goose", "lovely", "day", "hide", "your", "shoes", "geese", "fly", "south", "today"]


@pytest.fixture
def settings(tmp_path):
    return load_settings({"MODWRIGHT_HOME": str(tmp_path / "home")})


def write_rows(path, number, seed=0, suffix=".csv"):
    random = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "comment": [" ".join(random.choice(WORDS, random.integers(1, 12))) for _ in range(number)],
            "insult": random.random(number).round(3),
            "threat": (random.random(number) ** 3).round(3),
            "spam": (random.random(number) ** 200).round(3),
            "year": random.integers(2000, 2010, number),
        }
    )
    path = path.with_suffix(suffix)
    frame.write_csv(path) if suffix == ".csv" else frame.write_parquet(path, row_group_size=170)
    return path


RECIPE = """
[data]
seed = 3
text = "comment"
scores = ["insult", "threat", "spam"]
threshold = "{threshold}"

[[data.sources]]
from = "{train}"
split = "train"
{sample}

[[data.sources]]
from = "{test}"
split = "test"

{more}

[[data.steps]]
step = "exact_duplicates"
keep = "mean"

[[data.steps]]
step = "cap"
zero_share = 0.3
max_share = 0.5

[[data.steps]]
step = "rare_labels"
min_share = 0.02

[[data.steps]]
step = "shuffle"
"""


def write_recipe(tmp_path, *, suffix=".csv", threshold="> 0.5", sample="", more="", number=900):
    train = write_rows(tmp_path / "train", number, 1, suffix)
    test = write_rows(tmp_path / "test", 300, 2, suffix)
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.format(train=train, test=test, threshold=threshold, sample=sample, more=more))
    return path


def one_by_one(recipe, out):
    """Return what the recipe says, step by step over a dataset in memory."""
    options = dataclasses.replace(import_options(recipe, out))
    dataset = load_dataset(options).dataset
    if recipe.split is not None:
        share = recipe.split
        dataset = resplit(dataset, share.fractions, share.seed, share.group, share.near)
    return curate(dataset, steps_of(recipe.steps), recipe.seed)


def told(steps):
    """Return steps as JSON, but for what depends on how files are read: the rows a sample looked at, the dataset dealt."""
    steps = json.loads(json.dumps(steps))
    for step in steps:
        step.pop("from", None)
        if step["step"] == "sample":
            step["splits"] = {split: {"kept": counts["kept"]} for split, counts in step["splits"].items()}
    return steps


SPLIT = '[data.split]\nseed = 4\nnear = 0.7\ngroup = "year"\n[data.split.fractions]\ntrain = 0.7\nvalidation = 0.3\n'


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"threshold": ">= median"},
        {"sample": "shuffle_seed = 5\nshuffle_buffer = 100\ntake = 400"},
        {"sample": "take = 350", "threshold": "> q0.7"},
        {"more": SPLIT.replace('group = "year"\n', "")},
    ],
    ids=["plain", "median", "shuffled", "taken", "split"],
)
def test_a_stream_gives_the_very_dataset_that_memory_gives(suffix, given, tmp_path, settings, monkeypatch):
    monkeypatch.setattr("modwright.data.chunks._CHUNK_ROWS", 130)
    monkeypatch.setattr("modwright.data.textual.CHUNK_BYTES", 4_000)
    monkeypatch.setattr("modwright.data.spool._BLOCK_ROWS", 64)
    recipe = load_data_recipe(str(write_recipe(tmp_path, suffix=suffix, **given)))
    summary = build_dataset(recipe, tmp_path / "out", settings)
    expected = one_by_one(recipe, tmp_path / "out")
    built = read_dataset(tmp_path / "out")
    for split, frame in expected.splits.items():
        assert built.splits[split].equals(frame), split
    assert (built.id, built.schema) == (expected.id, expected.schema)
    assert summary.id == built.id
    assert summary.rows == {split: len(frame) for split, frame in built.splits.items()}
    assert told(expected.provenance["steps"]) == told(built.provenance["steps"])
    assert json.loads(json.dumps(expected.provenance["sources"])) == built.provenance["sources"]
    assert build_dataset(recipe, tmp_path / "out", settings).status == "unchanged"
    assert sorted(path.name for path in tmp_path.glob(".*")) == []


def test_rows_of_a_group_and_near_duplicates_stay_together(tmp_path, settings):
    path = tmp_path / "rows.jsonl"
    random = np.random.default_rng(0)
    records = []
    for topic in range(60):
        words = list(random.choice(WORDS, 12))
        for change in range(3):
            text = " ".join([*words, f"number {topic}", "x" * change])
            records.append(
                {
                    "text": text,
                    "labels": {"moderation": ["insult"] * int(topic % 3 == 0)},
                    "thread": topic % 20,
                }
            )
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'[[data.sources]]\nfrom = "{path}"\nsplit = "train"\n[data.split]\nseed = 1\nnear = 0.8\ngroup = "thread"\n'
        "[data.split.fractions]\ntrain = 0.8\ntest = 0.2\n"
    )
    build_dataset(load_data_recipe(str(recipe)), tmp_path / "out", settings)
    dataset = read_dataset(tmp_path / "out")
    threads = [set(dataset.splits[split]["thread"].to_list()) for split in ("train", "test")]
    assert not threads[0] & threads[1]
    assert spanning(dataset, 0.8) == 0


def spanning(dataset, threshold):
    """Count groups of near-duplicates that lie in several splits."""
    frame = pl.concat([frame.select("text", "messages", "group") for frame in dataset.splits.values()])
    whole = Part(MemoryStore(frame), np.arange(len(frame)), np.zeros((len(frame), 1)), np.ones(len(frame)))
    group = near_groups(whole, Likeness(threshold))
    split = np.repeat(np.arange(len(dataset.splits)), [len(one) for one in dataset.splits.values()])
    return len({*zip(group.tolist(), split.tolist(), strict=True)}) - len({*group.tolist()})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (('step = "cap"', 'step = "capp"'), RecipeError, "there is no step 'capp'"),
        (("max_share = 0.5", "max_shar = 0.5"), RecipeError, "unknown parameter 'max_shar'"),
        (
            ("min_share = 0.02", 'min_share = 0.02\nsplits = "all"'),
            RecipeError,
            "takes labels out of all splits",
        ),
        (('text = "comment"', 'text = "coment"'), DataError, "there is no column 'coment'"),
        (
            ("zero_share = 0.3", 'zero_share = 0.3\nsplits = ["tset"]'),
            UsageError,
            "'tset', which is not there",
        ),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(change, error, message, tmp_path, settings):
    path = write_recipe(tmp_path)
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(error, match=message):
        build_dataset(load_data_recipe(str(path)), tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".out*")) == []


def test_another_dataset_is_not_replaced_unless_told(tmp_path, settings):
    recipe = load_data_recipe(str(write_recipe(tmp_path)))
    build_dataset(recipe, tmp_path / "out", settings)
    other = load_data_recipe(str(tmp_path / "recipe.toml"), ["data.seed=9"])
    with pytest.raises(UsageError):
        build_dataset(other, tmp_path / "out", settings)
    assert build_dataset(other, tmp_path / "out", settings, replace=True).status == "written"


CHILD = """
import sys, time
from pathlib import Path
import modwright.data.streamed as streamed
from modwright.pipeline.building import build_dataset
from modwright.recipe import load_data_recipe
from modwright.settings import load_settings
inner = getattr(streamed, sys.argv[3])
def slow(*given, **more):
    print("here", flush=True)
    time.sleep(60)
    return inner(*given, **more)
setattr(streamed, sys.argv[3], slow)
build_dataset(load_data_recipe(sys.argv[1]), Path(sys.argv[2]), load_settings(), replace=True)
"""


@pytest.mark.parametrize("moment", ["_written", "_file_hash", "staged_folder", "write_manifest"])
def test_killed_at_any_point_the_old_dataset_is_there(moment, tmp_path, settings):
    recipe = write_recipe(tmp_path)
    out = tmp_path / "out"
    build_dataset(load_data_recipe(str(recipe), ["data.seed=9"]), out, settings)
    before = read_dataset(out).id
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(recipe), str(out), moment], stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout.readline() == "here\n"
        child.send_signal(signal.SIGKILL)
    time.sleep(0.1)
    assert read_dataset(out).id == before
    built = build_dataset(load_data_recipe(str(recipe)), out, settings, replace=True)
    assert read_dataset(out).id == built.id != before
    assert list(tmp_path.glob(".out*")) == []


def dataset_of(texts, values):
    """Build a dataset of one split."""
    number = len(texts)
    schema = Schema((Target("moderation", TargetKind.MULTI_LABEL, ("insult", "threat")),))
    frame = pl.DataFrame(
        {
            "id": [str(row) for row in range(number)],
            "text": texts,
            "messages": pl.Series([None] * number, dtype=MESSAGES_TYPE),
            "weight": np.ones(number),
            "group": pl.Series([None] * number, dtype=pl.String),
            "source": ["made"] * number,
            "moderation/insult": values[:, 0],
            "moderation/threat": values[:, 1],
        }
    )
    return make_dataset(schema, {"train": frame}, {})


@given(st.integers(0, 1000), st.floats(0.5, 0.9), st.integers(5, 40))
def test_no_near_duplicate_is_in_two_parts(seed, near, number):
    random = np.random.default_rng(seed)
    texts = [" ".join(random.choice(WORDS[:6], random.integers(1, 8))) for _ in range(number)]
    values = (random.random((number, 2)) < 0.3).astype(float)
    dataset = dataset_of(texts, values)
    try:
        parts = resplit(dataset, {"train": 0.6, "test": 0.4}, seed, near=near)
    except DataError:  # one group holds them all
        return
    assert spanning(parts, near) == 0
    assert number == sum(len(one) for one in parts.splits.values())
    left, right = (set(groups(parts.splits[split])) for split in ("train", "test"))
    assert not left & right
    sets = [
        [
            {text[start : start + 5] for start in range(max(len(text) - 4, 1))}
            for text in comparable(one).to_list()
        ]
        for one in parts.splits.values()
    ]
    for one in sets[0]:
        for other in sets[1]:
            assert len(one & other) / len(one | other) < near


def test_test_rows_stay_at_their_natural_rate(tmp_path, settings):
    recipe = load_data_recipe(str(write_recipe(tmp_path)))
    build_dataset(recipe, tmp_path / "out", settings)
    built, raw = read_dataset(tmp_path / "out"), load_dataset(import_options(recipe, tmp_path)).dataset
    target = raw.schema.targets[0]
    before, after = labels(raw.splits["test"], target), labels(built.splits["test"], built.schema.targets[0])
    kept = [target.index(label) for label in built.schema.targets[0].labels]
    np.testing.assert_array_equal(before[:, kept], after)


@pytest.mark.parametrize("name", shipped_data_recipes())
def test_shipped_data_recipes_have_steps_that_exist(name, tmp_path):
    recipe = load_data_recipe(name)
    assert steps_of(recipe.steps)
    assert import_options(recipe, tmp_path).sampling["train"].take == 1_000_000


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_labels_are_renamed_and_dropped_in_a_stream_as_in_memory(suffix, tmp_path, settings):
    path = write_recipe(tmp_path, suffix=suffix)
    renamed = 'seed = 3\ndrop = ["spam"]\nrename = { insult = "rude", threat = "rude" }\n'
    path.write_text(path.read_text().replace("seed = 3\n", renamed))
    recipe = load_data_recipe(str(path))
    build_dataset(recipe, tmp_path / "out", settings)
    built = read_dataset(tmp_path / "out")
    assert [target.labels for target in built.schema] == [("rude",)]
    assert built.id == one_by_one(recipe, tmp_path / "out").id


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_one_file_may_have_columns_that_another_lacks(suffix, tmp_path, settings):
    whole = pl.read_csv(write_rows(tmp_path / "rows", 60))
    for name, frame in (("a", whole.drop("year")[:20]), ("b", whole[20:])):
        path = tmp_path / f"{name}{suffix}"
        frame.write_csv(path) if suffix == ".csv" else frame.write_parquet(path)
    sources = "".join(
        f'[[data.sources]]\nfrom = "{tmp_path / name}{suffix}"\nsplit = "train"\n' for name in ("a", "b")
    )
    (tmp_path / "two.toml").write_text(
        f'[data]\nseed = 0\ntext = "comment"\nscores = ["insult", "threat"]\nthreshold = "> 0.5"\n{sources}'
    )
    recipe = load_data_recipe(str(tmp_path / "two.toml"))
    build_dataset(recipe, tmp_path / "out", settings)
    built = read_dataset(tmp_path / "out")
    assert built.id == one_by_one(recipe, tmp_path / "out").id
    assert built.splits["train"]["year"].null_count() == 20


def test_a_label_without_positives_is_refused_unless_a_step_takes_it_out(tmp_path, settings):
    path = tmp_path / "rows.csv"
    whole = pl.read_csv(write_rows(tmp_path / "rows", 60)).with_columns(spam=pl.lit(0.1))
    whole.write_csv(path)
    text = (
        '[data]\nseed = 0\ntext = "comment"\nscores = ["insult", "threat", "spam"]\nthreshold = "> 0.5"\n'
        f'[[data.sources]]\nfrom = "{path}"\nsplit = "train"\n'
    )
    (tmp_path / "plain.toml").write_text(text)
    with pytest.raises(DataError, match="no training row is positive for 'moderation/spam'"):
        build_dataset(load_data_recipe(str(tmp_path / "plain.toml")), tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()
    (tmp_path / "curated.toml").write_text(f'{text}[[data.steps]]\nstep = "rare_labels"\nmin_count = 1\n')
    build_dataset(load_data_recipe(str(tmp_path / "curated.toml")), tmp_path / "out", settings)
    assert read_dataset(tmp_path / "out").schema.target("moderation").labels == ("insult", "threat")
