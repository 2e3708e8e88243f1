"""Which files are which split: from the card, from the names, from the branch the hub made."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modwright.catalog.layout import Layout, from_card, from_converted, from_names, has_loading_script
from modwright.catalog.patterns import matching
from modwright.errors import DataError, NotFoundError, UsageError

FILES = (
    "README.md",
    "data/train-00000-of-00002.parquet",
    "data/train-00001-of-00002.parquet",
    "data/test.parquet",
)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a/*.csv", ["a/1.csv", "a/[x].csv"]),
        ("**/*.csv", ["1.csv", "a/1.csv", "a/[x].csv", "a/b/1.csv"]),
        ("a/**", ["a/1.csv", "a/[x].csv", "a/b/1.csv"]),
        ("?.csv", ["1.csv"]),
        ("a/[[]x].csv", ["a/[x].csv"]),
        ("a/[!1].csv", []),
        ("*/.*.csv", ["a/.h.csv"]),
        ("1.csv", ["1.csv"]),
        ("1xcsv", []),
        ("a[!b]1.csv", []),
        ("a[/]1.csv", []),
        ("**[!b]1.csv", []),
        ("[]x[]?csv", []),
        ("[0-9].csv", ["1.csv"]),
        ("***/**/*.csv", ["a/1.csv", "a/[x].csv", "a/b/1.csv"]),
        ("**1.csv", ["1.csv", "a/1.csv", "a/b/1.csv"]),
        ("a/*1*", ["a/1.csv"]),
        ("*", ["1.csv"]),
    ],
)
def test_patterns(pattern: str, found: list[str]) -> None:
    assert matching(pattern, ["a/b/1.csv", "1.csv", "a/1.csv", "a/.h.csv", "a/[x].csv"]) == found


@pytest.mark.parametrize("pattern", ["**/" * 10 + "zz.csv", "*a" * 40 + "b", "**a**/" * 40 + "b"])
def test_no_pattern_takes_long(pattern: str) -> None:
    names = ["/".join("a" * 40) + "/x.csv", "a" * 300]
    start = time.monotonic()
    assert matching(pattern, names) == []
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("pattern", ["[z-a]*.csv", "[!].csv", "a[].csv", "*" * 1025])
def test_patterns_that_are_none(pattern: str) -> None:
    with pytest.raises(UsageError, match=r"is no set of characters|at most 1,024 are read"):
        matching(pattern, ["a.csv"])
    with pytest.raises(DataError, match=r"^here: the card's files"):
        from_card({"configs": [{"data_files": pattern}]}, ["a.csv"], "here")


@given(st.text("ab/*?", max_size=12), st.lists(st.text("ab/", min_size=1, max_size=8), max_size=6))
def test_patterns_are_what_their_regular_expression_says(pattern: str, names: list[str]) -> None:
    said = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    form = "".join(said.get(part, part) for part in parts)
    assert matching(pattern, names) == sorted(name for name in names if re.fullmatch(form, name))


@pytest.mark.parametrize(
    ("stated", "splits"),
    [
        ("data/test.parquet", {"train": ["data/test.parquet"]}),
        (["data/test.parquet"], {"train": ["data/test.parquet"]}),
        ([{"split": "train", "path": "data/train-*"}], {"train": [*FILES[1:3]]}),
        (
            [{"split": "dev", "path": ["./data/test.parquet", FILES[1]]}],
            {"dev": ["data/test.parquet", FILES[1]]},
        ),
        ({"dev": "data/test.parquet"}, {"dev": ["data/test.parquet"]}),
        ("data", {"train": ["data/test.parquet", *FILES[1:3]]}),
        ("**", {"train": ["data/test.parquet", *FILES[1:3]]}),
    ],
)
def test_the_card_says_so(stated: object, splits: dict[str, list[str]]) -> None:
    layout = from_card({"configs": [{"config_name": "x", "data_files": stated}]}, FILES, "here")
    assert layout is not None
    assert (layout.configs, layout.default) == ({"x": splits}, "x")


def test_a_card_with_folders_and_a_default() -> None:
    files = ["de/train.csv", "de/test.csv", "en/all.csv"]
    card = {"configs": [{"config_name": "de", "data_dir": "de"}, {"config_name": "en", "data_dir": "./en/"}]}
    layout = from_card(card, files, "here")
    assert layout is not None
    assert layout.configs == {
        "de": {"train": ["de/train.csv"], "test": ["de/test.csv"]},
        "en": {"train": ["en/all.csv"]},
    }
    assert layout.default is None
    card["configs"][1]["default"] = True  # type: ignore[assignment]
    layout = from_card(card, files, "here")
    assert layout is not None
    assert layout.default == "en"


@pytest.mark.parametrize(
    "card", [{}, {"configs": None}, {"configs": "x"}, {"configs": [{"config_name": "x"}]}]
)
def test_cards_that_name_no_files_say_nothing(card: dict[str, object]) -> None:
    assert from_card(card, FILES, "here") is None


@pytest.mark.parametrize("empty", [{"data_dir": "images"}, {"data_files": []}, {"data_files": {}}])
def test_configurations_without_a_file_that_can_be_read_are_left_out(empty: dict[str, object]) -> None:
    files = [*FILES, "images/a.png"]
    assert from_card({"configs": [empty]}, files, "here") is None
    card = {"configs": [{"config_name": "empty", **empty}, {"config_name": "full", "data_files": FILES[3]}]}
    layout = from_card(card, files, "here")
    assert layout is not None
    assert layout.files(None, None, "here") == ("full", "train", [FILES[3]])
    with pytest.raises(DataError, match="'empty' has no file that can be read"):
        Layout({"empty": {}}, "empty").files(None, None, "here")


@pytest.mark.parametrize("files", ["none.csv", "README.md", "https://example.org/a.csv"])
def test_cards_that_name_what_is_not_there(files: str) -> None:
    with pytest.raises(DataError, match="no data file is called so"):
        from_card({"configs": [{"data_files": files}]}, FILES, "here")


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (FILES, {"train": [*FILES[1:3]]}),
        (["test.csv", "train.csv", "x.json"], {"train": ["train.csv"], "test": ["test.csv"]}),
        (
            ["my-dev_1.jsonl.gz", "training.jsonl.gz"],
            {"train": ["training.jsonl.gz"], "validation": ["my-dev_1.jsonl.gz"]},
        ),
        (
            ["valid/a.parquet", "train/b.parquet"],
            {"train": ["train/b.parquet"], "validation": ["valid/a.parquet"]},
        ),
        (["some.csv", "other.csv"], {"train": ["other.csv", "some.csv"]}),
        (["trainer.csv"], {"train": ["trainer.csv"]}),
        (["a.parquet", "a.csv"], {"train": ["a.parquet"]}),
        (
            ["data/own.name-00000-of-00001-abc.parquet"],
            {"own.name": ["data/own.name-00000-of-00001-abc.parquet"]},
        ),
    ],
)
def test_the_names_say_so(files: list[str], splits: dict[str, list[str]]) -> None:
    layout = from_names(files)
    assert layout is not None
    assert layout.configs == {"default": splits}
    assert list(layout.configs["default"]) == list(splits)


def test_names_that_say_nothing() -> None:
    assert from_names(["README.md", "dataset_infos.json", ".hidden/a.csv", "__x/a.csv", "a.zip"]) is None
    assert has_loading_script("owner/words", ["words.py"])
    assert not has_loading_script("owner/words", ["other.py"])


def test_the_branch_of_converted_files() -> None:
    files = [
        "en/train/0001.parquet",
        "en/train/0000.parquet",
        "de/partial-train/0000.parquet",
        ".gitattributes",
    ]
    layout = from_converted(files)
    assert layout is not None
    assert layout.configs == {
        "de": {"partial-train": ["de/partial-train/0000.parquet"]},
        "en": {"train": ["en/train/0000.parquet", "en/train/0001.parquet"]},
    }
    assert layout.default is None
    assert from_converted(["README.md"]) is None


def test_what_is_asked_for_is_there_or_the_rest_is_listed() -> None:
    layout = from_converted(["en/train/0.parquet", "en/test/0.parquet", "de/train/0.parquet"])
    assert layout is not None
    assert layout.files("de", None, "here") == ("de", "train", ["de/train/0.parquet"])
    with pytest.raises(UsageError, match="several configurations: de, en"):
        layout.files(None, "train", "here")
    with pytest.raises(UsageError, match="several splits: test, train"):
        layout.files("en", None, "here")
    with pytest.raises(NotFoundError, match=r"no configuration 'eng'.*de, en.*did you mean 'en'"):
        layout.files("eng", None, "here")
    with pytest.raises(NotFoundError, match=r"no split 'trian'.*test, train.*did you mean 'train'"):
        layout.files("en", "trian", "here")
