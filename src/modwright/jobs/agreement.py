"""What can be said of a job's files before any is read again: that they, and the declared targets, fit together.

A worker checks the rows themselves; what the summaries of the uploads show is refused when the job is created, so that
whoever waits for its validation is not kept waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modwright.errors import RequestError, SchemaError, nearest
from modwright.jobs.file_summary import FileSummary
from modwright.jobs.specs import JobSpec, TargetSpec
from modwright.schema import Target, TargetKind

#: Wrong lines that a refusal quotes.
_TOLD_PROBLEMS = 3
_TRAINING, _VALIDATION, _DECLARED = "training_files", "validation_files", "classifier_targets"


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file of a job: its place in the request, its name, the hash of its bytes, and what its check found."""

    place: str
    name: str
    sha256: str
    summary: FileSummary | None


def check_agreement(spec: JobSpec, training: Sequence[GivenFile], validation: Sequence[GivenFile]) -> None:
    """Check the files of a job against each other and against the declared targets.

    Raises:
        RequestError: the first contradiction, at the field of the request that is part of it.
    """
    _refuse_same_bytes((*training, *validation))
    _refuse_too_many_wrong(spec, (*training, *validation))
    check_targets(spec.targets or ())
    kinds = _kinds(spec.targets or (), training)
    _kinds_agree(kinds, validation)
    if spec.targets is not None:
        declared = {target.name: set(target.labels) for target in spec.targets}
        _refuse_unknown_labels(declared, (*training, *validation), f"which {_DECLARED} does not declare")
        _refuse_unseen(spec.targets, training)
        return
    known = _labels(training)
    _refuse_unknown_targets(known, validation)
    _refuse_unknown_labels(known, validation, "which no training file has")


def check_targets(targets: Iterable[TargetSpec]) -> None:
    """Raise RequestError where declared targets are none: a name or label twice, or empty."""
    seen: set[str] = set()
    for n, target in enumerate(targets):
        kind = target.loss_function.kind if target.loss_function is not None else TargetKind.MULTI_LABEL
        try:
            Target.create(target.name, kind, target.labels)
        except SchemaError as error:
            raise RequestError(error.message, where=f"{_DECLARED}.{n}", remedy=error.remedy) from None
        if target.name in seen:
            raise RequestError(f"declares '{target.name}' twice", where=f"{_DECLARED}.{n}.name")
        seen.add(target.name)


def _refuse_same_bytes(files: Iterable[GivenFile]) -> None:
    seen: dict[str, GivenFile] = {}
    for file in files:
        before = seen.setdefault(file.sha256, file)
        if before is file:
            continue
        if before.place.startswith(_TRAINING) and file.place.startswith(_VALIDATION):
            raise RequestError(
                f"'{file.name}' is the file of {before.place} too: a model is not judged by rows it learned from",
                where=file.place,
                remedy="give other rows, or none: then some are held out of the training files",
            )
        raise RequestError(
            f"'{file.name}' holds the same bytes as {before.place}",
            where=file.place,
            remedy="name it once; `weight` makes rows count more",
        )


def _refuse_too_many_wrong(spec: JobSpec, files: Sequence[GivenFile]) -> None:
    for file in files:
        if file.summary is None or not file.summary.skipped:
            continue
        share = file.summary.skipped / max(1, file.summary.lines)
        if share > spec.invalid_sample_skip_percentage:
            raise RequestError(
                f"{file.summary.skipped:,} of the {file.summary.lines:,} lines of '{file.name}' are wrong, "
                f"{spec.invalid_sample_skip_percentage:.2%} may be{_first_of(file.summary)}",
                where=file.place,
                remedy="mend them, or raise invalid_sample_skip_percentage",
            )


def _first_of(summary: FileSummary) -> str:
    """Return the first wrong lines with their numbers, as far as they are known."""
    told = [str(problem) for problem in summary.problems[:_TOLD_PROBLEMS]]
    return f": {'; '.join(told)}" if told else ""


def _kinds(
    declared: Iterable[TargetSpec], training: Iterable[GivenFile]
) -> dict[str, tuple[TargetKind, str]]:
    """Return what kind each target is, and who says so first: the request, or a training file."""
    kinds = {
        target.name: (target.loss_function.kind, f"{_DECLARED}.{n}.loss_function")
        for n, target in enumerate(declared)
        if target.loss_function is not None
    }
    return _kinds_agree(kinds, training)


def _kinds_agree(
    known: Mapping[str, tuple[TargetKind, str]], files: Iterable[GivenFile]
) -> dict[str, tuple[TargetKind, str]]:
    kinds = dict(known)
    for file in files:
        for name, found in file.summary.targets.items() if file.summary is not None else ():
            if found.kind is None:
                continue
            kind, who = kinds.setdefault(name, (found.kind, file.place))
            if kind is not found.kind:
                raise RequestError(
                    f"target '{name}' is {found.kind} in '{file.name}' and {kind} by {who}",
                    where=file.place,
                    remedy="labels in lists make a target multi_label, single ones single_label",
                )
    return kinds


def _labels(files: Iterable[GivenFile]) -> dict[str, set[str]]:
    labels: dict[str, set[str]] = {}
    for file in files:
        for name, found in file.summary.targets.items() if file.summary is not None else ():
            labels.setdefault(name, set()).update(found.labels)
    return labels


def _refuse_unknown_targets(known: Mapping[str, set[str]], files: Iterable[GivenFile]) -> None:
    for file in files:
        for name in file.summary.targets if file.summary is not None else ():
            if name not in known:
                raise RequestError(
                    f"'{file.name}' has the target '{name}', which no training file has",
                    where=file.place,
                    remedy=nearest(name, known),
                )


def _refuse_unknown_labels(known: Mapping[str, set[str]], files: Iterable[GivenFile], missing: str) -> None:
    """Check the labels of known targets; other targets are left out of the training."""
    for file in files:
        for name, found in file.summary.targets.items() if file.summary is not None else ():
            for label in found.labels if name in known else ():
                if label not in known[name]:
                    raise RequestError(
                        f"'{file.name}' has the label '{label}' of '{name}', {missing}",
                        where=file.place,
                        remedy=nearest(label, known[name]),
                    )


def _refuse_unseen(declared: Iterable[TargetSpec], training: Sequence[GivenFile]) -> None:
    if any(file.summary is None for file in training):
        return
    seen = _labels(training)
    for n, target in enumerate(declared):
        if target.name not in seen:
            raise RequestError(
                f"no training file has the target '{target.name}'",
                where=f"{_DECLARED}.{n}.name",
                remedy=nearest(target.name, seen),
            )
        for label in target.labels:
            if label not in seen[target.name]:
                raise RequestError(
                    f"no row has the label '{label}' of '{target.name}'",
                    where=f"{_DECLARED}.{n}.labels",
                    remedy=nearest(label, seen[target.name]),
                )
