"""Formats out: a dataset as files that other tools read, and that importing gives back as it was."""

from modwright.data.export.options import ExportFormat, ExportOptions, ExportSummary
from modwright.data.export.run import export_dataset

__all__ = ["ExportFormat", "ExportOptions", "ExportSummary", "export_dataset"]
