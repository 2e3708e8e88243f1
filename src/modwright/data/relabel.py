"""Labels renamed, merged and dropped, before the schema is frozen."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from modwright.data.options import Meaning
from modwright.data.tables import Claim, FileRows
from modwright.errors import UsageError, nearest
from modwright.schema import POSITIVE_ABOVE, FloatArray, TargetKind


@dataclass(frozen=True, slots=True)
class Relabelling:
    """What becomes of labels: (target, old label) to its new name, and those that go."""

    moves: Mapping[tuple[str, str], str]
    drops: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, files: Iterable[FileRows], meaning: Meaning) -> Relabelling:
        """Resolve the renames and drops over all files; raises as `relabelled` does."""
        if not meaning.renames and not meaning.drops:
            return cls({}, frozenset())
        known = {
            (target, label)
            for rows in files
            for target, claim in rows.claims.items()
            for label in claim.labels
        }
        renames = {option: _meant(option, known, "--rename") for option in meaning.renames}
        drops = {pair for option in meaning.drops for pair in _meant(option, known, "--drop")}
        moves = {pair: meaning.renames[option] for option, pairs in renames.items() for pair in pairs}
        _refuse_clashes(moves, drops, known)
        return cls(moves, frozenset(drops))

    def apply(self, rows: FileRows, kind: TargetKind | None) -> FileRows:
        """Return rows with the labels that are left, under their new names."""
        if not self.moves and not self.drops:
            return rows
        claims = {
            target: _moved(claim, _names(target, claim, self.moves, self.drops), kind)
            for target, claim in rows.claims.items()
        }
        return dataclasses.replace(rows, claims=claims)


def relabelled(files: Sequence[FileRows], meaning: Meaning) -> list[FileRows]:
    """Apply the renames and drops to what every file says.

    Several labels with one new name merge: a row has the new label as much as it has the one of them it has most, and
    not knowing any leaves it unknown. Classes of a single_label target exclude each other, so their shares add up.
    A row whose class is dropped is unknown.

    Raises:
        UsageError: an old name that no file has, or a new name that is a label already and was not said to merge.
    """
    if meaning.recorded is not None and meaning.recorded.safe is not None:
        files = [_without(rows, meaning.recorded.safe) for rows in files]
    relabelling = Relabelling.of(files, meaning)
    return [relabelling.apply(rows, meaning.kind) for rows in files]


def _without(rows: FileRows, safe: str) -> FileRows:
    """Leave out the label that an export wrote where nothing holds."""
    claims = {
        target: _moved(claim, {label: None if label == safe else label for label in claim.labels}, None)
        if claim.kind is not TargetKind.SINGLE_LABEL
        else claim
        for target, claim in rows.claims.items()
    }
    return dataclasses.replace(rows, claims=claims)


def _meant(option: str, known: set[tuple[str, str]], flag: str) -> list[tuple[str, str]]:
    """Return the (target, label) pairs that `label` or `target/label` means."""
    pairs = sorted(pair for pair in known if option in (pair[1], "/".join(pair)))
    if not pairs:
        labels = {label for _, label in known} | {"/".join(pair) for pair in known if "/" in option}
        raise UsageError(f"{flag} names '{option}', which is not a label", remedy=nearest(option, labels))
    return pairs


def _refuse_clashes(
    moves: Mapping[tuple[str, str], str], drops: AbstractSet[tuple[str, str]], known: set[tuple[str, str]]
) -> None:
    """Raise UsageError where a new name is another label that neither moves away nor is said to stay."""
    for (target, old), new in moves.items():
        if new != old and (target, new) in known - drops and (target, new) not in moves:
            raise UsageError(
                f"--rename {old}={new}: '{new}' is a label of '{target}' already",
                remedy=f"to merge the two give --rename {new}={new} as well",
            )


def _names(
    target: str, claim: Claim, moves: Mapping[tuple[str, str], str], drops: AbstractSet[tuple[str, str]]
) -> dict[str, str | None]:
    """Return each old label's new name, None where it is dropped."""
    return {
        label: None if (target, label) in drops else moves.get((target, label), label)
        for label in claim.labels
    }


def _moved(claim: Claim, names: Mapping[str, str | None], kind: TargetKind | None) -> Claim:
    exclusive = (claim.kind or kind) is TargetKind.SINGLE_LABEL
    places: dict[str, list[int]] = {}
    lines: dict[str, int] = {}
    for place, (old, line) in enumerate(claim.labels.items()):
        new = names[old]
        if new is not None:
            places.setdefault(new, []).append(place)
            lines[new] = min(line, lines.get(new, line))
    values = np.full((len(claim.values), len(places)), np.nan)
    merge = _added if exclusive else _highest
    for column, merged in enumerate(places.values()):
        values[:, column] = merge(claim.values[:, merged], axis=1)
    closed = claim.closed
    dropped = [place for place, new in enumerate(names.values()) if new is None]
    if exclusive and dropped:
        lost = (np.nan_to_num(claim.values[:, dropped]) > 0).any(axis=1)
        values[lost] = np.nan
        closed = closed & ~lost
    declared = frozenset(new for old, new in names.items() if new is not None and old in claim.declared)
    return dataclasses.replace(claim, labels=lines, values=values, closed=closed, declared=declared)


def _highest(values: FloatArray, axis: int) -> FloatArray:
    """Return maxima over an axis, NaN where one is unknown and none of the others holds: it might."""
    highest = np.fmax.reduce(values, axis=axis)
    return np.where(np.isnan(values).any(axis=axis) & ~(highest > POSITIVE_ABOVE), np.nan, highest)


def _added(values: FloatArray, axis: int) -> FloatArray:
    """Return sums over an axis, NaN where all are."""
    return np.where(np.isnan(values).all(axis=axis), np.nan, np.nansum(values, axis=axis))
