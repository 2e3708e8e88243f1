"""The model card: what a model is, what it was trained on, what it can and cannot do, in one Markdown page."""

from __future__ import annotations

from collections.abc import Mapping

from modwright.artifact import Artifact, BaseIdentity
from modwright.evaluation.decisions import Decisions
from modwright.evaluation.metrics import SplitEvaluation
from modwright.evaluation.report_forms import told_figures
from modwright.pipeline.card_decisions import answers
from modwright.recipe import Recipe
from modwright.render.markdown import plain
from modwright.schema import Schema
from modwright.training.fitted import CALIBRATION, HELD_OUT, OUT_OF_FOLD, VALIDATION

_UNSEEN = {
    OUT_OF_FOLD: "training rows, each scored by fits that had not seen it",
    HELD_OUT: "a part of the training rows that was held out, scored by a fit that had not seen it",
    VALIDATION: "rows that the model was not fitted to",
    CALIBRATION: "the dataset's rows for calibration, which the model was not fitted to",
}
_LIMITS = """\
## Limits

- It judges text alone: not images, links, or who is speaking to whom.
- Scores are calibrated on rows like those it was trained on. Where the share of harmful texts differs, so does what a
  score means; look at the flagged proportion on your own traffic before acting on it.
- A label marked "not enough evidence" has too few examples to say how good it is. Treat its flags as hints.
- Use it to help people decide. It was not shown to be fair across dialects, languages or groups.
"""


def model_card(
    name: str,
    schema: Schema,
    bases: tuple[BaseIdentity, ...],
    recipe: Recipe,
    rows: Mapping[str, int],
    evaluations: Mapping[str, SplitEvaluation],
    decisions: Decisions,
    unseen: str,
) -> str:
    """Return the card as Markdown; every figure comes from the evaluation it is given.

    `unseen` is the name under which the rows stand that calibration and thresholds were chosen on.
    """
    parts = [
        f"# {plain(name)}",
        "A text moderation classifier, trained with modwright.",
        "## What it answers",
        *answers(schema, decisions, plain),
        "## How good it is",
        *told_figures(schema, evaluations),
        f"`{unseen}` are {_UNSEEN[unseen]}; calibration, thresholds and what else was chosen was chosen on them, so they "
        "flatter a little. Intervals and curves: `metrics.json` and `modwright evaluate`.",
        "## Made from",
        *_bases(bases),
        *[f"- {count:,} rows of the split `{plain(split)}`" for split, count in rows.items()],
        f"- family `{recipe.family}`, seed {recipe.seed}; the whole recipe is in `recipe.toml`",
        _LIMITS,
    ]
    return "\n\n".join(in_blocks(parts))


def decided_card(
    name: str,
    artifact: Artifact,
    family: str,
    evaluations: Mapping[str, SplitEvaluation],
    decisions: Decisions,
    split: str,
) -> str:
    """Return the card of a model whose decisions were chosen anew on a split; `artifact` is the one before."""
    parts = [
        f"# {plain(name)}",
        f"A text moderation classifier: the model `{artifact.id[:16]}`, its decisions chosen anew on labelled rows.",
        "## What it answers",
        *answers(artifact.schema, decisions, plain),
        "## How good it is",
        *told_figures(artifact.schema, evaluations),
        f"Calibration, thresholds and review band were chosen on `{plain(split)}`, so these figures flatter. "
        "`modwright evaluate` measures it on rows that nothing was chosen on.",
        "## Made from",
        f"- the artifact `{artifact.id}`, family `{family}`; its own card says what it learned from",
        *_bases(artifact.bases),
        _LIMITS,
    ]
    return "\n\n".join(in_blocks(parts))


def _bases(bases: tuple[BaseIdentity, ...]) -> list[str]:
    return [
        f"- base `{plain(base.name)}`, licence {plain(base.licence)}, weights sha256 `{base.weights_sha256[:16]}…`"
        for base in bases
    ]


def in_blocks(parts: list[str]) -> list[str]:
    """Put list items that follow each other into one block."""
    blocks: list[str] = []
    for part in parts:
        if part.startswith("- ") and blocks and blocks[-1].startswith("- "):
            blocks[-1] += "\n" + part
        else:
            blocks.append(part)
    return blocks
