"""Each disguise changes what it says it changes, the same way every time, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modwright.errors import UsageError
from modwright.evaluation.perturbations import PERTURBATIONS, chosen
from modwright.models.normalise import STEPS, Normaliser

TEXT = "You are a silly goose, and everybody says that your honking is really tiresome!"
NAMES = list(PERTURBATIONS)
TEXTS = st.text(max_size=60)
ALL = Normaliser(tuple(STEPS))


@pytest.mark.parametrize("name", NAMES)
def test_it_changes_a_text_and_always_the_same_way(name):
    change = PERTURBATIONS[name]
    found = change(TEXT, 3)
    assert found != TEXT
    assert change(TEXT, 3) == found
    assert {change(TEXT, seed) for seed in range(8)} != {found}


@pytest.mark.parametrize("name", NAMES)
@given(text=TEXTS, seed=st.integers(0, 99))
def test_any_text_survives(name, text, seed):
    found = PERTURBATIONS[name](text, seed)
    assert isinstance(found, str)
    found.encode("utf-8", "surrogatepass")
    if not any(character.isalpha() for character in text) and not name.startswith("benign"):
        assert found == text


def test_it_does_not_depend_on_the_process():
    script = (
        "from modwright.evaluation.perturbations import PERTURBATIONS as found; "
        f"print(ascii([one({TEXT!r}, 5) for one in found.values()]))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    ]
    assert runs == [ascii([one(TEXT, 5) for one in PERTURBATIONS.values()])] * 2


@pytest.mark.parametrize("name", ["benign_prefix", "benign_suffix"])
def test_what_stands_around_a_text_leaves_it_whole(name):
    found = PERTURBATIONS[name](TEXT, 1)
    assert found.startswith(TEXT) if name == "benign_suffix" else found.endswith(TEXT)
    assert len(found) > len(TEXT) + 100


@pytest.mark.parametrize("name", ["case", "zero_width", "emoji", "spacing"])
def test_letters_stay_in_their_order(name):
    found = PERTURBATIONS[name](TEXT, 1)

    def letters(text):
        return [character.lower() for character in text if character.isascii() and character.isalpha()]

    assert letters(found) == letters(TEXT)


def test_half_of_the_words_are_changed():
    words, found = TEXT.split(), PERTURBATIONS["case"].change
    assert found is not None
    changed = PERTURBATIONS["styled"](TEXT, 1).split()
    different = sum(one != other for one, other in zip(words, changed, strict=True))
    assert different == 6  # of twelve words of three letters and more, rounded up


def test_short_words_stay():
    assert PERTURBATIONS["leetspeak"]("so it is", 1) == "so it is"


def test_homoglyphs_are_no_latin_letters():
    found = PERTURBATIONS["homoglyphs"](TEXT, 1)
    foreign = [character for character in found if character.isalpha() and not character.isascii()]
    assert len(found) == len(TEXT)
    assert len(foreign) > 8
    assert {unicodedata.name(letter).split()[0] for letter in foreign} >= {"CYRILLIC"}


PLAIN = "You are silly geese, honking near the quiet river"


@pytest.mark.parametrize("name", ["homoglyphs", "zero_width", "styled"])
@pytest.mark.parametrize("seed", range(8))
def test_the_normaliser_undoes_the_disguise_of_a_plain_text(name, seed):
    assert ALL.text(PERTURBATIONS[name](PLAIN, seed)) == PLAIN


@pytest.mark.parametrize("seed", range(8))
def test_the_normaliser_joins_letters_set_apart(seed):
    """Neighbours that are both set apart by blanks become one word: nothing says where the one ends.

    Two stars may stand for letters, so words of three letters keep them.
    """
    joined = ALL.text(PERTURBATIONS["spacing"](PLAIN, seed))
    assert not re.search(r"\w\*\w\*\w\*", joined)
    assert re.sub(r"[ *]", "", joined) == PLAIN.replace(" ", "")


def test_names_are_checked():
    assert [one.name for one in chosen(["case", "emoji", "case"])] == ["case", "emoji"]
    assert [one.name for one in chosen([])] == NAMES
    with pytest.raises(UsageError) as caught:
        chosen(["homoglyph"])
    assert "homoglyphs" in str(caught.value)
