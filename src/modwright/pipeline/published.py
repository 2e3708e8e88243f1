"""What a published classifier's config.json says of its labels, and the target that follows. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modwright.errors import IntegrityError, SchemaError, UsageError, nearest
from modwright.files import read_json
from modwright.schema import Schema, Target, TargetKind

CONFIG = "config.json"
_HEAD = "ForSequenceClassification"
_KINDS = {
    "multi_label_classification": TargetKind.MULTI_LABEL,
    "single_label_classification": TargetKind.SINGLE_LABEL,
}


@dataclass(frozen=True, slots=True)
class Published:
    """What a config.json states.

    Attributes:
        architecture: transformers' class, such as BertForSequenceClassification.
        labels: in the order of the logits.
        problem_type: as it stands there, None where it does not.
    """

    architecture: str
    labels: tuple[str, ...]
    problem_type: str | None


def read_published(folder: Path) -> Published:
    """Read a folder's config.json.

    Raises:
        UsageError: it is no sequence classifier.
        IntegrityError: its labels make no sense.
    """
    path = folder / CONFIG
    config: Mapping[str, Any] = read_json(path)
    names = [str(name) for name in config.get("architectures") or ()]
    heads = [name for name in names if name.endswith(_HEAD)]
    if not heads:
        raise UsageError(
            f"its architecture is {', '.join(names) or 'not stated'}, expected one that ends in {_HEAD}",
            where=str(path),
            remedy="to train on it, name it as the base of a recipe: modwright train balanced base.name=…",
        )
    return Published(heads[0], _labels(config, str(path)), config.get("problem_type"))


def _labels(config: Mapping[str, Any], where: str) -> tuple[str, ...]:
    stated = config.get("id2label")
    if stated is None:
        number = int(config.get("num_labels") or 2)  # what transformers takes where nothing is stated
        return tuple(f"LABEL_{place}" for place in range(number))
    try:
        found = {int(place): str(label) for place, label in stated.items()}
    except (AttributeError, ValueError):
        raise IntegrityError(f"id2label is {stated!r}, expected number to label", where=where) from None
    if not found or sorted(found) != list(range(len(found))):
        raise IntegrityError(f"id2label has the numbers {sorted(found)}, expected 0 and up", where=where)
    return tuple(found[place] for place in range(len(found)))


def target_of(
    published: Published,
    *,
    name: str,
    kind: TargetKind | None,
    negative: Sequence[str],
    renames: Mapping[str, str],
    named: Schema | None,
) -> Target:
    """Return the target that a published classifier answers.

    Args:
        name: of the target.
        kind: None takes what `problem_type` says; one label alone can only be a sigmoid.
        negative: labels, by their new names, that say "nothing wrong"; empty takes `safe` where it occurs.
        renames: the model's label to a better name.
        named: a schema of one target whose labels stand for the model's, in the order of its logits; where they are the
            model's own names, its order stays.

    Raises:
        UsageError: the kind cannot be known, or `named` has another number of labels, another kind, or labels of the
            model at other places.
        SchemaError: a rename of an unknown label, or names that contradict each other.
    """
    for old in renames:
        if old not in published.labels:
            raise SchemaError(f"the model has no label '{old}'", remedy=nearest(old, published.labels))
    labels = tuple(renames.get(label, label) for label in published.labels)
    chosen = _kind(published, kind, named)
    if named is None:
        return Target.create(name, chosen, labels, tuple(negative) or None)
    own = _own(named, labels)
    return Target(own.name, chosen, _placed(own, labels), tuple(negative) or own.negative_labels)


def _own(named: Schema, labels: Sequence[str]) -> Target:
    """Return the one target of a schema, which has a name for every label."""
    own = named.targets[0]
    if len(named.targets) != 1 or len(own.labels) != len(labels):
        raise UsageError(
            f"the model has {len(labels)} labels ({_listed(labels)}), the schema names "
            f"{sum(len(target.labels) for target in named)}",
            where="--schema",
        )
    return own


def _placed(own: Target, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the schema's labels in the order of the logits: where the model knows the names, it knows their places."""
    if set(labels) == set(own.labels):
        return tuple(labels)
    for place, label in enumerate(labels):
        if label in own.labels and own.index(label) != place:
            raise UsageError(
                f"'{label}' is the model's label {place}, the schema's {own.index(label)}",
                where="--schema",
                remedy="name the labels in the model's order, or all of them as it does",
            )
    return own.labels


def _kind(published: Published, wanted: TargetKind | None, named: Schema | None) -> TargetKind:
    stated = published.problem_type
    known = _KINDS.get(stated or "")
    if len(published.labels) == 1:
        known = TargetKind.MULTI_LABEL if stated != "regression" else None
    if stated not in (None, *_KINDS) and wanted is None:
        raise UsageError(
            f"problem_type is '{stated}', which gives no probabilities",
            where=CONFIG,
            remedy="where its logits are a classifier's, give --kind multi_label or --kind single_label",
        )
    said = named.targets[0].kind if named is not None else None
    if wanted is None and None not in (known, said) and known is not said:
        raise UsageError(
            f"config.json says {known}, the schema {said}",
            where="--schema",
            remedy=f"give --kind {known} to follow the model, --kind {said} if its card says that config.json is wrong",
        )
    chosen = wanted or known or said
    if chosen is not None:
        return chosen
    raise UsageError(
        f"config.json states no problem_type; its labels are {_listed(published.labels)}",
        where=published.architecture,
        remedy="give --kind single_label if exactly one of them holds (softmax), --kind multi_label if each is a "
        "question of its own (sigmoid); the model's card says which",
    )


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
