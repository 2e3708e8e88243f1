"""What `modwright jobs create` is asked for: files uploaded where they are paths, targets and overrides read."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modwright.cli.files import told, upload
from modwright.errors import NotFoundError, UsageError
from modwright.recipe import override_value

if TYPE_CHECKING:
    from modwright.client import Client, JobOptions, Target, TrainingFile

#: Where Weights & Biases' own tools look for its key.
WANDB_KEY = "WANDB_API_KEY"
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class JobOrder:
    """A job as the command line asks for it.

    Attributes:
        train: files to upload, or ids, each with `=WEIGHT` or without.
        validation: files to upload, or ids.
        targets: `name=label,label`.
        overrides: `key.of.table=value` of the recipe.
        skip: share of wrong lines that is left out.
    """

    model: str
    train: tuple[str, ...]
    validation: tuple[str, ...] = ()
    steps: int | None = None
    epochs: float | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    seed: int | None = None
    recipe: str | None = None
    overrides: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    suffix: str | None = None
    skip: float = 0.0
    start: bool = True
    wandb_project: str | None = None


def job_options(order: JobOrder, client: Client, *, quiet: bool) -> tuple[list[TrainingFile], JobOptions]:
    """Return what `Client.jobs.create` takes; whatever is no file or no value is told before anything is uploaded.

    Raises:
        NotFoundError: neither a file here nor an id.
        UsageError: a target, override or weight that cannot be read.
        DataError: a file's lines are wrong; see `Client.files.upload`.
    """
    from modwright.client import TrainingFile, Wandb

    given = [_weighted(text) for text in order.train]
    checked = [_source(text) for text in order.validation]
    options: JobOptions = {
        "training_steps": order.steps,
        "epochs": order.epochs,
        "learning_rate": order.learning_rate,
        "batch_size": order.batch_size,
        "seed": order.seed,
        "recipe": order.recipe,
        "overrides": _overrides(order.overrides),
        "targets": [_target(text) for text in order.targets],
        "suffix": order.suffix,
        "auto_start": order.start,
        "invalid_sample_skip_percentage": order.skip,
        "wandb": Wandb(order.wandb_project, os.environ.get(WANDB_KEY)) if order.wandb_project else None,
    }

    if order.wandb_project and not os.environ.get(WANDB_KEY) and not quiet:
        note = (
            f"{WANDB_KEY} is not set here: the server's own key is used, and nothing is sent if it has none"
        )
        print(note, file=sys.stderr)

    def sent(source: Path | str) -> str:
        if isinstance(source, str):
            return source
        file = upload(client, source, skip=order.skip, quiet=quiet)
        if not quiet:
            print(f"uploaded {told(file)}")
        return file.id

    training = [TrainingFile(sent(source), weight) for source, weight in given]
    options["validation_files"] = [sent(source) for source in checked]
    return training, options


def _weighted(text: str) -> tuple[Path | str, float]:
    """Return a file or an id, and its weight."""
    head, equals, tail = text.rpartition("=")
    if not equals or Path(text).is_file():
        return _source(text), 1.0
    try:
        weight = float(tail)
    except ValueError:
        raise UsageError(
            f"weight is '{tail}', expected a number",
            where=f"--train {text}",
            remedy="FILE=2 counts its rows twice",
        ) from None
    return _source(head), weight


def _source(text: str) -> Path | str:
    if Path(text).is_file():
        return Path(text)
    if _ID.fullmatch(text):
        return text
    raise NotFoundError(
        f"'{text}' is neither a file here nor the id of one there", remedy="modwright files list"
    )


def _target(text: str) -> Target:
    from modwright.client import Target

    name, _, labels = text.partition("=")
    found = tuple(label.strip() for label in labels.split(",") if label.strip())
    if not name.strip() or not found:
        raise UsageError(f"target is '{text}'", where="--target", remedy="write name=label,label")
    return Target(name.strip(), found)


def _overrides(texts: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(
                f"override is '{text}'", where="--set", remedy="write key=value, such as head.folds=10"
            )
        found[key.strip()] = override_value(value)
    return found
