"""A data recipe into a dataset: sources are read, split, curated and written, in one go and all or nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modwright.catalog import Progress
from modwright.data.assemble import label_column
from modwright.data.chunks import can_stream
from modwright.data.columnar import pl
from modwright.data.curate import Planned, steps_of
from modwright.data.curate.curating import draft_of, finished, label_series, step_notes
from modwright.data.curate.part import Part
from modwright.data.curate.running import Draft, run_steps
from modwright.data.dataset import Dataset
from modwright.data.importing import load_dataset
from modwright.data.options import TRAIN, ImportOptions, Meaning, Reading
from modwright.data.options import Progress as ReadProgress
from modwright.data.resplit import deal_part, dealt_split, split_step
from modwright.data.sampling import Sampling
from modwright.data.spool import Spool
from modwright.data.streamed import Frames, write_streamed
from modwright.data.streaming import stream_dataset
from modwright.data.summary import ImportSummary, summarise
from modwright.errors import DataError, RecipeError, UsageError
from modwright.files import locked
from modwright.pipeline.importing import resolved_files
from modwright.recipe import ColumnMapping, DataSection, SplitSection
from modwright.schema import Schema, TargetKind
from modwright.settings import Settings


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What the sources hold, and how rows of it become frames."""

    draft: Draft
    stores: Mapping[str, Spool | Dataset]
    notes: tuple[str, ...]
    provenance: Mapping[str, Any]


def build_dataset(
    recipe: DataSection,
    out: Path,
    settings: Settings,
    *,
    replace: bool = False,
    progress: Progress | None = None,
    read_progress: ReadProgress | None = None,
) -> ImportSummary:
    """Build a dataset folder from a data recipe.

    Texts of CSV, TSV and flat Parquet sources wait on disk beside `out`, so that memory grows with the labels
    alone. The same recipe over the same sources gives the identical dataset and leaves it as it is. Killed at any
    moment it leaves what was there before, or the whole new dataset.

    Raises:
        RecipeError: a step or mapping that makes no sense, said before anything is read.
        DataError: wrong data, with file, line, field and remedy.
        UsageError: something that does not fit the data, or another dataset in `out`.
        SourceError: a source that cannot be reached.
    """
    steps, options = steps_of(recipe.steps), import_options(recipe, out)
    if out.is_file():
        raise UsageError("is a file, expected a folder", where=str(out), remedy="name a folder")
    with _workshop(out) as folder, resolved_files(options, settings, progress) as files:
        by_column = recipe.split is not None and recipe.split.group is not None  # spools hand on inputs alone
        if can_stream(options.meaning) and not by_column:
            streamed = stream_dataset(options, folder / "rows", files, read_progress)
            loaded = _Loaded(streamed.draft, streamed.spools, streamed.notes, streamed.provenance)
        else:
            read = load_dataset(options, read_progress, files, without_positives=True)
            dataset = read.dataset
            stores = dict.fromkeys(dataset.splits, dataset)
            loaded = _Loaded(draft_of(dataset), stores, read.notes, dataset.provenance)
        return _built(loaded, recipe, steps, options, folder, replace=replace)


def _built(
    loaded: _Loaded,
    recipe: DataSection,
    steps: Sequence[Planned],
    options: ImportOptions,
    folder: Path,
    *,
    replace: bool,
) -> ImportSummary:
    """Split, curate and write what was read."""
    before = loaded.draft.schema
    draft, origin = loaded.draft, {split: split for split in loaded.draft.parts}
    done = list(loaded.provenance["steps"])
    if recipe.split is not None:
        draft, origin = _dealt(draft, recipe.split)
        share = recipe.split
        done.append(split_step(share.fractions, share.seed, share.group, share.near))
    draft = run_steps(draft, steps, recipe.seed)
    _refuse_without_positives(draft)
    notes: list[str] = []
    splits = {
        split: _frames(
            loaded.stores[origin[split]], origin[split], split, part, draft.schema, before, options, notes
        )
        for split, part in draft.parts.items()
    }
    provenance = {**loaded.provenance, "steps": [*done, *draft.log]}
    identity, unchanged = write_streamed(
        draft.schema, splits, provenance, options.out, folder, replace=replace
    )
    told = [*loaded.notes, *dict.fromkeys(notes), *step_notes(draft.log)]
    status = "unchanged" if unchanged else "written"
    return summarise(_light(draft, identity), told, str(options.out), status)


