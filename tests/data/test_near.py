"""Near-duplicates: exactly those that counting every pair finds, and shingles that are what they say."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modwright.data import near
from modwright.data.columnar import pl
from modwright.data.curate.duplicates import near_groups
from modwright.data.curate.part import MemoryStore, Part
from modwright.data.near import Likeness, band_keys, comparable, components, near_pairs, similarities
from modwright.data.shingles import Unit, shingles
from modwright.data.tables import MESSAGES_TYPE
from modwright.errors import UsageError

WORDS = st.sampled_from(["goose", "day", "a", "shoe", "été", "山", "🪿", "silly"])
SENTENCES = st.lists(WORDS, max_size=12).map(" ".join)


def pieces(text, unit, size):
    """Return the set of shingles of a text, one by one."""
    items = text.split(" ") if unit == "words" else list(text)
    items = [item for item in items if item]
    return {tuple(items[start : start + size]) for start in range(max(len(items) - size + 1, 1))}


def jaccard(left, right):
    return len(left & right) / len(left | right)


def frame_of(texts, messages=None):
    none = [None] * len(texts)
    return pl.DataFrame(
        {
            "text": pl.Series(texts, dtype=pl.String),
            "messages": pl.Series(messages or none, dtype=MESSAGES_TYPE),
        }
    )


@given(st.lists(SENTENCES, min_size=1, max_size=12), st.sampled_from(list(Unit)), st.integers(1, 5))
def test_shingles_are_equal_where_their_units_are(texts, unit, size):
    hashes, offsets = shingles(pl.Series(texts), unit, size)
    seen = {}
    for place, text in enumerate(texts):
        found = hashes[offsets[place] : offsets[place + 1]].tolist()
        items = text.split() if unit == "words" else list(text)
        expected = ["".join(run) if unit == "characters" else " ".join(run) for run in runs(items, size)]
        assert len(found) == len(expected)
        for number, run in zip(found, expected, strict=True):
            assert seen.setdefault(run, number) == number
    assert len(set(seen.values())) == len(seen)


def part_of(frame):
    return Part(MemoryStore(frame), np.arange(len(frame)), np.zeros((len(frame), 1)), np.ones(len(frame)))


def runs(items, size):
    return [items[start : start + size] for start in range(max(len(items) - size + 1, 1))]


@st.composite
def alike(draw):
    """Texts of which many are small changes of others."""
    texts = [draw(SENTENCES) for _ in range(draw(st.integers(1, 8)))]
    for _ in range(draw(st.integers(0, 12))):
        words = draw(st.sampled_from(texts)).split(" ")
        words[draw(st.integers(0, len(words) - 1))] = draw(WORDS)
        texts.append(" ".join(words))
    return texts


@settings(max_examples=200)
@given(alike(), st.sampled_from([0.5, 0.8, 0.95, 1.0]), st.sampled_from([("characters", 5), ("words", 2)]))
def test_pairs_are_those_that_counting_every_pair_finds(texts, threshold, kind):
    unit, size = kind
    texts = sorted(set(texts))
    likeness = Likeness(threshold, Unit(unit), size)
    series = pl.Series(texts, dtype=pl.String)
    found = near_pairs(band_keys(series, likeness), lambda some: series[some], likeness)
    sets = [pieces(text, unit, size) for text in texts]
    expected = [
        [left, right]
        for left in range(len(texts))
        for right in range(left + 1, len(texts))
        if jaccard(sets[left], sets[right]) >= threshold - 1e-12
    ]
    assert found.tolist() == expected


def test_many_that_are_alike_are_found_without_comparing_all_with_all():
    base = "the brown fox jumps over the lazy dog by the river on a lovely sunny day"
    texts = [f"{base} number {row}" for row in range(3_000)]
    groups = near_groups(part_of(frame_of(texts)), Likeness(0.8))
    assert len(set(groups.tolist())) == 1


def letters(rng, number):
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=number))


def pairs_of_a_template(rng, number, *, common, shared, own):
    """Return texts of which the first half share more with their counterpart in the second than with all others."""
    base = letters(rng, common)
    middles = [base + letters(rng, shared) for _ in range(number)]
    return [middle + letters(rng, own) for _ in range(2) for middle in middles]


@pytest.mark.parametrize(("number", "most_missed"), [(300, 0), (1_000, 0.12)])
def test_pairs_of_a_template_are_found_among_texts_hardly_less_alike(number, most_missed):
    texts = pairs_of_a_template(random.Random(0), number, common=880, shared=18, own=35)
    counterpart = jaccard(*(pieces(texts[row], "characters", 5) for row in (0, number)))
    other = jaccard(*(pieces(texts[row], "characters", 5) for row in (0, 1)))
    assert other < 0.9 < counterpart
    likeness, series = Likeness(0.9), pl.Series(texts)
    found = {
        tuple(pair) for pair in near_pairs(band_keys(series, likeness), series.gather, likeness).tolist()
    }
    missed = [row for row in range(number) if (row, row + number) not in found]
    assert len(missed) <= most_missed * number


def test_a_common_preamble_makes_few_sets_of_shingles_and_no_pair(monkeypatch):
    rng = random.Random(1)
    base = letters(rng, 345)
    series, likeness = pl.Series([base + letters(rng, 55) for _ in range(1_500)]), Likeness(0.8)
    keys, made = band_keys(series, likeness), []

    def counting(texts, unit, size):
        made.append(len(texts))
        return shingles(texts, unit, size)

    monkeypatch.setattr(near, "shingles", counting)
    assert near_pairs(keys, series.gather, likeness).tolist() == []
    assert sum(made) < 5 * len(series)


def test_of_many_alike_texts_few_pairs_are_verified(monkeypatch):
    base = "the brown fox jumps over the lazy dog by the river on a lovely sunny day"
    series, likeness = pl.Series([f"{base} number {row}" for row in range(2_000)]), Likeness(0.8)
    verified = []

    def counting(texts, first, second, likeness):
        verified.append(len(first))
        return similarities(texts, first, second, likeness)

    monkeypatch.setattr(near, "similarities", counting)
    found = near_pairs(band_keys(series, likeness), series.gather, likeness)
    assert sum(verified) <= 24 * len(series)
    assert not components(len(series), found).any()
    assert set(found[found[:, 0] == 0, 1].tolist()) == set(range(1, len(series)))


@given(st.lists(SENTENCES, min_size=2, max_size=12), st.data())
def test_similarities_are_those_of_the_sets(texts, data):
    numbers = st.lists(st.integers(0, len(texts) - 1), min_size=3, max_size=3)
    first, second = (np.array(data.draw(numbers), dtype=np.int64) for _ in range(2))
    sets = [pieces(text, "characters", 5) for text in texts]
    expected = [jaccard(sets[a], sets[b]) for a, b in zip(first, second, strict=True)]
    assert similarities(pl.Series(texts), first, second, Likeness()).tolist() == pytest.approx(expected)


def test_conversations_are_compared_whole_and_one_turn_as_a_text():
    turn = {"role": "user", "content": "you are a silly goose and that is that"}
    answer = {"role": "assistant", "content": "Thank you kindly"}
    frame = frame_of(
        [None, turn["content"], None, None],
        [[turn], None, [turn, answer], [turn, {**answer, "content": "Something else entirely, my friend"}]],
    )
    assert comparable(frame)[0] == comparable(frame)[1]
    groups = near_groups(part_of(frame), Likeness(0.8)).tolist()
    assert groups[0] == groups[1]
    assert len({*groups}) == 3


@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=60))
def test_components_join_over_chains(number, pairs):
    pairs = [(left % number, right % number) for left, right in pairs]
    expected = list(range(number))
    for _ in range(number):
        for left, right in pairs:
            expected[left] = expected[right] = min(expected[left], expected[right])
    assert components(number, np.array(pairs, dtype=np.int64).reshape(-1, 2)).tolist() == expected


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9, 0.99])
def test_a_pair_at_the_threshold_is_hardly_ever_missed(threshold):
    rows = Likeness(threshold).band_rows
    assert (1 - threshold**rows) ** (128 // rows) < 1e-6


@pytest.mark.parametrize("wrong", [{"threshold": 0.0}, {"threshold": 1.1}, {"size": 0}])
def test_likeness_makes_sense(wrong):
    with pytest.raises(UsageError):
        Likeness(**wrong)
