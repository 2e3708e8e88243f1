"""The checks of a dataset, with what only models can tell: token counts, and scores of rows they have not seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modwright.catalog import Progress, fetch_base
from modwright.data.checks import Finding, TokenCounts, check_dataset, gravest_first, label_errors
from modwright.data.columnar import pl
from modwright.data.dataset import Dataset
from modwright.errors import RecipeError
from modwright.files import write_text_atomic
from modwright.models.features import Progress as EmbeddingProgress
from modwright.models.tokens import TOKENIZER_FILE, Tokenizer
from modwright.pipeline.families import prepare
from modwright.pipeline.outputs import refuse_list
from modwright.pipeline.rows import rows_of, training_split
from modwright.recipe import FrozenRecipe, load_recipe
from modwright.schema import FloatArray, Input, IntArray
from modwright.settings import Settings
from modwright.training.events import Event, follow

#: The recipe whose models doubt the labels.
RECIPE = "fast"


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What to look for beside what the dataset alone shows.

    Attributes:
        base: whose window texts should fit into: a name of the catalog, a folder, or a hub id.
        label_errors: whether to train out of fold and doubt labels.
        recipe: that these models are trained by.
        near: whether to look for near-duplicates.
        seed: decides samples.
    """

    base: str | None = None
    label_errors: bool = False
    recipe: str = RECIPE
    near: bool = True
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checks found; `errors` are the rows of `data.checks.LabelErrors`, None where nobody asked."""

    findings: list[Finding]
    errors: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class BaseTokens:
    """A base's tokenizer: how many tokens an input's last turn has, and how many the base takes at once."""

    base: str
    max_tokens: int
    count: TokenCounts


def base_tokens(name: str, settings: Settings, progress: Progress | None = None) -> BaseTokens:
    """Open the tokenizer of a base, fetching the base where the cache has none; raises as `fetch_base`."""
    folder = fetch_base(name, settings, progress=progress)
    tokenizer = Tokenizer(folder.path / TOKENIZER_FILE)

    def count(inputs: Sequence[Input]) -> IntArray:
        return np.array(tokenizer.lengths([turns[-1].content for turns in inputs]), dtype=np.int64)

    return BaseTokens(folder.name, min(folder.max_tokens, folder.max_positions), count)


def check(
    dataset: Dataset,
    options: CheckOptions,
    settings: Settings,
    *,
    on_event: Callable[[Event], None],
    progress: Progress | None = None,
    embedding_progress: EmbeddingProgress | None = None,
) -> Checked:
    """Run every check that the options ask for; the gravest findings come first.

    Raises:
        DataError: too few different rows to train out of fold.
        NotFoundError, SourceError, IntegrityError: a base that cannot be had.
    """
    tokens = base_tokens(options.base, settings, progress) if options.base is not None else None
    findings = check_dataset(
        dataset,
        token_counts=tokens.count if tokens else None,
        max_tokens=tokens.max_tokens if tokens else None,
        near=options.near,
        seed=options.seed,
    )
    if not options.label_errors:
        return Checked(findings)
    split = training_split(dataset)
    scores = out_of_fold_scores(
        dataset, split, options.recipe, settings, on_event, progress, embedding_progress
    )
    doubted = label_errors(dataset, split, scores)
    return Checked(gravest_first(findings + doubted.findings), doubted.rows)


def out_of_fold_scores(
    dataset: Dataset,
    split: str,
    recipe_name: str,
    settings: Settings,
    on_event: Callable[[Event], None],
    progress: Progress | None = None,
    embedding_progress: EmbeddingProgress | None = None,
) -> dict[str, FloatArray]:
    """Return target to (N, L) calibrated scores of a split's rows, each by fits that have not seen it."""
    recipe = load_recipe(recipe_name)
    if not isinstance(recipe, FrozenRecipe) and recipe.validation.method != "folds":
        raise RecipeError(
            f"validation.method is '{recipe.validation.method}': not every row is judged unseen",
            where=f"recipe '{recipe_name}'",
            remedy='take a recipe with validation.method = "folds"',
        )
    prepared = prepare(recipe, dataset.schema, settings, progress=progress, on_event=on_event)
    rows = rows_of(dataset.splits[split], dataset.schema)
    return follow(prepared.fit(rows, None, None, embedding_progress), on_event).unseen.scores


def write_label_errors(rows: pl.DataFrame, path: Path) -> None:
    """Write the list of likely label errors as its suffix says; it holds no texts.

    Raises:
        UsageError: the suffix is none of .csv, .json and .jsonl, or something else is there.
    """
    refuse_list(path)
    if path.suffix.lower() == ".csv":
        text = rows.write_csv()
    elif path.suffix.lower() == ".jsonl":
        text = rows.write_ndjson()
    else:
        text = json.dumps(rows.to_dicts(), indent=2, ensure_ascii=False) + "\n"
    write_text_atomic(path, text)
