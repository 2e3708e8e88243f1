"""What the server answers, as frozen data: files, models, scores, keys. Keys this version does not know are left out.

Times are whole Unix seconds.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from modwright.errors import IntegrityError
from modwright.settings import Settings

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class FoundTarget:
    """A target that a file's rows speak of.

    Attributes:
        kind: `multi_label` or `single_label`; None where the rows do not show it (soft labels).
        labels: in order of first sight.
    """

    kind: str | None
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileSummary:
    """What the check of a training file found.

    Attributes:
        targets: by name.
        lines: records, the wrong ones among them.
        skipped: records that are wrong and were tolerated.
        characters: of all texts that are read.
        notes: what was accepted and may surprise.
    """

    targets: Mapping[str, FoundTarget]
    lines: int
    skipped: int = 0
    characters: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded file."""

    id: str
    filename: str
    purpose: str
    bytes: int
    created_at: int
    num_lines: int | None = None
    sha256: str | None = None
    mimetype: str | None = None
    sample_type: str | None = None
    expires_at: int | None = None
    summary: FileSummary | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A target: of a model, or declared for a job.

    Attributes:
        labels: in order.
        weight: multiplies its loss beside the other targets'.
        loss_function: `single_class` (exactly one label holds) or `multi_class`; None: as the data show.
    """

    name: str
    labels: tuple[str, ...]
    weight: float = 1.0
    loss_function: str | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model that answers, or a name that a job may train.

    Attributes:
        type: `fine-tuned`, or `base` for what a job may train.
        root: what it was trained from.
        root_version: beginning of its artifact's id.
        job: the job that trained it.
        archived: it answers no request until it is unarchived.
        operating_points: names of its saved thresholds; None where the answer leaves them out.
    """

    id: str
    type: str
    created: int
    name: str
    description: str
    root: str
    root_version: str | None = None
    job: str | None = None
    archived: bool = False
    aliases: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    operating_points: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class TargetResult:
    """What a model says of one input for one target.

    Attributes:
        scores: label to calibrated probability.
        flags: labels flagged at the operating point.
        windows: windows the judged text was scored in; nothing is cut.
        span: characters [from, to) of the judged text: the window that decided.
        review: `pass`, `review` (a person should see it) or `act`; None where the model has no review band.
        review_by_label: label to what it says by itself; labels that say nothing are left out.
    """

    scores: Mapping[str, float]
    flags: tuple[str, ...] = ()
    windows: int = 1
    span: tuple[int, int] = (0, 0)
    review: str | None = None
    review_by_label: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Classification:
    """What a model says of inputs: for each, in order, target to result."""

    model: str
    results: tuple[Mapping[str, TargetResult], ...]


@dataclass(frozen=True, slots=True)
class ModerationResult:
    """Which categories an input falls into, at the operating point, and their calibrated probabilities."""

    flagged: bool
    categories: Mapping[str, bool]
    category_scores: Mapping[str, float]
    windows: int = 1
    span: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Moderation:
    """What a model says of inputs, one result each, in order."""

    model: str
    results: tuple[ModerationResult, ...]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key, without its secret; `prefix` is how that begins."""

    id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    last_used_at: int | None = None


@dataclass(frozen=True, slots=True)
class NewApiKey(ApiKey):
    """A key that was made just now, with its secret `key`, which is never shown again."""

    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Health:
    """The server answers; `models` of it have just judged an input; what one request may hold, at most."""

    status: str
    models: int
    max_inputs: int = int(Settings.model_fields["max_inputs"].default)
    max_upload_bytes: int = int(Settings.model_fields["max_upload_bytes"].default)


def read(kind: type[AnswerT], document: Any) -> AnswerT:
    """Return an answer as its class; raises IntegrityError where it does not fit."""
    try:
        adapter: TypeAdapter[AnswerT] = _adapter(cast(Hashable, kind))
        answer = adapter.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise IntegrityError(
            f"the server's answer is no {kind.__name__}: {first['msg']}",
            where=place or None,
            remedy="does the url lead to a modwright server of this version?",
        ) from None
    return answer


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def read_model(document: Any) -> Model:
    """Return a model's card; raises IntegrityError where it is none."""
    if isinstance(document, Mapping) and "classifier_targets" in document:
        document = {**document, "targets": document["classifier_targets"]}
    return read(Model, document)
