"""Hateful comments among thousands of clean words: they score what they score alone, and the span points at them."""

from __future__ import annotations

import random

import pytest
from the_road import Road, filler

from modwright.schema import text_input
from modwright.serving.engine import Engine, Judgement

pytestmark = pytest.mark.real

TARGET, LABEL = "moderation", "isHate"
WORDS = 2_400


@pytest.fixture(scope="module")
def engine(road: Road) -> Engine:
    return Engine.load(road.model)


@pytest.fixture(scope="module")
def five(road: Road, engine: Engine) -> list[tuple[str, Judgement]]:
    """Five hateful comments of the held-out rows, and what they get alone."""
    texts, truth = road.test_rows()
    hateful = [text for text, hate in zip(texts, truth, strict=True) if hate]
    chosen = random.Random(5).sample(hateful, 5)
    return list(zip(chosen, engine.judge([text_input(text) for text in chosen]), strict=True))


def score(judgement: Judgement) -> float:
    return judgement.targets[TARGET].scores[LABEL]


def flagged(judgement: Judgement) -> bool:
    return LABEL in judgement.targets[TARGET].flags


@pytest.mark.parametrize("behind", [True, False], ids=["behind", "before"])
@pytest.mark.parametrize(("punctuated", "allowed"), [(True, 0.1), (False, 0.2)], ids=["sentences", "words"])
def test_five_hateful_comments_score_among_clean_words_what_they_score_alone(
    engine: Engine, five: list[tuple[str, Judgement]], punctuated: bool, allowed: float, behind: bool
) -> None:
    clean = filler(WORDS, punctuated=punctuated)
    hidden = [f"{clean} {text}" if behind else f"{text} {clean}" for text, _ in five]
    among = engine.judge([text_input(text) for text in hidden])
    apart = [abs(score(alone) - score(found)) for (_, alone), found in zip(five, among, strict=True)]
    print(f"mean difference {sum(apart) / 5:.3f}, largest {max(apart):.3f}")
    assert sum(apart) / 5 < allowed
    if punctuated and behind:
        assert [flagged(found) for found in among] == [flagged(alone) for _, alone in five]
    for (text, _), found in zip(five, among, strict=True):
        if flagged(found):
            begin = len(clean) + 1 if behind else 0
            shared = min(found.span[1], begin + len(text)) - max(found.span[0], begin)
            assert shared >= min(len(text), found.span[1] - found.span[0]) / 2, "the span lies elsewhere"


@pytest.mark.parametrize("punctuated", [True, False], ids=["sentences", "words"])
def test_clean_words_alone_are_not_flagged(engine: Engine, punctuated: bool) -> None:
    (found,) = engine.judge([text_input(filler(WORDS, punctuated=punctuated))])
    assert found.windows > 10
    assert not flagged(found)
