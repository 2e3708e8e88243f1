"""Every step by name, and steps from what people write."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from modwright.data.curate.balance import Cap, Downsample, PerLabel
from modwright.data.curate.duplicates import ExactDuplicates, NearDuplicates
from modwright.data.curate.filters import Language, Length
from modwright.data.curate.labels import DropLabels, RareLabels
from modwright.data.curate.order import Shuffle
from modwright.data.curate.steps import RowStep, Step
from modwright.data.options import TRAIN
from modwright.errors import RecipeError, nearest
from modwright.recipe import StepSection

ALL = "all"
#: In the order in which they are usually applied.
STEPS: dict[str, type[Any]] = {
    step.name: step
    for step in (
        ExactDuplicates,
        NearDuplicates,
        Length,
        Language,
        DropLabels,
        Cap,
        Downsample,
        PerLabel,
        RareLabels,
        Shuffle,
    )
}

#: A word of a step: no blank outside quotes and brackets.
_WORD = re.compile(r"""(?:[^\s"'\[\]{}]|"[^"]*"|'[^']*'|\[[^\]]*\]|\{[^}]*\})+""")


@dataclass(frozen=True, slots=True)
class Planned:
    """A step, and the splits it is applied to.

    Attributes:
        step: with its parameters.
        splits: names, or `all`; the training split alone unless told otherwise.
    """

    step: Step
    splits: tuple[str, ...] | str = (TRAIN,)


def make_step(name: str, parameters: Mapping[str, Any], splits: Sequence[str] | str | None = None) -> Planned:
    """Build a step from its name and parameters.

    Raises:
        RecipeError: an unknown step or parameter (the nearest is named), a missing or bad value, or splits for a
            step that takes labels away, which concerns all splits.
        UsageError: parameters that make no sense.
    """
    where = f"step '{name}'"
    if name not in STEPS:
        raise RecipeError(f"there is no step '{name}'", remedy=nearest(name, STEPS))
    known = [field.name for field in dataclasses.fields(STEPS[name])]
    for key in parameters:
        if key not in known:
            raise RecipeError(
                f"unknown parameter '{key}'", where=where, remedy=nearest(key, [*known, "splits"])
            )
    try:
        step: Step = TypeAdapter(STEPS[name]).validate_python(dict(parameters))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise RecipeError(f"the parameter '{place}' is missing", where=where, remedy="state it") from None
        raise RecipeError(f"'{place}' is {first['input']!r}: {first['msg']}", where=where) from None
    if splits is None:
        return Planned(step)
    if not isinstance(step, RowStep):
        raise RecipeError("takes labels out of all splits", where=where, remedy="leave out splits")
    names = (splits,) if isinstance(splits, str) else tuple(splits)
    if len(set(names)) < len(names):
        raise RecipeError(
            f"splits is {', '.join(names)}, expected each once", where=where, remedy="name each split once"
        )
    return Planned(step, ALL if names == (ALL,) else names)


def parse_step(text: str) -> Planned:
    """Read `cap max_share=0.3 splits=train,test`; values are read as TOML, or as strings.

    Raises:
        RecipeError: as `make_step` does, or something that is not KEY=VALUE.
    """
    name, *words = _WORD.findall(text) or [""]
    if _WORD.sub("", text).strip():
        raise RecipeError(
            f"step is {text!r}: a quote or bracket is not closed", remedy="write NAME KEY=VALUE …"
        )
    parameters: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise RecipeError(f"step '{name}' is given {word!r}", remedy="write KEY=VALUE, without blanks")
        if key in parameters:
            raise RecipeError(f"step '{name}' is given '{key}' twice", remedy="write each parameter once")
        parameters[key] = value.split(",") if key == "splits" else _value(name, key, value)
    return make_step(
        name, {key: value for key, value in parameters.items() if key != "splits"}, parameters.get("splits")
    )


def _value(name: str, key: str, text: str) -> Any:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip("\"'")
    wants_many = name in STEPS and any(
        field.name == key and str(field.type).startswith("tuple") for field in dataclasses.fields(STEPS[name])
    )
    return value.split(",") if wants_many and isinstance(value, str) else value


def steps_of(sections: Sequence[StepSection]) -> list[Planned]:
    """Return the steps of a recipe; raises RecipeError as `make_step` does."""
    return [make_step(section.step, section.parameters, section.splits) for section in sections]
