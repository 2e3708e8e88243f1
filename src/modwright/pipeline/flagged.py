"""Answers of several models before several judges: how often each flags each, and how far the judges agree.

The published evaluation of QA-moderation shows it so: a bar per model and judge, and the judges' agreement beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modwright.data.columnar import pl
from modwright.data.dataset import contents, inputs
from modwright.data.inputs import require_column
from modwright.data.options import Meaning, Reading
from modwright.data.problems import Problems
from modwright.data.records import read_records
from modwright.data.tables import FileRows
from modwright.errors import DataError, UsageError
from modwright.evaluation.agreement import Agreement, agreements, flagged_proportion
from modwright.evaluation.resampling import LEVEL, RESAMPLES, SEED, Interval
from modwright.evaluation.results import MIN_EVIDENCE
from modwright.files import write_text_atomic
from modwright.pipeline.comparing import _free
from modwright.pipeline.flagged_table import markdown
from modwright.pipeline.judges import Judge, JudgeOptions, Verdicts, open_judge
from modwright.render.proportions import Share, draw_proportions, require_matplotlib
from modwright.render.words import shortened
from modwright.schema import Input
from modwright.settings import Settings

JSON_FILE, TABLE_FILE, PICTURES = "flagged.json", "flagged.md", ("flagged.svg", "flagged.png")
#: The one model of files that name none.
ALL = "all answers"
#: Characters of a judge's name that a complaint repeats.
_MOST_NAME = 80


@dataclass(frozen=True, slots=True)
class FlaggedOptions:
    """What is judged and by whom.

    Attributes:
        sources: files of answers; with several and no `model_column`, each file's name is its model, with as much of its
            path as tells files of one name apart.
        judges: as `judges.judge` takes them, in the order of the table.
        model_column: who gave the answer.
        meaning: which columns hold the text, or prompt and response.
        resamples, seed: of kappa's intervals.
    """

    sources: tuple[Path, ...]
    judges: tuple[str, ...]
    model_column: str | None = None
    meaning: Meaning = field(default_factory=Meaning)
    reading: Reading = field(default_factory=Reading)
    asking: JudgeOptions = field(default_factory=JudgeOptions)
    resamples: int = RESAMPLES
    seed: int = SEED


@dataclass(frozen=True, slots=True)
class Flagged:
    """What was found.

    Attributes:
        models: answering models in order of first sight, with their rows.
        judges: in the order they were named.
        proportions: model to judge to the share it flags of the answers it judged.
        agreements: model, and `ALL` for all rows together, to every two judges.
        groups: distinct prompts, or texts; intervals take their rows for one.
    """

    models: Mapping[str, int]
    judges: Sequence[Verdicts]
    proportions: Mapping[str, Mapping[str, Interval]]
    agreements: Mapping[str, Sequence[Agreement]]
    groups: int
    resamples: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return everything, no text among it."""
        return {
            "models": dict(self.models),
            "judges": {
                found.name: {
                    "is": found.what,
                    "unknown": int(np.isnan(found.flagged).sum()),
                    "failures": dict(found.failures),
                }
                for found in self.judges
            },
            "flagged": {
                model: {name: interval.to_json() for name, interval in by_judge.items()}
                for model, by_judge in self.proportions.items()
            },
            "agreement": {
                model: [pair.to_json() for pair in found] for model, found in self.agreements.items()
            },
            "settings": {
                "level": LEVEL,
                "proportions": "Wilson interval of as many independent rows as vary like the groups",
                "kappa": "percentile bootstrap over groups",
                "groups": self.groups,
                "resamples": self.resamples,
                "seed": self.seed,
                "min_evidence": MIN_EVIDENCE,
            },
        }


@dataclass(frozen=True, slots=True)
class _Answers:
    """The rows of all files: inputs, who answered, the prompt they share, and the other columns, (N,) each."""

    inputs: Sequence[Input]
    models: Sequence[str]
    groups: Sequence[str]
    columns: pl.DataFrame


def flagged(
    options: FlaggedOptions,
    out: Path,
    settings: Settings,
    progress: Callable[[str, int, int], None] | None = None,
) -> Flagged:
    """Let every judge judge every answer; write flagged.json, flagged.md and the bar plot.

    Files, columns, judges and what draws the plot are looked at before any judge is asked: those over HTTP may cost money.

    Raises:
        UsageError, NotFoundError, DataError: a file, column or judge that cannot be used.
        ArtifactError: an artifact that cannot be loaded.
        MissingExtraError: matplotlib, or httpx for a judge over HTTP, is not installed.
    """
    if out.exists() and not out.is_dir():
        raise UsageError("is a file, a folder is written", where=str(out), remedy="name another --out")
    if not options.judges or len(set(options.judges)) < len(options.judges):
        raise _not_each_once(options.judges)
    require_matplotlib()
    answers = _read(options)
    verdicts = _judged(options, answers, settings, progress)
    found = measured(answers.models, answers.groups, verdicts, options.resamples, options.seed)
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    write_text_atomic(out / JSON_FILE, text + "\n")
    write_text_atomic(out / TABLE_FILE, markdown(found))
    draw(found, [out / name for name in PICTURES])
    return found


