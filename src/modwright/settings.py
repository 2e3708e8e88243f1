"""Deployment settings from MODWRIGHT_* variables: places, and what a server allows. No hyperparameters."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from modwright.errors import SettingsError, nearest

_PREFIX = "MODWRIGHT_"
#: Variables of the test suite; no setting of a deployment.
_OF_THE_TESTS = "MODWRIGHT_TEST_"


def _from_json(value: Any) -> Any:
    """Parse what the environment gives as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError('expected a JSON object such as {"ministral-3b-latest": "fast"}') from None


class Settings(BaseModel):
    """Everything a deployment sets; each field is the variable MODWRIGHT_<NAME>."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    home: Path = Field(
        default_factory=lambda: Path.home() / ".modwright", description="Folder of everything local."
    )
    cache: Path | None = Field(default=None, description="Folder of downloads; <home>/cache when not set.")
    database: str | None = Field(
        default=None,
        repr=False,  # it may hold a password
        description="URL of the database, postgresql://… or sqlite:///…; <home>/modwright.db when not set.",
    )
    storage: str | None = Field(
        default=None,
        description="Where files and models are kept: a folder, or s3://BUCKET/PREFIX; <home> when not set.",
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="What secrets of jobs are encrypted with, 32 characters or more; several with commas "
        "between, the first for new ones. <home>/secret.key, made once, when not set.",
    )
    url: str | None = Field(
        default=None,
        description="Address of the server that the client and the commands `files`, `jobs` and `models` ask; "
        "the one of MODWRIGHT_HOST and MODWRIGHT_PORT when not set.",
    )
    key: SecretStr | None = Field(default=None, description="API key that they send to it.")
    default_model: str | None = Field(
        default=None, description="Model that answers requests which name none."
    )
    host: str = Field(default="127.0.0.1", description="Address the server listens on.")
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port the server listens on; 0 takes a free one."
    )
    max_body_bytes: int = Field(default=10_000_000, ge=1_000, description="Largest request body.")
    max_upload_bytes: int = Field(
        default=2_000_000_000, ge=1_000, description="Largest body of an upload of a file."
    )
    upload_invalid_sample_skip_percentage: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="Share of an uploaded file's records that may be wrong where the upload does not say; "
        "a job on the file must tolerate as many.",
    )
    max_headers: int = Field(default=100, ge=10, description="Most headers of one request.")
    max_json_depth: int = Field(
        default=32, ge=16, le=200, description="Deepest nesting of lists and objects in a body."
    )
    requests_per_minute: int = Field(
        default=0, ge=0, description="Requests a key may make per minute for each scope; 0 sets no limit."
    )
    stall_timeout_s: float = Field(
        default=30.0, gt=0, description="Seconds without a byte of a request that is still being sent."
    )
    max_request_s: float = Field(
        default=300.0, gt=0, description="Seconds a request may take from its head to its answer."
    )
    max_transfer_s: float = Field(
        default=7_200.0, gt=0, description="The same for the upload or download of a file, or of a model."
    )
    job_workers: int = Field(
        default=1, ge=0, le=1_000, description="Workers that `serve` starts beside the server; 0 starts none."
    )
    lease_s: float = Field(
        default=30.0,
        gt=0,
        description="Seconds after which the job of a worker that says nothing goes to another.",
    )
    max_attempts: int = Field(
        default=3, ge=1, description="Times that a job's work is begun before it fails for good."
    )
    price_per_hour: float = Field(
        default=0.0, ge=0, description="What an hour of training costs; jobs show their expected cost by it."
    )
    price_currency: str = Field(
        default="EUR", min_length=3, max_length=3, description="Currency of that price, three letters."
    )
    wandb_mode: Literal["online", "offline"] = Field(
        default="online",
        description="Whether jobs that ask for Weights & Biases send figures there, or write them beside their run.",
    )
    job_aliases: Annotated[dict[str, str], BeforeValidator(_from_json)] = Field(
        default_factory=dict,
        description="JSON object: names that jobs may ask for as `model`, each to a shipped recipe, a base of the "
        "catalog or the path of a recipe; laid over the names of hosted models, which stand for `balanced`.",
    )
    max_inputs: int = Field(default=1_024, ge=1, description="Most inputs in one request.")
    max_input_chars: int = Field(default=1_000_000, ge=100, description="Most characters in one input.")
    max_queue_chars: int = Field(
        default=20_000_000, ge=1_000, description="Characters waiting to be scored, at most."
    )
    max_batch_chars: int = Field(
        default=64_000, ge=100, description="Characters handed to the model at once."
    )
    request_timeout_s: float = Field(
        default=60.0, gt=0, description="Seconds a request may wait for its scores."
    )
    max_unpacked_bytes: int = Field(
        default=50_000_000_000,
        ge=1_000,
        description="Most bytes a compressed data file may unpack to.",
    )
    max_loaded_models: int = Field(
        default=8,
        ge=1,
        description="Trained models in memory at once, at most; the least recently used one gives way.",
    )
    threads: int = Field(
        default=0, ge=0, description="Threads of the model; 0 takes every core this process may use."
    )

    @property
    def cache_dir(self) -> Path:
        """Return the folder of downloads."""
        return self.cache if self.cache is not None else self.home / "cache"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    An empty value means that a variable is not set.

    Raises:
        SettingsError: an unknown MODWRIGHT_ variable (the nearest is named) or a value that does not fit.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, str] = {}
    for key, value in environ.items():
        if not key.startswith(_PREFIX) or key.startswith(_OF_THE_TESTS):
            continue
        name = key.removeprefix(_PREFIX).lower()
        if name not in Settings.model_fields:
            known = [_PREFIX + field.upper() for field in Settings.model_fields]
            raise SettingsError(f"unknown variable {key}", remedy=nearest(key, known))
        if value:  # compose files write MODWRIGHT_CACHE= for what is not set
            values[name] = value
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = _PREFIX + str(first["loc"][0]).upper()
        raise SettingsError(f"{name} is {first['input']!r}: {first['msg']}") from None
    except RuntimeError:
        raise SettingsError("this user has no home folder", remedy="set MODWRIGHT_HOME to a folder") from None
    folders = {"home": settings.home, "cache": settings.cache}
    absolute = {name: path and _absolute(name, path) for name, path in folders.items()}
    return settings.model_copy(update=absolute)


def _absolute(name: str, path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        message = f"{_PREFIX}{name.upper()} is '{path}': there is no such user"
        raise SettingsError(message, remedy="give a folder's path") from None
