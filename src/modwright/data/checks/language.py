"""Which languages the texts are in, judged on a seeded sample."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache

from modwright.data.checks.examined import Examined
from modwright.data.checks.findings import Finding, Severity
from modwright.errors import MissingExtraError

#: Texts of each split that are looked at: two milliseconds each.
SAMPLED = 1_000
#: A language below this share is noise of the identifier.
NOTABLE_SHARE = 0.05
#: Points of share by which a split may differ from the training split.
_SHIFT = 0.15
_MIN_LETTERS, _MIN_TEXTS = 24, 50
_MOST_CHARS = 1_000
_CONFIDENT = 0.9
_LETTER = re.compile(r"[^\W\d_]")


def language_mix(data: Examined) -> list[Finding]:
    """More than one language, and splits whose mix differs from the training split's."""
    shares = {split: language_shares(_sampled(data, split)) for split in data.splits}
    findings = []
    for split, (judged, found) in shares.items():
        notable = {language: share for language, share in found.items() if share >= NOTABLE_SHARE}
        if len(notable) > 1:
            message = f"'{split}' mixes languages: {_listed(notable)}, in a sample of {judged:,} texts"
            remedy = "make sure that the base knows them all, and measure each language by itself"
            findings.append(Finding("language_mix", Severity.INFO, message, remedy))
    training = shares[data.training][1]
    for split, (_, found) in shares.items():
        apart = {
            language: abs(found.get(language, 0.0) - training.get(language, 0.0))
            for language in found | training
        }
        if training and found and max(apart.values()) >= _SHIFT:
            language = max(apart, key=lambda name: apart[name])
            message = (
                f"'{split}' is {100 * found.get(language, 0.0):.0f} % '{language}', "
                f"'{data.training}' {100 * training.get(language, 0.0):.0f} %"
            )
            remedy = (
                "what is measured there says little about the languages trained on: `modwright data split`"
            )
            findings.append(Finding("language_shift", Severity.WARNING, message, remedy))
    return findings


def language_shares(texts: Iterable[str]) -> tuple[int, dict[str, float]]:
    """Return how many texts were long and clear enough to judge, and each language's share of them, largest first.

    Too few to say anything give (number, {}). Identified by py3langid (Lui and Baldwin 2012, "langid.py: an off-the-shelf
    language identification tool").
    """
    counts: Counter[str] = Counter()
    classify = _identifier()
    for text in texts:
        cut = text[:_MOST_CHARS]
        if len(_LETTER.findall(cut)) >= _MIN_LETTERS:
            language, probability = classify(cut)
            if probability >= _CONFIDENT:
                counts[language] += 1
    judged = counts.total()
    if judged < _MIN_TEXTS:
        return judged, {}
    return judged, {language: number / judged for language, number in counts.most_common()}


@cache
def _identifier() -> Callable[[str], tuple[str, float]]:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise MissingExtraError("data", "telling languages apart") from None
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return identifier.classify  # type: ignore[no-any-return]


def _sampled(data: Examined, split: str) -> list[str]:
    found: list[str] = data.judged[split].gather(data.sample(split, SAMPLED)).to_list()
    return found


def _listed(shares: dict[str, float]) -> str:
    return ", ".join(f"{language} {100 * share:.0f} %" for language, share in shares.items())
