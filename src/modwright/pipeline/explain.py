"""Texts and a model in, the words that moved its scores out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modwright.errors import SchemaError, UsageError, nearest
from modwright.evaluation.explain import SCORINGS, explain
from modwright.evaluation.marking import Explained, explanation_page
from modwright.files import write_text_atomic
from modwright.pipeline.predict import Line, read_lines
from modwright.schema import Schema, text_input
from modwright.serving.engine import DEFAULT_OPERATING_POINT, Engine, Judgement

PAGE = "explain.html"
LINES = "explain.jsonl"
#: Lines of a file that are explained, unless told otherwise.
LIMIT = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be explained.

    Attributes:
        labels: ``label`` or ``target/label``; without any, per target those that are flagged, else the one nearest to it.
        operating_point: that says what is flagged.
        scorings: at most about so many inputs are scored per text.
    """

    labels: tuple[str, ...] = ()
    operating_point: str = DEFAULT_OPERATING_POINT
    scorings: int = SCORINGS


def lines_of(source: str, limit: int = LIMIT) -> list[Line]:
    """Return what is to be explained: the first lines of a JSONL file of that name if there is one, else the text itself.

    Raises:
        DataError: a malformed line.
        UsageError: what looks like a file's name, and is none.
    """
    try:
        is_file = Path(source).is_file()
    except (OSError, ValueError):  # longer than a name can be, or a NUL: a text
        is_file = False
    if is_file:
        return [line for line, _ in zip(read_lines(Path(source)), range(limit), strict=False)]
    if source.endswith(".jsonl"):
        raise UsageError(
            "there is no such file", where=source, remedy="name a JSONL file, or give the text itself"
        )
    return [Line("text", text_input(source))]


def explained(engine: Engine, lines: Iterable[Line], asked: Asked) -> Iterator[Explained]:
    """Yield an explanation per input, in order.

    Raises:
        SchemaError: a label that the model does not have.
        NotFoundError: no such operating point.
    """
    labels = _labels(engine.schema, asked.labels)
    engine.operating_point(asked.operating_point)
    for line in lines:
        judgement = engine.judge([line.input], asked.operating_point)[0]
        found = explain(
            line.input,
            engine.schema,
            lambda inputs: engine.classifier.predict_proba(inputs).values,
            engine.calibrate,
            labels or _telling(engine, judgement, asked.operating_point),
            scorings=asked.scorings,
        )
        yield Explained(str(line.id), found, tuple(_flagged(judgement)))


def write_explanations(out: Path, title: str, found: Sequence[Explained]) -> tuple[Path, Path]:
    """Write explain.html and explain.jsonl into a folder, made if needed; returns both paths.

    Raises:
        UsageError: `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise UsageError("is a file, a folder is needed", where=str(out), remedy="name another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_text_atomic(out / PAGE, explanation_page(title, found))
    lines = [json.dumps(explained_json(one), ensure_ascii=False, allow_nan=False) + "\n" for one in found]
    write_text_atomic(out / LINES, "".join(lines))
    return out / PAGE, out / LINES


def explained_json(found: Explained) -> dict[str, Any]:
    """Return one input's explanation as JSON-ready data."""
    flags: dict[str, list[str]] = {}
    for target, label in found.flags:
        flags.setdefault(target, []).append(label)
    return {"id": found.name, "flags": flags, **found.explanation.to_json()}


def _labels(schema: Schema, wanted: Sequence[str]) -> list[tuple[str, str]]:
    known = [(target.name, label) for target in schema for label in target.labels]
    found = []
    for name in wanted:
        matching = [pair for pair in known if name in (pair[1], f"{pair[0]}/{pair[1]}")]
        if not matching:
            options = [f"{target}/{label}" for target, label in known]
            raise SchemaError(f"the model has no label '{name}'", remedy=nearest(name, options))
        found += [pair for pair in matching if pair not in found]
    return found


def _flagged(judgement: Judgement) -> Iterator[tuple[str, str]]:
    for target, answer in judgement.targets.items():
        for label in answer.flags:
            yield target, label


def _telling(engine: Engine, judgement: Judgement, operating_point: str) -> list[tuple[str, str]]:
    """Return the flagged labels of every target; where none is, the flaggable one nearest to its threshold."""
    thresholds = engine.operating_point(operating_point).thresholds
    found = []
    for target in engine.schema:
        answer = judgement.targets[target.name]
        labels = answer.flags
        if not labels:
            margins = {
                label: answer.scores[label] - thresholds[target.name].get(label, 0.0)
                for label in target.flaggable or target.labels
            }
            labels = (max(margins, key=lambda label: margins[label]),)
        found += [(target.name, label) for label in labels]
    return found
