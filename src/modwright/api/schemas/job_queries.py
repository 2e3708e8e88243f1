"""What stands behind the question mark of jobs' paths: filters of both dialects, pages and cursors."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from starlette.datastructures import QueryParams

from modwright.api.dialect import Dialect
from modwright.api.schemas.native import Strict, parse
from modwright.errors import RequestError, nearest
from modwright.jobs.states import Status
from modwright.storage.job_rows import JobFilters

MAX_PAGE = 1_000
_DEFAULT_PAGE = {Dialect.MISTRAL: 100, Dialect.OPENAI: 20}
_METADATA = re.compile(r"metadata\[(?P<key>[^\]]{1,64})\]")

_Text = Annotated[str, Field(max_length=500)]
_Limit = Annotated[int, Field(ge=1, le=MAX_PAGE)]


class CreateQuery(Strict):
    """Of `POST /v1/fine_tuning/jobs`."""

    dry_run: bool = False


class CursorQuery(Strict):
    """Of the events and checkpoints of a job: those behind the one `after`."""

    after: _Text | None = None
    limit: _Limit | None = None


class JobQuery(Strict):
    """Of `GET /v1/fine_tuning/jobs`: Mistral's pages and filters, or OpenAI's cursor."""

    page: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    page_size: _Limit | None = None
    after: _Text | None = None
    limit: _Limit | None = None
    model: _Text | None = None
    status: str | None = None
    suffix: _Text | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    created_by_me: bool = False
    wandb_project: _Text | None = None
    wandb_name: _Text | None = None
    metadata: Annotated[dict[str, _Text], Field(max_length=16)] | None = Field(
        default_factory=dict, description="Keys and their values; null: jobs without any."
    )

    @field_validator("status")
    @classmethod
    def _known_status(cls, value: str | None) -> str | None:
        if value is not None and value.upper() not in tuple(Status):
            hint = nearest(value.upper()[:100], tuple(Status))
            raise PydanticCustomError("status", "is no status ({hint})", {"hint": hint})
        return value

    def size(self, dialect: Dialect) -> int:
        """Return how many jobs a page has."""
        return self.limit or self.page_size or _DEFAULT_PAGE[dialect]

    def filters(self, key_id: str | None) -> JobFilters:
        """Return which jobs are asked for; ``key_id`` is the asking key, None where there are no keys."""
        return JobFilters(
            model=self.model,
            status=None if self.status is None else Status(self.status.upper()),
            suffix=self.suffix,
            created_after=_seconds(self.created_after),
            created_before=_seconds(self.created_before),
            created_by=key_id if self.created_by_me else None,
            wandb_project=self.wandb_project,
            wandb_name=self.wandb_name,
            metadata=self.metadata or {},
            without_metadata=self.metadata is None,
        )


_Query = TypeVar("_Query", bound=Strict)


def read_query(model: type[_Query], given: QueryParams) -> _Query:
    """Fit a query to a model; raises RequestError for unknown keys, a key given twice, or a value that does not fit."""
    values: dict[str, object] = {}
    metadata: dict[str, str] = {}
    for key, value in given.multi_items():
        below = _METADATA.fullmatch(key)
        place, name = (metadata, below["key"]) if below is not None else (values, key)
        if name in place:
            raise RequestError(f"'{key[:100]}' is given twice", where=key[:100])
        if "\0" in key or "\0" in value:
            raise RequestError("holds a NUL", where=key.replace("\0", "")[:100])
        place[name] = value
    return parse(model, values | _metadata(values.get("metadata"), metadata))


def _metadata(whole: object, keys: dict[str, str]) -> dict[str, object]:
    """Return the filter by metadata, as OpenAI writes it: `metadata[key]=value`, or `metadata=null` for none."""
    if whole is None:
        return {"metadata": keys} if keys else {}
    if whole != "null" or keys:
        raise RequestError(
            "a filter by metadata names its key",
            where="metadata",
            remedy="write metadata[key]=value, or metadata=null alone for jobs without metadata",
        )
    return {"metadata": None}


def _seconds(moment: datetime | None) -> float | None:
    """Return a moment as Unix seconds; one without a zone is of UTC."""
    if moment is None:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
