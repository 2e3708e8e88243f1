"""The schema from what the training files say: targets and labels in order of first sight, then frozen."""

from __future__ import annotations

from collections.abc import Sequence

from modwright.data.options import Meaning
from modwright.data.problems import Problems
from modwright.data.tables import FileRows
from modwright.errors import DataError, UsageError, nearest
from modwright.schema import MODERATION_TARGET, Schema, Target, TargetKind

_WORDS = {
    TargetKind.SINGLE_LABEL: "one class per row",
    TargetKind.MULTI_LABEL: "labels that hold independently",
}


def freeze_schema(
    training: Sequence[FileRows], others: Sequence[FileRows], meaning: Meaning, problems: Problems
) -> Schema:
    """Collect targets and labels over the training files and hold every other file to them.

    Raises:
        DataError: contradictions that leave no schema, or labels that only other files have (in `problems`).
    """
    _refuse_mixed_kinds([*training, *others], problems)
    problems.raise_any()
    if meaning.recorded is not None:
        schema = meaning.recorded.schema
        for rows in [*training, *others]:
            _refuse_unknown_labels(rows, schema, problems)
            _refuse_other_kinds(rows, schema, problems)
        problems.raise_any()
        return schema
    names = dict.fromkeys([*meaning.declared, *(name for rows in training for name in rows.claims)])
    _refuse_idle_options([*training, *others], list(names), meaning, problems)
    targets = [_target(name, training, meaning, problems) for name in names]
    problems.raise_any()
    schema = Schema(tuple(target for target in targets if target is not None))
    _refuse_unknown_negatives(schema, meaning)
    for rows in [*training, *others]:
        _refuse_unknown_labels(rows, schema, problems)
    problems.raise_any()
    return schema


def _refuse_mixed_kinds(files: Sequence[FileRows], problems: Problems) -> None:
    first: dict[str, tuple[FileRows, TargetKind]] = {}
    for rows in files:
        for name, claim in rows.claims.items():
            if claim.kind is None:
                continue
            before, kind = first.setdefault(name, (rows, claim.kind))
            if kind is not claim.kind:
                problems.add(
                    f"found {_WORDS[claim.kind]}, but {before.name} has {_WORDS[kind]}; expected one form",
                    file=rows.name,
                    line=claim.kind_line,
                    field=f"labels.{name}",
                    remedy="where exactly one label holds write strings, or a class column with "
                    "--kind single_label; where several may, lists or 0/1 columns",
                )


def _refuse_idle_options(
    files: Sequence[FileRows], names: Sequence[str], meaning: Meaning, problems: Problems
) -> None:
    """Refuse --target and --kind where the records say themselves, and otherwise, what they set."""
    if names and meaning.target not in (MODERATION_TARGET, *names):
        listed = ", ".join(repr(name) for name in names[:12])
        raise UsageError(
            f"--target is '{meaning.target}', but the records name their targets: {listed}",
            remedy="leave it out; it names the target of --label and --score",
        )
    claims = [(rows, name, claim) for rows in files for name, claim in rows.claims.items()]
    shown = {name for _, name, claim in claims if claim.kind is not None}
    if meaning.kind is None or not shown.issuperset(names):
        return  # it is not given, or decides for a target whose form shows nothing
    for rows, name, claim in claims:
        if claim.kind not in (None, meaning.kind):
            problems.add(
                f"found {_WORDS[claim.kind]}, but --kind is {meaning.kind}",
                file=rows.name,
                line=claim.kind_line,
                field=f"labels.{name}",
                remedy="leave it out, or write strings where exactly one label holds and lists where several may",
            )


def _refuse_other_kinds(rows: FileRows, schema: Schema, problems: Problems) -> None:
    for name, claim in rows.claims.items():
        if name in schema.names and claim.kind not in (None, schema.target(name).kind):
            problems.add(
                f"found {_WORDS[claim.kind]}, but the schema has {_WORDS[schema.target(name).kind]}",
                file=rows.name,
                line=claim.kind_line,
                field=f"labels.{name}",
                remedy="give the --schema that belongs to these files",
            )


def _target(name: str, training: Sequence[FileRows], meaning: Meaning, problems: Problems) -> Target | None:
    """Build one target; None where that became a problem."""
    claims = [(rows, rows.claims[name]) for rows in training if name in rows.claims]
    declared = meaning.declared.get(name)
    labels = tuple(declared or dict.fromkeys(label for _, claim in claims for label in claim.labels))
    kinds = [claim.kind for _, claim in claims if claim.kind is not None]
    file = claims[0][0].name if claims else training[0].name
    kind = kinds[0] if kinds else meaning.kind or TargetKind.MULTI_LABEL
    if not labels:
        problems.add(
            f"no row names a label of the target '{name}'",
            file=file,
            field=f"labels.{name}",
            remedy=f"declare them: --declare {name}=LABEL,LABEL",
        )
        return None
    if kind is TargetKind.SINGLE_LABEL and len(labels) < 2:
        problems.add(
            f"every known row has the class '{labels[0]}', expected at least two classes",
            file=file,
            field=f"labels.{name}",
            remedy="add rows of another class, or write a list where the label may hold or not",
        )
        return None
    negative = tuple(label for label in labels if label in meaning.negative) if meaning.negative else None
    return Target.create(name, kind, labels, negative)


def _refuse_unknown_negatives(schema: Schema, meaning: Meaning) -> None:
    known = [label for target in schema.targets for label in target.labels]
    for label in meaning.negative:
        if label not in known:
            raise DataError(f"--negative names '{label}', which is not a label", remedy=nearest(label, known))


def _refuse_unknown_labels(rows: FileRows, schema: Schema, problems: Problems) -> None:
    """Add a problem for each target or label of a file that the frozen schema does not have."""
    for name, claim in rows.claims.items():
        if name not in schema.names:
            problems.add(
                f"found the target '{name}', which no training row has",
                file=rows.name,
                line=claim.kind_line or min(claim.labels.values(), default=None),
                field=f"labels.{name}",
                remedy=nearest(name, schema.names),
            )
            continue
        known = schema.target(name).labels
        for label, line in claim.labels.items():
            if label not in known:
                problems.add(
                    f"found the label '{label}', which no training row has and nothing declares",
                    file=rows.name,
                    line=line,
                    field=f"labels.{name}",
                    remedy=nearest(label, known),
                )
