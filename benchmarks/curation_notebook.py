"""The cookbook's code over the same files: rows as dicts, one after the other, with pandas where it uses pandas.

python benchmarks/curation_notebook.py FOLDER SUFFIX OUT
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pandas as pd

LABELS = ("toxicity", "severe_toxicity", "obscene", "threat", "insult", "identity_attack", "sexual_explicit")


def convert_scores_to_booleans(example, threshold=0.5):
    return {"text": example["text"], **{label: example[label] > threshold for label in LABELS}}


def filter_dataset(samples, zero_flags_percentage=0.1, max_percentage=0.2):
    zero_flags_samples = []
    non_zero_flags_samples = []
    label_counts = {key: 0 for key in samples[0] if key != "text"}
    for example in samples:
        if not any(example[key] for key in example if key != "text"):
            zero_flags_samples.append(example)
        else:
            non_zero_flags_samples.append(example)
    total_samples = len(non_zero_flags_samples) / (1 - zero_flags_percentage)
    desired_zero_flags = int(total_samples * zero_flags_percentage)
    desired_non_zero_flags = int(total_samples * (1 - zero_flags_percentage))
    zero_flags_samples = zero_flags_samples[:desired_zero_flags]
    filtered_samples = []
    for example in non_zero_flags_samples[:desired_non_zero_flags]:
        add_sample = True
        for key in label_counts:
            if example[key] and (label_counts[key] + 1) / desired_non_zero_flags > max_percentage:
                add_sample = False
                break
        if add_sample:
            filtered_samples.append(example)
            for key in label_counts:
                if example[key]:
                    label_counts[key] += 1
    filtered_samples += zero_flags_samples
    random.shuffle(filtered_samples)
    return filtered_samples


def dataset_to_jsonl(dataset, output_file):
    possible_categories = [col for col in dataset.columns if col != "text"]
    with output_file.open("w") as f:
        for _, row in dataset.iterrows():
            labels = [category for category in possible_categories if row[category]]
            if len(labels) == 0:
                labels = ["safe"]
            f.write(json.dumps({"text": row["text"], "labels": {"moderation": labels}}) + "\n")


def rows_of(path, way):
    frame = pd.read_csv(path) if path.suffix == ".csv" else read_parquet(path)
    return (row for _, row in frame.iterrows()) if way == "iterrows" else frame.to_dict("records")


def read_parquet(path):
    import polars as pl  # pandas needs pyarrow for this, which is not among our packages

    return pd.DataFrame(pl.read_parquet(path).to_dict(as_series=False))


def main(folder, suffix, out, way):
    samples = {
        split: [convert_scores_to_booleans(example) for example in rows_of(folder / f"{split}{suffix}", way)]
        for split in ("train", "validation", "test")
    }
    samples = {split: filter_dataset(rows) for split, rows in samples.items()}
    all_df = pd.DataFrame([row for rows in samples.values() for row in rows])
    label_percentages = all_df.drop(columns=["text"]).mean()
    labels_to_remove = label_percentages[label_percentages < 0.01].index.tolist()
    out.mkdir()
    for split, rows in samples.items():
        dataset_to_jsonl(pd.DataFrame(rows).drop(columns=labels_to_remove), out / f"{split}.jsonl")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4])
