"""Curation: pure, named steps that choose rows and labels, each with a log of what it did and why.

`curate` applies them to a dataset; `modwright.data.curate.running` says what the log holds.
"""

from modwright.data.curate.curating import CurateOptions, curate, curate_dataset
from modwright.data.curate.registry import STEPS, Planned, make_step, parse_step, steps_of
from modwright.data.curate.running import natural_prevalence
from modwright.data.curate.steps import Choice, Context, LabelStep, RowStep, Step

__all__ = [
    "STEPS",
    "Choice",
    "Context",
    "CurateOptions",
    "LabelStep",
    "Planned",
    "RowStep",
    "Step",
    "curate",
    "curate_dataset",
    "make_step",
    "natural_prevalence",
    "parse_step",
    "steps_of",
]
