"""Several runs of one recipe that differ in a few values: each in a folder of its own, compared on rows unseen."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modwright import artifact as layout
from modwright.catalog import Progress
from modwright.data.dataset import Dataset
from modwright.errors import IntegrityError, ModwrightError, UsageError
from modwright.files import locked, read_json, sha256_json, write_text_atomic
from modwright.models.features import Progress as EmbeddingProgress
from modwright.pipeline.grid_figures import VALIDATION_LOSS, Figures, criterion_of, read_figures
from modwright.pipeline.train import train
from modwright.recipe import Recipe, expand, load_recipe, varied
from modwright.settings import Settings
from modwright.training.events import Event

GRID = "grid.json"
FORMAT_VERSION = 1
_MOST_NAME = 120


@dataclass(frozen=True, slots=True)
class Member:
    """One run of a grid.

    Attributes:
        values: of the keys that the grid varies.
        folder: of the artifact.
        recipe: resolved.
    """

    values: dict[str, str]
    folder: Path
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class MemberResult:
    """What became of a member: its figures, or why it failed."""

    member: Member
    figures: Figures | None = None
    error: str | None = None
    unchanged: bool = False


@dataclass(frozen=True, slots=True)
class GridResult:
    """All members in order.

    Attributes:
        folder: holds grid.json and the members' folders.
        varied: the keys that differ.
        criterion: the figure that says which is best, and whether higher is better.
        best: place of the best member, None where none has the figure.
    """

    folder: Path
    varied: tuple[str, ...]
    members: tuple[MemberResult, ...]
    criterion: tuple[str, bool]
    best: int | None

    @property
    def failed(self) -> tuple[MemberResult, ...]:
        """Return the members that failed."""
        return tuple(one for one in self.members if one.error is not None)

    def to_json(self) -> dict[str, Any]:
        """Return what grid.json holds."""
        name, higher = self.criterion
        return {
            "modwright_grid": FORMAT_VERSION,
            "varied": list(self.varied),
            "criterion": {"metric": name, "better": "higher" if higher else "lower", "rows": "unseen"},
            "best": None if self.best is None else self.members[self.best].member.folder.name,
            "members": [_member_json(one) for one in self.members],
        }


def plan_grid(name_or_path: str, overrides: Sequence[str], out: Path) -> list[Member]:
    """Return the members of a grid, every recipe read and checked.

    Raises:
        RecipeError: a recipe of any member is wrong; nothing has been started then.
    """
    keys = varied(overrides)
    members = []
    for some in expand(overrides):
        given = dict(override.partition("=")[::2] for override in some)
        values = {key.strip(): value.strip() for key, value in given.items() if key.strip() in keys}
        members.append(Member(values, out / member_name(values), load_recipe(name_or_path, some)))
    return members


def member_name(values: dict[str, str]) -> str:
    """Return the name of a member's folder: epochs=3,learning_rate=5e-5; short, and safe on every file system."""
    plain = ",".join(f"{key}={value}" for key, value in values.items())
    safe = re.sub(r"[^\w.,=+-]+", "-", plain)
    if safe == plain and len(safe) <= _MOST_NAME:
        return safe
    return f"{safe[:_MOST_NAME]}-{sha256_json(plain)[:8]}"


def run_grid(
    members: Sequence[Member],
    keys: Sequence[str],
    dataset: Dataset,
    out: Path,
    settings: Settings,
    *,
    on_event: Callable[[Event], None],
    on_member: Callable[[int, Member], None],
    progress: Progress | None = None,
    embedding_progress: EmbeddingProgress | None = None,
    replace: bool = False,
) -> GridResult:
    """Train every member that is not trained yet; one that fails is kept as such and the others go on.

    grid.json is written after every member, so that a killed grid says what there is; the same command goes on.

    Args:
        members: as `plan_grid` gives them for this `out`.
        keys: that differ.
        on_member: told the place of a member before it starts.

    Raises:
        UsageError: `out` holds something that is no grid.
    """
    _refuse_foreign(out)
    found: list[MemberResult] = []
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        _refuse_foreign(out)
        result = _result(out, keys, members, found)
        for place, member in enumerate(members):
            _write(result)
            on_member(place, member)
            found.append(
                _one(member, dataset, settings, on_event, progress, embedding_progress, replace=replace)
            )
            result = _result(out, keys, members, found)
        _write(result)
    return result


def _one(
    member: Member,
    dataset: Dataset,
    settings: Settings,
    on_event: Callable[[Event], None],
    progress: Progress | None,
    embedding_progress: EmbeddingProgress | None,
    *,
    replace: bool,
) -> MemberResult:
    began = time.monotonic()
    try:
        trained = train(
            member.recipe,
            dataset,
            member.folder,
            settings,
            on_event=on_event,
            progress=progress,
            embedding_progress=embedding_progress,
            replace=replace,
        )
        figures = read_figures(member.folder, member.recipe, time.monotonic() - began)
    except ModwrightError as error:
        return MemberResult(member, error=str(error))
    except Exception as error:  # one member's bad luck is not the others'
        return MemberResult(member, error=f"{type(error).__name__}: {error}")
    return MemberResult(member, figures, unchanged=trained.unchanged)


def _result(
    out: Path, keys: Sequence[str], members: Sequence[Member], found: Sequence[MemberResult]
) -> GridResult:
    name, higher = criterion_of([member.recipe for member in members])
    done = {place: one.figures for place, one in enumerate(found) if one.figures is not None}
    if done and all(figures.metrics.get(name) is None for figures in done.values()):
        name, higher = VALIDATION_LOSS, False  # no label has enough evidence for a metric
    judged = {place: figures.judged(name) for place, figures in done.items()}
    values = {place: value for place, value in judged.items() if value is not None}
    chosen = (max if higher else min)(values.values()) if values else None
    best = next((place for place, value in values.items() if value == chosen), None)
    return GridResult(out, tuple(keys), tuple(found), (name, higher), best)


def _member_json(one: MemberResult) -> dict[str, Any]:
    data: dict[str, Any] = {"folder": one.member.folder.name, "values": one.member.values}
    if one.figures is None:
        return {**data, "state": "failed", "error": one.error}
    return {**data, "state": "done", **one.figures.to_json()}


def _write(result: GridResult) -> None:
    text = json.dumps(result.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    write_text_atomic(result.folder / GRID, text + "\n")


def _refuse_foreign(out: Path) -> None:
    remedy = "choose another --out; a grid's runs lie in folders of their own below it"
    if out.exists() and not out.is_dir():
        raise UsageError("is a file, a grid's folder goes there", where=str(out), remedy=remedy)
    if not out.is_dir() or not {path.name for path in out.iterdir()} - {f".{GRID}.partial"}:
        return
    if (out / layout.MANIFEST).exists():
        raise UsageError("holds one artifact, not a grid of them", where=str(out), remedy=remedy)
    try:
        data = read_json(out / GRID)
    except (IntegrityError, OSError):
        data = None
    if not isinstance(data, dict) or data.get("modwright_grid") != FORMAT_VERSION:
        raise UsageError(f"holds something else: there is no {GRID} of a grid", where=str(out), remedy=remedy)
