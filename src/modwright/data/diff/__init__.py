"""What changed between two datasets: schema, rows, labels, rates and steps."""

from modwright.data.diff.compare import diff_datasets
from modwright.data.diff.results import DatasetDiff, LabelChange, Rate, RowChanges

__all__ = ["DatasetDiff", "LabelChange", "Rate", "RowChanges", "diff_datasets"]