def _refuse_without_positives(draft: Draft) -> None:
    """Raise DataError where no training row is positive for a label that the steps left."""
    trained = [draft.parts[TRAIN]] if TRAIN in draft.parts else list(draft.parts.values())
    held = [(part.values > draft.schema.positive_above).any(axis=0) for part in trained]
    names = [label_column(target, label) for target in draft.schema for label in target.labels]
    lacking = [name for name, found in zip(names, np.any(held, axis=0), strict=True) if not found]
    if lacking:
        raise DataError(
            f"no training row is positive for {', '.join(map(repr, lacking))}",
            remedy="take such labels out with `drop` or a step `rare_labels`, or add rows that have them",
        )


def _dealt(draft: Draft, share: SplitSection) -> tuple[Draft, dict[str, str]]:
    """Deal the training rows into parts; return the draft and, for each split, the one its rows were read for."""
    name = dealt_split(tuple(draft.parts), share.fractions)
    whole = draft.parts[name]
    parts = deal_part(whole, share.fractions, share.seed, share.group, share.near)
    origin = dict.fromkeys(parts, name)
    kept = {split: part for split, part in draft.parts.items() if split != name}
    return dataclasses.replace(draft, parts={**parts, **kept}), {**origin, **{split: split for split in kept}}


def _frames(
    store: Spool | Dataset,
    origin: str,
    split: str,
    part: Part,
    schema: Schema,
    before: Schema,
    options: ImportOptions,
    notes: list[str],
) -> Frames:
    """Return a function that yields the frames of a split as a dataset has them."""
    if isinstance(store, Spool):
        return lambda: store.final(part, split, schema, options.meaning, notes)
    frame = store.splits[origin]
    return lambda: iter([finished(frame[part.rows], part, schema, before)] if len(part) else [])


def _light(draft: Draft, identity: str) -> Dataset:
    """Return a dataset without texts, to be counted."""
    frames = {
        split: pl.DataFrame(label_series(part.values, draft.schema)) for split, part in draft.parts.items()
    }
    return Dataset(draft.schema, frames, {}, identity)


@contextlib.contextmanager
def _workshop(out: Path) -> Iterator[Path]:
    """Give an empty folder beside `out` for rows on their way; what a killed process left is removed first."""
    folder = out.parent / f".{out.name}.building"
    with locked(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def import_options(recipe: DataSection, out: Path) -> ImportOptions:
    """Return what an import is told by a recipe.

    Raises:
        RecipeError: sources of one split that are to be sampled differently.
        UsageError: columns that contradict each other.
    """
    sampling: dict[str, Sampling] = {}
    pairs = []
    for source in recipe.sources:
        pairs.append((source.split, source.source))
        sample = Sampling(source.shuffle_seed, source.shuffle_buffer, source.take)
        if sampling.setdefault(source.split, sample) != sample:
            raise RecipeError(
                f"the sources of the split '{source.split}' are sampled differently",
                where="data.sources",
                remedy="a sample is taken of a whole split: give its sources the same shuffle and take",
            )
    wanted = {split: sample for split, sample in sampling.items() if sample != Sampling()}
    return ImportOptions((), out, tuple(pairs), _reading(recipe), _meaning(recipe), sampling=wanted)


def _reading(mapping: ColumnMapping) -> Reading:
    given = {
        "delimiter": mapping.delimiter,
        "quoted": None if mapping.quote is None else mapping.quote == "double",
        "header": mapping.header,
        "encoding": mapping.encoding,
        "skip_lines": mapping.skip_lines,
        "max_record_bytes": mapping.max_record_bytes,
        "format": mapping.format,
    }
    return Reading(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]


def _meaning(mapping: ColumnMapping) -> Meaning:
    plain = (
        "text",
        "prompt",
        "response",
        "messages",
        "id",
        "weight",
        "labels",
        "scores",
        "threshold",
        "target",
    )
    given: dict[str, Any] = {name: getattr(mapping, name) for name in plain}
    given |= {
        "kind": TargetKind(mapping.kind) if mapping.kind else None,
        "negative": mapping.negative,
        "declared": mapping.declare,
        "renames": mapping.rename,
        "drops": mapping.drop,
        "openai": mapping.openai,
    }
    return Meaning(**{key: value for key, value in given.items() if value})
