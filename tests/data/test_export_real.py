"""Real data sets go out in every format and come back with the same id; skipped where they are not there."""

from __future__ import annotations

import json

import pytest
from test_data_real import SETS, load

from modwright.data.columnar import pl
from modwright.data.dataset import labels
from modwright.data.diff import diff_datasets
from modwright.data.export import ExportFormat, ExportOptions, export_dataset
from modwright.data.importing import load_dataset
from modwright.data.options import ImportOptions, Meaning
from modwright.data.recorded import read_recorded

pytestmark = pytest.mark.real


@pytest.mark.parametrize("file_format", ["factory", "csv", "parquet"])
@pytest.mark.parametrize(("name", "reading", "meaning", "rows", "positives"), SETS)
def test_a_real_set_goes_out_and_comes_back(
    real_data, tmp_path, name, reading, meaning, rows, positives, file_format
):
    dataset = load(real_data, name, reading, meaning)
    export_dataset(dataset, ExportOptions(ExportFormat(file_format), tmp_path / "o"))
    (file,) = [path for path in (tmp_path / "o").iterdir() if path.stem == "train"]
    options = ImportOptions(
        (str(file),), tmp_path / "d", meaning=Meaning(recorded=read_recorded(tmp_path / "o"))
    )
    found = load_dataset(options).dataset
    assert found.id == dataset.id
    assert diff_datasets(dataset, found).equal


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_pairs_with_a_struct_of_categories(real_data, tmp_path, form):
    """The shape BeaverTails is published in: booleans in one struct beside `is_safe`, made from the sample's classes."""
    sample = pl.read_csv(real_data / "beavertails" / "category_sample.csv")
    names = sample["category"].unique(maintain_order=True).to_list()
    struct = pl.struct([(pl.col("category") == name).alias(name) for name in names])
    frame = sample.with_columns(category=struct, is_safe=pl.col("category") == "none of them")
    path = tmp_path / f"a.{form}"
    if form == "parquet":
        frame.write_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in frame.iter_rows(named=True)))
    meaning = Meaning(labels=("category",))
    dataset = load_dataset(ImportOptions((str(path),), tmp_path / "d", meaning=meaning)).dataset
    (target,) = dataset.schema.targets
    assert target.labels == tuple(names)
    counts = [(sample["category"] == name).sum() for name in names]
    assert len(counts) == 14
    assert labels(dataset.splits["train"], target).sum(axis=0).tolist() == counts
    assert dataset.splits["train"]["is_safe"].dtype == pl.Boolean
    twice = Meaning(labels=("category",), renames={names[0]: "one", names[1]: "one"}, drops=(names[2],))
    merged = load_dataset(ImportOptions((str(path),), tmp_path / "d", meaning=twice)).dataset
    assert merged.schema.targets[0].labels == ("one", *names[3:])
    assert merged.splits["train"]["moderation/one"].sum() == counts[0] + counts[1]
