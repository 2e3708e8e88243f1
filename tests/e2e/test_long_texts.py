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
#: Of five the mean swings by a twentieth from one draw to the next, and of twenty one beside the threshold decides.
COMMENTS = 60


@pytest.fixture(scope="module")
def engine(road: Road) -> Engine:
    return Engine.load(road.model)


@pytest.fixture(scope="module")
def comments(road: Road, engine: Engine) -> list[tuple[str, Judgement]]:
    """Hateful comments of the held-out rows, and what they get alone."""
    texts, truth = road.test_rows()
    hateful = [text for text, hate in zip(texts, truth, strict=True) if hate]
    chosen = random.Random(5).sample(hateful, COMMENTS)
    return list(zip(chosen, engine.judge([text_input(text) for text in chosen]), strict=True))


def score(judgement: Judgement) -> float:
    return judgement.targets[TARGET].scores[LABEL]


def flagged(judgement: Judgement) -> bool:
    return LABEL in judgement.targets[TARGET].flags


@pytest.mark.parametrize("behind", [True, False], ids=["behind", "before"])
@pytest.mark.parametrize(("punctuated", "allowed"), [(True, 0.13), (False, 0.2)], ids=["sentences", "words"])
def test_hateful_comments_score_among_clean_words_what_they_score_alone(
    engine: Engine, comments: list[tuple[str, Judgement]], punctuated: bool, allowed: float, behind: bool
) -> None:
    clean = filler(WORDS, punctuated=punctuated)
    hidden = [f"{clean} {text}" if behind else f"{text} {clean}" for text, _ in comments]
    among = engine.judge([text_input(text) for text in hidden])
    apart = [abs(score(alone) - score(found)) for (_, alone), found in zip(comments, among, strict=True)]
    print(f"mean difference {sum(apart) / COMMENTS:.3f}, largest {max(apart):.3f}")
    assert sum(apart) / COMMENTS < allowed
    lost = sum(
        flagged(alone) and not flagged(found) for (_, alone), found in zip(comments, among, strict=True)
    )
    assert lost <= 0.1 * COMMENTS, f"{lost} comments are hidden by what stands around them"
    elsewhere = 0
    for (text, _), found in zip(comments, among, strict=True):
        if flagged(found):
            begin = len(clean) + 1 if behind else 0
            shared = min(found.span[1], begin + len(text)) - max(found.span[0], begin)
            elsewhere += shared < min(len(text), found.span[1] - found.span[0]) / 2
    print(f"{lost} lost, {elsewhere} spans elsewhere")
    assert elsewhere <= 0.1 * COMMENTS, f"{elsewhere} spans lie elsewhere"


@pytest.mark.parametrize("punctuated", [True, False], ids=["sentences", "words"])
def test_clean_words_alone_are_not_flagged(engine: Engine, punctuated: bool) -> None:
    (found,) = engine.judge([text_input(filler(WORDS, punctuated=punctuated))])
    assert found.windows > 10
    assert not flagged(found)