def _judged(
    options: FlaggedOptions,
    answers: _Answers,
    settings: Settings,
    progress: Callable[[str, int, int], None] | None,
) -> list[Verdicts]:
    """Open all judges, number those of equal names, then ask one after the other."""
    judges: list[Judge] = []
    with ExitStack() as opened:
        for spec in options.judges:
            judge = open_judge(spec, answers.columns, settings, options.asking)
            opened.callback(judge.close)
            judge.name = _free(judge.name, {other.name for other in judges})
            judges.append(judge)
        return [judge.verdicts(answers.inputs, progress) for judge in judges]


def _not_each_once(judges: Sequence[str]) -> UsageError:
    names = ", ".join(shortened(name, _MOST_NAME) for name in judges) or "none"
    return UsageError(f"the judges are {names}", where="--judge", remedy="name at least one, each once")


def measured(
    models: Sequence[str],
    groups: Sequence[str],
    verdicts: Sequence[Verdicts],
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Flagged:
    """Measure verdicts, (N,) each, of answers given by models and grouped by what they answer.

    Raises:
        UsageError: no judge, or two of one name.
    """
    by_name = {found.name: found.flagged for found in verdicts}
    if not by_name or len(by_name) < len(verdicts):
        raise _not_each_once([found.name for found in verdicts])
    who = np.asarray(models)
    parts = {model: np.flatnonzero(who == model).tolist() for model in dict.fromkeys(models)}
    proportions, agreed = {}, {}
    for model, rows in parts.items():
        mine, own = {name: values[rows] for name, values in by_name.items()}, [groups[row] for row in rows]
        proportions[model] = {name: flagged_proportion(values, own) for name, values in mine.items()}
        agreed[model] = agreements(mine, own, resamples=resamples, seed=seed)
    if len(parts) > 1:
        agreed[_all_name(parts)] = agreements(by_name, list(groups), resamples=resamples, seed=seed)
    return Flagged(
        models={model: len(rows) for model, rows in parts.items()},
        judges=tuple(verdicts),
        proportions=proportions,
        agreements=agreed,
        groups=len(set(groups)),
        resamples=resamples,
        seed=seed,
    )


def _all_name(taken: Mapping[str, Any]) -> str:
    return ALL if ALL not in taken else f"{ALL} together"


def draw(found: Flagged, paths: Sequence[Path]) -> None:
    """Write the bar plot; raises MissingExtraError where matplotlib is not installed."""
    shares = {
        model: {name: _share(interval) for name, interval in by_judge.items()}
        for model, by_judge in found.proportions.items()
    }
    lines = {
        model: {f"{pair.one} – {pair.other}": _share(pair.agreement) for pair in found.agreements[model]}
        for model in found.models
    }
    draw_proportions(shares, lines, "Flagged proportion per answering model and judge", paths)


def _share(interval: Interval) -> Share:
    return Share(interval.value, interval.low, interval.high)


def _read(options: FlaggedOptions) -> _Answers:
    problems, read = Problems(), []
    for source in options.sources:
        rows = read_records(str(source), options.reading, options.meaning, problems)
        if rows is not None:
            read.append((source, rows))
    problems.raise_any()
    names = _file_names(options)
    models = [model for source, rows in read for model in _models(names[source], rows, options)]
    frame = pl.concat([rows.inputs.select("text", "messages") for _, rows in read])
    columns = pl.concat([rows.columns for _, rows in read], how="diagonal_relaxed")
    if not len(frame):
        raise DataError("there are no answers", file=str(options.sources[0]))
    return _Answers(inputs(frame), models, _groups(frame), columns)


def _file_names(options: FlaggedOptions) -> dict[Path, str]:
    """Return what tells the files apart, each the model of its answers: of their paths as little as does it.

    Raises:
        UsageError: a file is given twice.
    """
    paths = {source: source.absolute() for source in options.sources}
    if len({path.resolve() for path in paths}) < len(options.sources):
        names = ", ".join(str(source) for source in options.sources)
        raise UsageError(f"the files are {names}", remedy="give each once")
    if len(paths) == 1:
        return dict.fromkeys(paths, ALL)
    stems = {source: path.stem for source, path in paths.items()}
    if len(set(stems.values())) == len(paths):
        return stems
    for last in range(1, max(len(path.parts) for path in paths.values()) + 1):
        told = {source: "/".join(path.parts[-last:]) for source, path in paths.items()}
        if len(set(told.values())) == len(paths):
            break
    return told


def _models(name: str, rows: FileRows, options: FlaggedOptions) -> list[str]:
    """Return who gave each answer; without a column of that, the file's name."""
    if options.model_column is None:
        return [name] * len(rows)
    require_column(options.model_column, rows.columns.columns, rows.name, "--model-column")
    given = rows.columns.get_column(options.model_column).to_list()
    for place, value in enumerate(given):
        if value is None or not str(value).strip():
            raise DataError(
                "names no model", file=rows.name, line=rows.line(place), field=options.model_column
            )
    return [str(value).strip() for value in given]


def _groups(frame: pl.DataFrame) -> list[str]:
    """Return (N,) what each row answers: all turns before the last; of a text alone, the text."""
    turns = pl.col("messages")
    before = frame.select(
        pl.lit("").alias("text"),
        messages=pl.when(turns.list.len() > 1).then(turns.list.head(turns.list.len() - 1)),
    )
    asked, whole = contents(before).to_list(), contents(frame).to_list()
    return [one or other for one, other in zip(asked, whole, strict=True)]
