"""Millions of rows, read, thresholded, curated and written as JSONL for three splits: time and memory.

    python benchmarks/curation.py [--rows N,N,...] [--against N]

Synthetic rows have civil_comments' columns and rates. `--against` is the size at which the cookbook's own loops run
over the same files, in the same minutes; the JSONL lines of both are compared. Every run is a process of its own, and
its peak memory is what the kernel counted for it. Then every labelled data set
is split, freed of (near-)duplicates, capped and exported: `curation_sets.py` says how.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import RESULTS, machine
from curation_sets import real_sets

SPLITS = ("train", "validation", "test")
LABELS = ("toxicity", "severe_toxicity", "obscene", "threat", "insult", "identity_attack", "sexual_explicit")
CURVE = (100_000, 500_000, 1_000_000, 2_000_000, 5_000_000)
AGAINST = 2_000_000
HERE = Path(__file__).resolve().parent
STEPS = """
[[data.steps]]
step = "cap"
zero_share = 0.1
max_share = 0.2
splits = "all"

[[data.steps]]
step = "rare_labels"
min_share = 0.01
over = "all"

[[data.steps]]
step = "shuffle"
splits = "all"
"""


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("--rows", default=",".join(map(str, CURVE)))
    given.add_argument("--against", type=int, default=AGAINST)
    given.add_argument("--ours", nargs=2, help=argparse.SUPPRESS)
    options = given.parse_args()
    if options.ours:
        ours(Path(options.ours[0]), Path(options.ours[1]))
        return
    curve = [measured(int(rows), ".parquet") for rows in options.rows.split(",")]
    compared = [measured(options.against, suffix, against=True) for suffix in (".parquet", ".csv")]
    found = {"machine": machine(), "curve": curve, "against the notebook": compared, "data sets": real_sets()}
    path = RESULTS / "curation.json"
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(path)


def ours(recipe: Path, out: Path) -> None:
    """Build and export as the two commands do."""
    from modwright.data.dataset import read_dataset
    from modwright.data.export import ExportFormat, ExportOptions, export_dataset
    from modwright.pipeline.building import build_dataset
    from modwright.recipe import load_data_recipe
    from modwright.settings import load_settings

    build_dataset(load_data_recipe(str(recipe)), out / "dataset", load_settings())
    export = ExportOptions(ExportFormat.FACTORY, out / "jsonl", safe="safe")
    export_dataset(read_dataset(out / "dataset"), export)


def write_recipe(folder: Path, paths: dict[str, Path]) -> Path:
    text = f'[data]\nseed = 1\ntext = "text"\nscores = {list(LABELS)}\nthreshold = "> 0.5"\n'
    for split, path in paths.items():
        text += f'\n[[data.sources]]\nfrom = "{path}"\nsplit = "{split}"\n'
    (folder / "recipe.toml").write_text(text + STEPS)
    return folder / "recipe.toml"


def run(*arguments: str) -> dict[str, float]:
    """Run a child; return its seconds and its peak memory."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        sys.exit(f"{arguments} left with {status}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(peak / 2**20),
    }


def measured(rows: int, suffix: str, against: bool = False) -> dict[str, Any]:
    """Run ours over so many rows, and the notebook's loops where asked for."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In a process of its own: a child's peak memory begins with its parent's, which must stay small.
        run(str(HERE / "curation_rows.py"), str(folder), str(rows), suffix)
        paths = {split: folder / f"{split}{suffix}" for split in SPLITS}
        size = sum(path.stat().st_size for path in paths.values())
        recipe = write_recipe(folder, paths)
        (folder / "out").mkdir()
        found: dict[str, Any] = {"rows": rows, "format": suffix[1:], "source_mb": round(size / 2**20)}
        found["ours"] = run(__file__, "--ours", str(recipe), str(folder / "out"))
        kept = {split: lines(folder / "out" / "jsonl" / f"{split}.jsonl") for split in SPLITS}
        found["rows_kept"] = {split: len(found_lines) for split, found_lines in kept.items()}
        for way in ("records", "iterrows") if against else ():
            notebook = folder / way
            times = run(str(HERE / "curation_notebook.py"), str(folder), suffix, str(notebook), way)
            same = all(lines(notebook / f"{split}.jsonl") == kept[split] for split in SPLITS)
            faster = {
                unit: round(times[unit] / found["ours"][unit], 1) for unit in ("seconds", "cpu_seconds")
            }
            found[f"notebook, {way}"] = {**times, "same_lines": same, "ours_is_faster_by": faster}
        print(json.dumps(found), flush=True)
        return found


def lines(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Return the rows of a JSONL file, sorted, whatever their order and spelling."""
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted((record["text"], tuple(sorted(record["labels"]["moderation"]))) for record in records)


if __name__ == "__main__":
    main()
