"""A dataset described: in numbers, and as a folder of a page, pictures and JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modwright.catalog import Progress
from modwright.data.dataset import Dataset
from modwright.data.describe import Description, describe
from modwright.data.describe.page import describe_page
from modwright.data.describe.pictures import draw_pictures
from modwright.files import staged_folder, write_json, write_text_atomic
from modwright.pipeline.checking import base_tokens
from modwright.pipeline.outputs import DESCRIPTION_JSON as JSON
from modwright.pipeline.outputs import DESCRIPTION_PAGE as PAGE
from modwright.pipeline.outputs import refuse_description
from modwright.render.words import shortened
from modwright.settings import Settings

_MOST_SOURCE = 200


def describe_dataset(
    dataset: Dataset, base: str | None, settings: Settings, progress: Progress | None = None
) -> Description:
    """Count what a dataset holds; with a base, lengths in its tokens, too. Raises as `fetch_base`."""
    if base is None:
        return describe(dataset)
    tokens = base_tokens(base, settings, progress)
    return describe(dataset, token_counts=tokens.count, base=tokens.base, max_tokens=tokens.max_tokens)


def write_description(description: Description, title: str, facts: dict[str, Any], out: Path) -> list[Path]:
    """Write describe.json, describe.html and a PNG per target, all or nothing; return their paths.

    A folder that holds an earlier description and nothing else is replaced.

    Raises:
        UsageError: the folder holds something else.
        MissingExtraError: matplotlib is not installed.
    """
    refuse_description(out)
    with staged_folder(out, replace=True) as staging:
        draw_pictures(description, staging)
        write_text_atomic(staging / PAGE, describe_page(title, description, facts))
        write_json(staging / JSON, description.to_json())
        names = sorted(path.name for path in staging.iterdir())
    return [out / name for name in names]


def dataset_facts(dataset: Dataset) -> dict[str, Any]:
    """Return what a page says about a dataset beside its numbers."""
    sources = [str(source.get("file", "")) for source in dataset.provenance.get("sources", [])]
    return {
        "id": dataset.id[:16],
        "rows": {split: len(frame) for split, frame in dataset.splits.items()},
        "labels": {target.name: list(target.labels) for target in dataset.schema.targets},
        "sources": [shortened(source, _MOST_SOURCE) for source in sources],
        "steps": [str(step.get("step", "")) for step in dataset.provenance.get("steps", [])],
    }
