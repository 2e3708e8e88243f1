"""What is wrong or doubtful in a dataset: a list of small functions, each from a dataset to findings."""

from __future__ import annotations

from collections.abc import Callable

from modwright.data.checks.columns import label_in_text, text_equals_column, text_is_something_else
from modwright.data.checks.duplicates import (
    contexts_across,
    duplicate_ids,
    duplicates_across,
    duplicates_within,
    near_duplicates,
)
from modwright.data.checks.examined import Examined, all_text, last_turns
from modwright.data.checks.findings import Finding, Severity, gravest_first
from modwright.data.checks.inputs import TokenCounts, empty_text, encoding_damage, too_long
from modwright.data.checks.labelling import (
    RARE_POSITIVES,
    conflicting_labels,
    label_support,
    similar_labels,
    similar_names,
)
from modwright.data.checks.language import language_mix
from modwright.data.checks.mistakes import LabelErrors, label_errors
from modwright.data.checks.personal import personal_data
from modwright.data.dataset import Dataset

__all__ = [
    "CHECKS",
    "RARE_POSITIVES",
    "Examined",
    "Finding",
    "LabelErrors",
    "Severity",
    "TokenCounts",
    "all_text",
    "check_dataset",
    "gravest_first",
    "label_errors",
    "last_turns",
    "too_long",
]

#: Every check that needs the dataset alone.
CHECKS: tuple[Callable[[Examined], list[Finding]], ...] = (
    empty_text,
    text_is_something_else,
    label_in_text,
    text_equals_column,
    duplicates_across,
    contexts_across,
    duplicates_within,
    near_duplicates,
    conflicting_labels,
    label_support,
    similar_names,
    similar_labels,
    encoding_damage,
    personal_data,
    duplicate_ids,
    language_mix,
)


def check_dataset(
    dataset: Dataset,
    *,
    token_counts: TokenCounts | None = None,
    max_tokens: int | None = None,
    near: bool = True,
    seed: int = 0,
) -> list[Finding]:
    """Run every check; the gravest findings come first.

    Args:
        dataset: what to look at.
        token_counts: counts tokens; without it lengths are not checked.
        max_tokens: the window that texts should fit into.
        near: whether to look for near-duplicates, the slowest check.
        seed: decides the samples that slow checks look at.
    """
    data = Examined(dataset, seed)
    findings = [
        finding for check in CHECKS if near or check is not near_duplicates for finding in check(data)
    ]
    if token_counts is not None and max_tokens is not None:
        findings += too_long(data, token_counts, max_tokens)
    return gravest_first(findings)
