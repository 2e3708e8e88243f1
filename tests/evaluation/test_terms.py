"""Lists of terms: how a file is read, and that terms are found as whole words, in any case, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modwright.errors import DataError, NotFoundError
from modwright.evaluation.terms import folded, mentions, read_terms, shipped_terms


def found(term, *texts):
    """Whether each text mentions the term."""
    return mentions(texts, {"x": (term,)})["x"].tolist()


def test_terms_are_whole_words_in_any_case():
    texts = ("My GARDEN.", "gardens", "a gardener", "(garden)", "garden-party", "the_garden", "")
    assert found("garden", *texts) == [True, False, False, True, True, False, False]
    assert found("Straße", "die STRASSE") == [True]


def test_words_of_a_term_may_be_joined_by_a_hyphen_or_any_blank():
    texts = ("a green  house", "a green-house", "green\nhouse", "greenhouse", "green, house")
    assert found("green house", *texts) == [True, True, True, False, False]
    assert found("green-house", *texts) == [True, True, True, False, False]


def test_forms_that_look_alike_by_standard_are_the_same():
    assert found("garden", "ｇａｒｄｅｎ", "gar\u00adden") == [True, False]
    assert found("café", "cafe\u0301") == [True]


def test_scripts_without_blanks_between_words_are_searched_inside():
    assert found("猫", "黒猫が好きです") == [True]
    assert found("แมว", "ฉันรักแมวมาก") == [True]
    assert found("кот", "котлета", "мой кот") == [False, True]


def test_signs_in_a_term_are_signs():
    assert found("c++", "I like c++.", "I like cc") == [True, False]
    assert found("a.b", "a.b", "axb") == [True, False]


@given(st.text(alphabet="ab -", min_size=1, max_size=12).filter(lambda term: folded(term).strip("- ")))
def test_a_term_is_found_between_other_words_and_alone(term):
    assert found(term, term, f"one {term} two", f"one{term.strip(' -')}two") == [True, True, False]


def test_several_identities_each_have_any_of_their_terms():
    rows = mentions(
        ["a walk", "the river", "a walk by the river", "x"], {"way": ("walk", "run"), "water": ("river",)}
    )
    assert {name: held.tolist() for name, held in rows.items()} == {
        "way": [True, False, True, False],
        "water": [False, True, True, False],
    }


def test_a_file_of_terms(tmp_path):
    path = tmp_path / "terms.txt"
    path.write_text("\ufeff# ours\nwater: River, lake  side # wet\n\nwalk\nwater: sea, river\n", "utf-8")
    assert read_terms(str(path)) == {"water": ("river", "lake side", "sea"), "walk": ("walk",)}


@pytest.mark.parametrize("line", ["water:", ": river", "water: river,, lake", "river, lake"])
def test_a_line_that_is_none_is_named(tmp_path, line):
    path = tmp_path / "terms.txt"
    path.write_text(f"walk\n{line}\n")
    with pytest.raises(DataError, match="expected 'identity: term") as caught:
        read_terms(str(path))
    assert caught.value.line == 2


def test_no_terms_and_no_file(tmp_path):
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match="holds no terms"):
        read_terms(str(tmp_path / "empty.txt"))
    with pytest.raises(DataError, match="no UTF-8"):
        read_terms(str(tmp_path / "latin.txt"))
    with pytest.raises(NotFoundError) as caught:
        read_terms("identities-em")
    assert caught.value.remedy == "did you mean 'identities-en'?"


def test_the_shipped_list_is_read_and_its_terms_find_themselves():
    assert shipped_terms() == ("identities-en",)
    terms = read_terms("identities-en")
    assert len(terms) >= 20
    for identity, listed in terms.items():
        assert mentions([f"A {term} came." for term in listed], {identity: listed})[identity].all()
    everything = [term for listed in terms.values() for term in listed]
    assert len(everything) == len(set(everything))
