"""Who says whether an answer is flagged: a column of the file, an artifact, a server, a prompted LLM."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from modwright.artifact import MANIFEST
from modwright.data.columnar import pl
from modwright.errors import DataError, NotFoundError, UsageError, nearest
from modwright.evaluation.thresholds import flags
from modwright.pipeline.against.answers import Other
from modwright.pipeline.against.local import CHUNK
from modwright.pipeline.against.specs import AgainstOptions, is_remote, open_other
from modwright.pipeline.against.wire import WireOptions
from modwright.schema import FloatArray, Input, Schema, Target, TargetKind
from modwright.serving.engine import DEFAULT_OPERATING_POINT, Engine
from modwright.settings import Settings

#: What a prompted LLM and a server are asked where a file says nothing of labels.
HARMFUL = Schema((Target.create("moderation", TargetKind.MULTI_LABEL, ("harmful",)),))
_YES = frozenset({"1", "true", "yes", "flagged", "harmful", "unsafe"})
_NO = frozenset({"0", "false", "no", "unflagged", "not flagged", "unharmful", "harmless", "safe"})
_HALF = 0.5
_SHOWN = 12
#: Characters of a word that a complaint repeats.
_LONGEST = 200

#: Told who judges, how many of how many answers are judged.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """How judges are asked.

    Attributes:
        operating_point: of artifacts.
        target: of artifacts, whose flags count; None counts those of every target that may flag nothing.
        wire: for those over HTTP.
        labels: what those over HTTP are asked for; a text is flagged where one of them holds.
    """

    operating_point: str = DEFAULT_OPERATING_POINT
    target: str | None = None
    wire: WireOptions = field(default_factory=WireOptions)
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What one judge says of N answers.

    Attributes:
        what: what the judge is, and what it means by flagged.
        flagged: (N,) 1 flagged, 0 not, NaN unknown.
        failures: how many rows a judge over HTTP gave no answer for, by kind; they are unknown.
    """

    name: str
    what: str
    flagged: FloatArray
    failures: Mapping[str, int] = field(default_factory=dict)


class Judge(Protocol):
    """One who says of answers whether they are flagged; ready, and asked nothing yet.

    Attributes:
        name: what the tables call it; may be set until it is asked.
    """

    name: str

    def verdicts(self, inputs: Sequence[Input], progress: Progress | None = None) -> Verdicts:
        """Judge N answers.

        Raises:
            UsageError: it judges none of the labels it was asked for.
        """
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


def open_judge(spec: str, columns: pl.DataFrame, settings: Settings, options: JudgeOptions) -> Judge:
    """Return the judge that a word stands for, once all is known to be there that it needs.

    Args:
        spec: the folder of an artifact; `COLUMN`, whose values are yes or no or a number (flagged above one half);
            `COLUMN=VALUE,VALUE`, the values that mean flagged; `[MODEL@]https://HOST`; or `llm:MODEL@URL`.
        columns: the file's other columns, (N,) each.

    Raises:
        UsageError, NotFoundError, SchemaError, DataError: there is no such judge, it has nothing to flag, or its column
            says neither yes nor no.
        ArtifactError: an artifact that cannot be loaded.
        MissingExtraError: httpx is not installed.
    """
    if is_remote(spec):
        return _Remote.of(spec, settings, options)
    if _is_artifact(spec):
        return _Artifact.of(Path(spec), settings, options)
    name, equals, values = spec.partition("=")
    if spec in columns.columns:  # a column may have '=' in its name
        name, equals = spec, ""
    if name not in columns.columns:
        raise NotFoundError(
            f"'{name[:_LONGEST]}' is neither an artifact's folder nor a column",
            where="--judge",
            remedy=nearest(name[:_LONGEST], columns.columns),
        )
    series = columns.get_column(name)
    return _Column(name, *(_listed(name, series, values) if equals else _plain(name, series)))


def _is_artifact(spec: str) -> bool:
    try:
        return (Path(spec) / MANIFEST).is_file()
    except (OSError, ValueError):  # longer than a name can be
        return False


@dataclass(slots=True)
class _Column:
    """A column of the file.

    Attributes:
        flagged: (N,) 1 flagged, 0 not, NaN unknown.
    """

    name: str
    what: str
    flagged: FloatArray

    def verdicts(self, inputs: Sequence[Input], progress: Progress | None = None) -> Verdicts:
        return Verdicts(self.name, self.what, self.flagged)

    def close(self) -> None:
        pass


