"""What each step undoes and what it leaves, the places of characters, and that a version never changes."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modwright.errors import ArtifactError, SchemaError
from modwright.models.normalise import STEPS, VERSION, Normaliser
from modwright.recipe import load_import_recipe, load_recipe
from modwright.recipe.parts import NormaliseRecipe
from modwright.schema import Message, Role, text_input

ALL = Normaliser(tuple(STEPS))
GOLDEN = Path(__file__).parent.parent / "golden" / "normalise.json"

UNDONE = {
    "invisible": [
        ("si\u200blly\u00ad g\u2060oose", "silly goose"),
        ("\ufeffsilly \u202egoose\u202c", "silly goose"),
        ("silly\ufe0f", "silly"),
        ("goose\U000e0041\U000e0042", "goose"),
        ("si\x08lly", "silly"),
    ],
    "compatibility": [
        ("ｓｉｌｌｙ＠ ｂ＄", "silly@ b$"),
        ("𝓼𝓲𝓵𝓵𝔂 𝐠𝐨𝐨𝐬𝐞 ⓢⓘⓛⓛⓨ", "silly goose silly"),
        ("🅂🄸🄻🄻🅈 🅶oose", "SILLY Goose"),
        ("🇸🇮🇱🇱🇾", "SILLY"),
        ("s̶i̶l̶l̶y̶", "silly"),
        ("e\u0301a\u00a0b", "\u00e9a b"),
        ("ｶﾞ ﬁn", "ガ fin"),
        ("ﾡﾢￚ", "ㄱㄲㅡ"),
    ],
    "lookalikes": [
        ("ѕіllу gооѕе", "silly goose"),
        ("what a ѕосо", "what a soco"),
        ("ꜱɪʟʟʏ ɡoose", "silly goose"),
        ("a sιllγ gοοsε", "a silly goose"),
        ("Ꮪilly", "Silly"),
        ("город Xарьков", "город Харьков"),
        ("a ѕ і l l у goose", "a s i l l y goose"),
        ("a ѕ.і.l.l.у goose", "a s.i.l.l.y goose"),
    ],
    "spacing": [
        ("a s i l l y goose", "a silly goose"),
        ("you a s i l l y goose", "you a silly goose"),
        ("s.i.l.l.y g-o-o-s-e", "silly goose"),
        ("S_I_L_L_Y s*i*l*l*y", "SILLY silly"),
        ("a.b.c_d_e", "a.b.cde"),
        ("b.a.d-s-i-l-l-y", "bad-silly"),
    ],
    "leetspeak": [
        ("s1lly g00se $illy", "silly goose silly"),
        ("he11o h3ll0", "hello hello"),
        ("S1LLY", "SILLY"),
        ("b@d, s!lly!", "bad, silly!"),
    ],
    "repeats": [
        ("sillyyyy gooooose", "silly goose"),
        ("fallllen kisssss SILLYYYY", "fallen kiss SILLY"),
        ("hmmm mmmm", "hm mm"),
        ("дааааа", "даа"),
    ],
}
LEFT = {
    "invisible": ["می‌خواهم", "क्‍ष", "👨‍👩‍👧 ❤️ 1️⃣", "🏴\U000e0067\U000e0062\U000e007f", "a\tb\r\nc"],
    "compatibility": [
        "m² ½ 5º ™ …",
        "🇩🇪🇫🇷 🅰",
        "한국어",
        "tiếng Việt",
        "हिन्दी",
        "naïve",
        "我们，你们！",
        "ㅋㅋㅋ ㅠㅠ ㄱㄴ",
    ],
    "lookalikes": [
        "Привет, оса и рот",
        "μm kΩ",
        "και όχι",
        "ура, друзья",
        "kırmızı",
        "a β-blocker",
        "the α particle",
    ],
    "spacing": [
        "a.b.c.dd s.i.l.l.y2 a.b.c.2 a*b*c*d*ee",
        "I a m",
        "e.g. i.e. p.m.",
        "1.2.3.4 1 2 3 4 5",
        "a b c",
        "x-ray",
        "s*l*y",
    ],
    "leetspeak": [
        *("covid19 mp3 10k h2o 4th ps4", "@us3r #t0p", "http://a1b.org/x0x www.a1a.org", "me@my.org"),
        *("1080p 3h30m 0x1f1e1a abc123def", "wow!nice $100 US$", "$USD", "no!stop", "$millions", "$billion"),
        *('"@us3r:', "RT@us3r hi@Us3rname", "pray4Peace", "Gus55Miller"),
    ],
    "repeats": ["www.goose.org", "XXIII VIII", "!!!", "tree kiss", "1000000", "一一"],
}


@pytest.mark.parametrize(
    ("step", "text", "expected"), [(step, *pair) for step, pairs in UNDONE.items() for pair in pairs]
)
def test_a_step_undoes_its_disguise(step, text, expected):
    assert Normaliser((step,)).text(text) == expected


@pytest.mark.parametrize(("step", "text"), [(step, text) for step, texts in LEFT.items() for text in texts])
def test_a_step_leaves_what_means_something(step, text):
    assert Normaliser((step,)).text(text) == text


@pytest.mark.parametrize("step", list(STEPS))
def test_plain_text_stays(step):
    text = "The library opens at ten on Sunday, near the quiet river; bring 2 books, please!\n\tThanks."
    assert Normaliser((step,)).text(text) == text


def test_steps_are_applied_in_their_order_whatever_the_order_given():
    assert Normaliser(("repeats", "invisible")).steps == ("invisible", "repeats")
    assert ALL.text("ѕ 1 \u200bl l у у у у") == "silly"


def test_an_unknown_step_names_the_nearest():
    with pytest.raises(SchemaError) as caught:
        Normaliser(("lookalike",))
    assert "lookalikes" in str(caught.value)


def test_the_recipe_names_the_steps_there_are():
    assert list(NormaliseRecipe.model_json_schema()["properties"]["steps"]["items"]["enum"]) == list(STEPS)
    assert load_recipe("fast", ['normalise.steps=["repeats", "invisible"]']).normalise.steps == [
        "repeats",
        "invisible",
    ]


@pytest.mark.parametrize("recipe", ["fast", "balanced", "llm"])
def test_what_plain_text_never_meets_is_undone_by_default(recipe):
    assert load_recipe(recipe).normalise.steps == ["invisible", "compatibility", "lookalikes"]


def test_a_model_brought_in_reads_texts_as_they_come():
    assert load_import_recipe().normalise.steps == []


DISGUISES = st.text(
    st.one_of(
        st.sampled_from("aeghilnosty s1l0@$!.-_yyy"),
        st.sampled_from("аеосрхуіѕ\u200b\u200d\u0301\u0336\ufe0f𝓼ⓘꜱ🅰🇸ｓ\u00ad١ｶﾞ각ᄀ"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
)


@given(DISGUISES)
def test_the_text_is_the_same_with_and_without_places(text):
    assert ALL.aligned(text).text == ALL.text(text)


@given(DISGUISES)
def test_places_lie_in_the_original_and_in_order(text):
    found = ALL.aligned(text)
    n = len(found.text)
    whole = found.original(np.asarray([[0, n]]))
    assert whole.tolist() == [[0, len(text)]]
    if found.begins is None:
        assert found.text == text
        return
    assert found.begins.shape == found.ends.shape == (n + 1,)
    for places in (found.begins, found.ends):
        assert (np.diff(places) >= 0).all()
        assert places.min() >= 0
        assert places.max() <= len(text)
    spans = np.stack([np.arange(n), np.arange(1, n + 1)], axis=1)
    original = found.original(spans)
    assert (original[:, 1] > original[:, 0]).all()


@given(DISGUISES)
def test_a_character_comes_from_where_its_place_says(text):
    """Every step alone: a character that a step leaves alone is the one at its place."""
    for step in STEPS:
        alone = Normaliser((step,)).aligned(text)
        if alone.begins is None:
            continue
        for place, character in enumerate(alone.text[1:-1], start=1):
            begin, end = int(alone.begins[place]), int(alone.ends[place + 1])
            source = text[begin:end]
            assert character == source or character not in source or len(source) > 1


@given(st.text(st.characters(max_codepoint=0x2FFF, exclude_categories=["Cs"]), max_size=20))
def test_compatibility_ends_in_composed_text(text):
    """What is left decomposed is what Unicode composes over more than one cluster: nothing of Latin, Greek, Cyrillic."""
    done = Normaliser(("compatibility",)).text(text)
    if all(character < "\u0530" for character in done):
        assert unicodedata.is_normalized("NFC", done)


def test_spans_of_words_are_those_of_the_original():
    text = "you \u200bs.i.l.l.y ｇ００ｓｅ!"
    found = ALL.aligned(text)
    assert found.text == "you silly goose!"
    spans = found.original(np.asarray([[4, 9], [10, 15], [0, 3]]))
    assert [text[begin:end] for begin, end in spans] == ["s.i.l.l.y", "ｇ００ｓｅ", "you"]


def test_a_text_of_nothing_visible_keeps_its_span():
    found = ALL.aligned("\u200b\u200b")
    assert found.text == ""
    assert found.original(np.asarray([[0, 0]])).tolist() == [[0, 2]]


def test_every_turn_is_normalised_and_plain_inputs_are_the_same_objects():
    pair = (Message(Role.USER, "s1lly?"), Message(Role.ASSISTANT, "g00se"))
    plain = text_input("plain")
    changed, same = ALL.inputs([pair, plain])
    assert [message.content for message in changed] == ["silly?", "goose"]
    assert [message.role for message in changed] == [Role.USER, Role.ASSISTANT]
    assert same is plain


def test_it_is_saved_and_read(tmp_path):
    normaliser = Normaliser(("leetspeak", "invisible"))
    normaliser.save(tmp_path)
    assert Normaliser.load(tmp_path) == normaliser
    assert json.loads((tmp_path / "model" / "normalise.json").read_text()) == {
        "version": VERSION,
        "steps": ["invisible", "leetspeak"],
    }


@pytest.mark.parametrize(
    "content",
    [
        {"version": VERSION + 1, "steps": []},
        {"version": VERSION, "steps": ["hats"]},
        {"version": VERSION},
        {"version": VERSION, "steps": [], "more": 1},
        [],
    ],
)
def test_a_foreign_file_is_refused(tmp_path, content):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "normalise.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError):
        Normaliser.load(tmp_path)


LONG = 200_000
#: Texts where a step that looks back, ahead or at everything again
#: for each of them would not end while anybody waits.
HOSTILE = {
    "letters": "a1a" + "b" * LONG,
    "tags": "\U000e0041" * LONG,
    "regional indicators": "\U0001f1e6" * (LONG + 1),
    "marks": "a" + "\u0301" * LONG,
    "marks in turn": "a" + "\u0301\u0323" * 500_000,  # as many characters as a server takes by default
    "kana marks in turn": "\uff76" + "\uff9e\u0323" * (LONG // 2),
    "cells": "a " * (LONG // 2) + "9",
    "dots": "a." * (LONG // 2),
    "dots and a word": "a." * (LONG // 2) + "aa",
    "stars": "*a" * (LONG // 2),
    "stars and a word": "a*" * (LONG // 2) + "aa",
    "underscores": "a_" * (LONG // 2),
    "names": "@a" * (LONG // 4) + "a.a" * (LONG // 6),
    "signs": "a1" * (LONG // 2) + "2",
    "held": "ab" * (LONG // 4) + "a" * (LONG // 2),
    "joiners": "\u200d" * LONG,
    "scripts": "aа" * (LONG // 2),
    "letters apart": "а " * (LONG // 2),
}


@pytest.mark.parametrize("text", list(HOSTILE.values()), ids=list(HOSTILE))
def test_time_grows_with_the_length_alone(text):
    """A step that looked back or ahead over the whole text for each character would not end here."""
    ALL.aligned(text)


def test_marks_are_few_before_they_are_sorted(monkeypatch):
    """Canonical order takes the square of a row's marks: whatever is normalised has few of them."""
    seen = []
    whole = unicodedata.normalize

    def counted(form, text):
        seen.append(len(text))
        return whole(form, text)

    monkeypatch.setattr(unicodedata, "normalize", counted)
    assert Normaliser(("compatibility",)).text("a" + "\u0301\u0323" * 20_000) == "\u1ea1\u0323\u0323"
    assert max(seen) <= 31


def test_a_version_never_changes():
    """Artifacts depend on it: where this fails on purpose, raise VERSION and write the file again."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert golden["version"] == VERSION
    assert {text: ALL.text(text) for text in golden["texts"]} == golden["texts"]
    assert set(golden["texts"]) >= {text for pairs in UNDONE.values() for text, _ in pairs}
    assert set(golden["texts"]) >= {text for texts in LEFT.values() for text in texts}
