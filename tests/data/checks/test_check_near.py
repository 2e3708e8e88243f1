"""Near-duplicates are found wherever they stand, and what merely resembles is not."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modwright.data.assemble import normalised
from modwright.data.checks.near import alike_pairs, word_starts
from modwright.data.columnar import pl
from modwright.data.near import Likeness

WORDS = [f"{a}{b}{c}" for a in "bdfgklm" for b in "aeiou" for c in ("nto", "rse", "ll", "ckle")]


def sentences(number, words=30, seed=0):
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=words)) for _ in range(number)]


def pairs(texts):
    earlier, later = alike_pairs(normalised(pl.Series(texts, dtype=pl.String)), Likeness())
    return set(zip(earlier.tolist(), later.tolist(), strict=True))


def test_a_changed_word_is_found_and_other_texts_are_not():
    texts = sentences(300)
    copy = texts[7].split()
    copy[11] = "goose"
    assert pairs([*texts, " ".join(copy)]) == {(7, 300)}


def test_half_a_text_is_another_text():
    texts = sentences(50)
    halves = " ".join(texts[3].split()[:15] + texts[4].split()[15:])
    assert pairs([*texts, halves]) == set()


def test_scripts_without_blanks_are_compared_by_character():
    rng = random.Random(1)
    texts = ["".join(chr(rng.randint(0x4E00, 0x5FFF)) for _ in range(60)) for _ in range(40)]
    changed = texts[5][:30] + "鹅" + texts[5][31:]
    assert pairs([*texts, changed]) == {(5, 40)}


def test_short_texts_and_none_at_all():
    assert pairs(["a goose", "a goose!"]) == set()
    assert pairs([]) == set()
    assert pairs(["", "x"]) == set()


def test_many_copies_of_one_template_are_all_found():
    template = sentences(1)[0]
    texts = [f"{template} number {row}" for row in range(2_000)]
    earlier, later = alike_pairs(pl.Series(texts), Likeness())
    assert len(np.unique(later)) == 1_999
    assert (earlier < later).all()


@given(st.lists(st.text(max_size=30), max_size=8))
def test_shingles_of_a_text_do_not_depend_on_its_neighbours(texts):
    series = normalised(pl.Series(texts, dtype=pl.String))
    hashes, counts = word_starts(series)
    assert counts.sum() == len(hashes)
    ends = np.cumsum(counts)
    for place, text in enumerate(series.to_list()):
        alone, (number,) = word_starts(pl.Series([text]))
        assert number == counts[place]
        assert alone.tolist() == hashes[ends[place] - counts[place] : ends[place]].tolist()


def test_the_check_says_where(found, row):
    texts = sentences(30)
    near = texts[2] + " goose"
    records = [row(text, "x") for text in texts]
    finding = found([*records, row(near, "x")])["near_duplicate"]
    assert (finding.severity, finding.rows) == ("info", 1)
    assert finding.places[0].endswith("a.jsonl:71")
    across = found(records, [row(near, "x"), row("another", "x")])["near_duplicate_across"]
    assert (across.severity, across.rows) == ("warning", 1)
    assert across.places[0].endswith("t.jsonl:1")
    assert "near_duplicate" not in found([*records, row(near, "x")], near=False)
    assert "near_duplicate" not in found([*records, row(texts[2].upper(), "x")]), (
        "exact ones have their own check"
    )
