"""The error tree: every error a user can meet, each with a code, what was found, where, and the remedy.

    ModwrightError
    ├── InputError          what the user gave cannot be used
    │   ├── DataError       a labelled file or dataset
    │   ├── RecipeError     a recipe or an override of one
    │   ├── SchemaError     targets and labels
    │   ├── SettingsError   a MODWRIGHT_* variable
    │   ├── UsageError      a command line or a call
    │   ├── RequestError    the body of an HTTP request
    │   ├── AuthenticationError  who asks is not known
    │   ├── ForbiddenError  who asks may not do this
    │   ├── ConflictError   it contradicts the state of what is there
    │   ├── TooLargeError   more than the server takes
    │   └── UnprocessableError  it is well formed, and nothing this server does
    ├── NotFoundError       something named does not exist
    │   └── ModelNotFoundError
    ├── IntegrityError      bytes are not the ones that were promised
    │   └── ArtifactError   an artifact folder is broken, foreign or of another version
    ├── SourceError         a source of weights or data cannot be reached or refused
    ├── MissingExtraError   an optional part of modwright is not installed
    ├── TrainingError       a training run cannot go on
    ├── OverloadedError     the server has no room for this request now
    │   ├── UnavailableError  no answer came in time, or the server is going away
    │   └── RateLimitedError  this key has asked too often
    ├── StorageError        the database or the store of blobs cannot be reached or failed
    │   └── StorageFullError  there is no room left
    ├── LostLeaseError      a job is no longer this worker's
    └── ScoringError        the model failed on this batch; the server lives on

Faces translate these: the command line to exit codes, the HTTP API to status codes; they catch nothing else.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ModwrightError(Exception):
    """Root of the tree.

    Args:
        message: what was found, with the value, and what was expected.
        where: the place: ``file:line``, ``file:line, field 'x'``, a key path or a folder.
        remedy: what to do about it.
    """

    code = "error"
    exit_code = 1
    status = 500
    #: Where a server answered with this error: the id of that request, which its log has.
    request_id: str | None = None

    def __init__(self, message: str, *, where: str | None = None, remedy: str | None = None) -> None:
        self.message = message
        self.where = where
        self.remedy = remedy
        super().__init__(message)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{place}{self.message}{remedy}"


class InputError(ModwrightError):
    """What the user gave cannot be used as it is."""

    code = "invalid_input"
    exit_code = 2
    status = 400


class DataError(InputError):
    """A labelled file or dataset is wrong at a known place.

    Args:
        message: what was found and what was expected.
        file: name of the file as the user gave it.
        line: 1-based physical line, None where the whole file is meant.
        field: column or key path.
        remedy: what to do about it.
    """

    code = "invalid_data"
    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        field: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.file, self.line, self.field = file, line, field
        place = None
        if file is not None:
            place = file if line is None else f"{file}:{line}"
        if field is not None:
            place = f"{place}, field '{field}'" if place else f"field '{field}'"
        super().__init__(message, where=place, remedy=remedy)


class RecipeError(InputError):
    """A recipe, or an override of one, is wrong."""

    code = "invalid_recipe"


class SchemaError(InputError):
    """Targets and labels contradict each other."""

    code = "invalid_schema"


class SettingsError(InputError):
    """A MODWRIGHT_* variable is unknown or holds an unusable value."""

    code = "invalid_settings"


class UsageError(InputError):
    """A command line or a call does not make sense."""

    code = "usage"


class RequestError(InputError):
    """The body of an HTTP request is wrong; ``where`` is the path of the field, dots between the keys."""

    code = "invalid_request"


class AuthenticationError(InputError):
    """Who asks is not known: no key, an unknown, expired or revoked one."""

    code = "unauthorized"
    status = 401


class ForbiddenError(InputError):
    """Who asks is known and may not do this."""

    code = "forbidden"
    status = 403


class ConflictError(InputError):
    """What is asked contradicts the state of what is there: a twin, or a job that is past it."""

    code = "conflict"
    status = 409


class TooLargeError(InputError):
    """More than the server takes."""

    code = "too_large"
    status = 413


class UnprocessableError(InputError):
    """It is well formed, and nothing this server does."""

    code = "unprocessable"
    status = 422


class NotFoundError(ModwrightError):
    """Something named does not exist."""

    code = "not_found"
    exit_code = 2
    status = 404


class ModelNotFoundError(NotFoundError):
    """No deployment or artifact of that name."""

    code = "model_not_found"


class IntegrityError(ModwrightError):
    """Bytes are not the ones that were promised."""

    code = "integrity"
    exit_code = 4


class ArtifactError(IntegrityError):
    """An artifact folder is broken, foreign or of another format version."""

    code = "invalid_artifact"


class SourceError(ModwrightError):
    """A source of weights or data cannot be reached, or refused."""

    code = "source_unavailable"
    exit_code = 5
    status = 502


class MissingExtraError(ModwrightError):
    """An optional part of modwright is not installed."""

    code = "missing_extra"
    exit_code = 6
    status = 501

    def __init__(self, extra: str, why: str) -> None:
        super().__init__(f"{why} needs the extra '{extra}'", remedy=f"pip install 'modwright[{extra}]'")
        self.extra = extra


class TrainingError(ModwrightError):
    """A training run cannot go on: its loss is no number any more, or the memory holds not even one row."""

    code = "training_failed"


class OverloadedError(ModwrightError):
    """The server has no room for this request now.

    Args:
        message: which limit was met.
        retry_after_s: seconds after which trying again makes sense.
    """

    code = "overloaded"
    status = 429

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message, remedy=f"try again in {retry_after_s:g} s")
        self.retry_after_s = retry_after_s


class UnavailableError(OverloadedError):
    """No answer came in time, or the server is going away."""

    code = "unavailable"
    status = 503


class RateLimitedError(OverloadedError):
    """This key has asked too often."""

    code = "rate_limited"


class StorageError(ModwrightError):
    """The database or the store of blobs cannot be reached, or failed."""

    code = "storage_failed"
    exit_code = 5
    status = 503


class StorageFullError(StorageError):
    """There is no room left; nothing was kept of what was being written."""

    code = "storage_full"
    status = 507


class LostLeaseError(ModwrightError):
    """A job is no longer this worker's: it was taken over, cancelled or ended; nothing was written."""

    code = "lost_lease"
    status = 409


class ScoringError(ModwrightError):
    """The model failed on this batch; other batches and the server live on."""

    code = "scoring_failed"
    status = 500


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known key, or lists them all where none is near."""
    options = sorted(known)
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return "known: " + ", ".join(options) if options else "nothing is known here"