@dataclass(slots=True)
class _Artifact:
    """A model of our own.

    Attributes:
        targets: those whose flags count.
    """

    name: str
    engine: Engine
    targets: Sequence[Target]
    operating_point: str

    @classmethod
    def of(cls, folder: Path, settings: Settings, options: JudgeOptions) -> _Artifact:
        engine = Engine.load(folder, threads=settings.threads, bulk=True)
        engine.operating_point(options.operating_point)
        named = [engine.schema.target(options.target)] if options.target else list(engine.schema)
        targets = [target for target in named if target.asks_for_flag]
        if not targets:
            names = " and ".join(f"'{target.name}'" for target in named)
            raise UsageError(
                f"{names} of {folder}: every text gets one of the labels, and none says that nothing is wrong",
                where="--judge",
                remedy="name a target that may flag nothing with --target, or another judge",
            )
        return cls(folder.resolve().name, engine, targets, options.operating_point)

    def verdicts(self, inputs: Sequence[Input], progress: Progress | None = None) -> Verdicts:
        point, parts = self.engine.operating_point(self.operating_point), []
        for begin in range(0, len(inputs), CHUNK):
            scores = self.engine.calibrated(inputs[begin : begin + CHUNK]).values
            flagged = [
                flags(target, scores[target.name], point.thresholds[target.name]).any(axis=1)
                for target in self.targets
            ]
            parts.append(np.any(flagged, axis=0))
            if progress is not None:
                progress(self.name, min(begin + CHUNK, len(inputs)), len(inputs))
        asked = ", ".join(target.name for target in self.targets)
        what = f"artifact {self.engine.id[:16]}: any flag of {asked} at the operating point '{self.operating_point}'"
        return Verdicts(self.name, what, np.concatenate(parts).astype(np.float64))

    def close(self) -> None:
        pass


@dataclass(slots=True)
class _Remote:
    """A server, or a prompted LLM."""

    name: str
    other: Other
    target: Target

    @classmethod
    def of(cls, spec: str, settings: Settings, options: JudgeOptions) -> _Remote:
        schema = HARMFUL
        if options.labels:
            schema = Schema((Target.create("moderation", TargetKind.MULTI_LABEL, options.labels),))
        target = next(iter(schema))
        if not target.asks_for_flag:
            raise UsageError(
                f"{', '.join(target.labels)} is never flagged", where="--judge-label", remedy="name another"
            )
        other = open_other(spec, schema, settings, AgainstOptions(options.wire))
        return cls(other.name, other, target)

    def verdicts(self, inputs: Sequence[Input], progress: Progress | None = None) -> Verdicts:
        told = None if progress is None else lambda done, total: progress(self.name, done, total)
        answers = self.other.answer(inputs, told)
        asked = self.target.flaggable
        judged = answers.covered[self.target.name]
        known = asked if answers.failed.all() else [one for one in asked if judged[self.target.index(one)]]
        if not known:
            raise UsageError(
                f"{self.name} judges none of {', '.join(asked)}",
                where="--judge",
                remedy="name its labels with --judge-label",
            )
        columns = [self.target.index(label) for label in known]
        flagged = answers.flags[self.target.name][:, columns].any(axis=1).astype(np.float64)
        what = f"{self.other.what}: any of {', '.join(known)}"
        if unknown := [label for label in asked if label not in known]:
            what += f"; does not judge {', '.join(unknown)}"
        return Verdicts(self.name, what, np.where(answers.failed, np.nan, flagged), answers.counted)

    def close(self) -> None:
        self.other.close()


def _listed(name: str, series: pl.Series, given: str) -> tuple[str, FloatArray]:
    """Read a column of which some values mean flagged: what it means and (N,) verdicts; an empty cell is unknown."""
    flagging = [value.strip() for value in given.split(",")]
    texts = _texts(series)
    found = {text for text in texts if text is not None}
    for value in flagging:
        if value not in found:
            raise DataError(
                f"no row says '{value}'", field=name, remedy=nearest(value, sorted(found)[:_SHOWN])
            )
    verdicts = [np.nan if text is None else float(text in flagging) for text in texts]
    return f"column: {', '.join(flagging)}", np.array(verdicts)


def _plain(name: str, series: pl.Series) -> tuple[str, FloatArray]:
    """Read a column of yes and no, or of numbers: what it means and (N,) verdicts; an empty cell is unknown."""
    if series.dtype.is_numeric():
        values = series.cast(pl.Float64).fill_null(np.nan).to_numpy()
        return "column: above 0.5", np.where(np.isnan(values), np.nan, values > _HALF)
    texts = [None if text is None else text.casefold() for text in _texts(series)]
    found = {text for text in texts if text is not None}
    if found <= _YES | _NO:
        verdicts = [np.nan if text is None else float(text in _YES) for text in texts]
        return "column: yes or no", np.array(verdicts)
    numbers = [_number(text) for text in texts]
    if any(number is None for number in numbers):
        shown = ", ".join(sorted(found)[:_SHOWN]) + ("…" if len(found) > _SHOWN else "")
        raise DataError(
            f"holds {len(found)} different values ({shown[:300]}), expected yes and no or numbers",
            field=name,
            remedy=f"say which mean flagged: --judge '{name}=VALUE,VALUE'",
        )
    values = np.array(numbers, dtype=np.float64)
    return "column: above 0.5", np.where(np.isnan(values), np.nan, values > _HALF)


def _texts(series: pl.Series) -> list[str | None]:
    """Return the cells as stripped text, None where empty."""
    stripped = (None if value is None else str(value).strip() for value in series.to_list())
    return [text or None for text in stripped]


def _number(text: str | None) -> float | None:
    """Return a number, NaN for an empty cell, None for anything else."""
    if text is None:
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
