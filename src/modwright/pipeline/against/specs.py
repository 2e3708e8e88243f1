"""From the word on a command line to the model to compare with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from modwright.artifact import MANIFEST, read_artifact
from modwright.errors import UsageError, nearest
from modwright.pipeline.against.answers import Other
from modwright.pipeline.against.endpoint import Endpoint
from modwright.pipeline.against.local import ArtifactOther, Majority
from modwright.pipeline.against.origin import split_url
from modwright.pipeline.against.prompted import Prompted
from modwright.pipeline.against.tfidf import Tfidf
from modwright.pipeline.against.wire import Wire, WireOptions
from modwright.schema import Schema
from modwright.serving.engine import Engine
from modwright.settings import Settings
from modwright.training.rows import TrainingRows

_LLM = "llm:"
#: Baselines that are fitted on the training split.
_FITTED: Mapping[str, Callable[[Schema, TrainingRows], Other]] = {"majority": Majority, "tfidf": Tfidf}


@dataclass(frozen=True, slots=True)
class AgainstOptions:
    """How others are asked.

    Attributes:
        wire: for those over HTTP.
        renames: an endpoint's label to ours.
        most_rows: of each split that those over HTTP are asked for, drawn at random; None asks for all.
    """

    wire: WireOptions = field(default_factory=WireOptions)
    renames: Mapping[str, str] = field(default_factory=dict)
    most_rows: int | None = None


def open_other(
    spec: str,
    schema: Schema,
    settings: Settings,
    options: AgainstOptions,
    training: Callable[[], TrainingRows] | None = None,
) -> Other:
    """Return the model that a word stands for.

    Args:
        spec: the folder of an artifact, `majority`, `tfidf`, `[MODEL@]http(s)://HOST[/PATH]`, or `llm:MODEL@URL`.
        schema: whose labels it shall answer with.
        training: gives the rows that baselines are fitted on; None where there are none.

    Raises:
        UsageError, NotFoundError, ArtifactError: it stands for nothing, or does not fit.
        MissingExtraError: scikit-learn or httpx is not installed.
    """
    if is_remote(spec):
        return _remote(spec, schema, options)
    if (Path(spec) / MANIFEST).is_file():
        engine = Engine.load(Path(spec), threads=settings.threads, bulk=True)
        return ArtifactOther(_folder_name(Path(spec)), engine, schema)
    fitted = _baseline(spec)
    if training is None:
        raise _no_rows(spec)
    return fitted(schema, training())


def check_other(spec: str, schema: Schema, options: AgainstOptions, *, has_training: bool) -> None:
    """Raise what `open_other` would, as far as the word, its variables and its files alone tell it.

    Args:
        schema: any; whether labels fit is known only when it is opened.
        has_training: whether there are rows that baselines can be fitted on.
    """
    if is_remote(spec):
        _remote(spec, schema, replace(options, renames={})).close()
    elif (Path(spec) / MANIFEST).is_file():
        read_artifact(Path(spec))
    else:
        _baseline(spec)
        if not has_training:
            raise _no_rows(spec)


def _baseline(spec: str) -> Callable[[Schema, TrainingRows], Other]:
    if spec not in _FITTED:
        raise UsageError(
            f"'{spec}' is neither an artifact's folder nor a baseline",
            remedy=f"{nearest(spec, _FITTED)}; or [MODEL@]https://HOST, llm:MODEL@URL",
        )
    return _FITTED[spec]


def _no_rows(spec: str) -> UsageError:
    return UsageError(f"'{spec}' is fitted on training rows, and there are none", remedy="name another")


def is_remote(spec: str) -> bool:
    """Return whether a word stands for something that is asked over HTTP."""
    return spec.startswith(_LLM) or "://" in spec


def _folder_name(folder: Path) -> str:
    return folder.name or folder.resolve().name


def _remote(spec: str, schema: Schema, options: AgainstOptions) -> Other:
    model, url = _model_and_url(spec.removeprefix(_LLM))
    host = urlsplit(split_url(url)[0]).netloc
    name = f"{model}@{host}" if model else host
    if not spec.startswith(_LLM):
        return Endpoint(name, schema, Wire(url, options.wire), model, options.renames)
    if model is None:
        raise UsageError(f"'{spec[:200]}' names no model", remedy="write llm:MODEL@URL")
    return Prompted(name, schema, Wire(url, options.wire), model)


def _model_and_url(text: str) -> tuple[str | None, str]:
    """Part MODEL@URL where the last address begins; a model's name may hold '@' and '/'."""
    begin = max(text.rfind("https://"), text.rfind("http://"))
    if begin <= 0:
        return None, text
    if text[begin - 1] != "@":
        raise UsageError(
            f"'{text[:200]}' is no MODEL@URL", remedy="write such as llm:MODEL@http://127.0.0.1:8000"
        )
    return text[: begin - 1] or None, text[begin:]
