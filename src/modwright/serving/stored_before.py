"""Artifacts of format 1, before decisions were chosen for objectives: their files as those of format 2 say the same.

They had slope and intercept for every label, thresholds alone, no review band, and did not say on which rows they were
decided. What has no normaliser's file is read without one, whatever its format.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modwright.evaluation.calibration import CalibrationMethod
from modwright.schema import Schema, Target, TargetKind, check_keys


def calibration_of(data: Any, schema: Schema) -> dict[str, Any]:
    """Return what a calibration.json of format 1 holds; raises SchemaError, LookupError or TypeError for another form."""
    check_keys(data, {"targets"}, "calibration")
    check_keys(data["targets"], set(schema.names), "targets")
    targets = {target.name: _target(target, data["targets"][target.name]) for target in schema}
    return {"targets": targets, "decided_on": None}


def _target(target: Target, data: Mapping[str, Any]) -> dict[str, Any]:
    check_keys(data, {"method", "labels", "slopes", "intercepts"}, f"calibration of target '{target.name}'")
    size = len(target.labels)
    one_slope = target.kind is TargetKind.SINGLE_LABEL  # and an intercept per class
    return {
        "labels": data["labels"],
        "methods": [str(CalibrationMethod.PLATT)] * size,
        "slopes": data["slopes"] * size if one_slope else data["slopes"],
        "intercepts": data["intercepts"],
        "curves": {},
        "shift": None,
    }


def thresholds_of(data: Any) -> dict[str, Any]:
    """Return what a thresholds.json of format 1 holds; raises SchemaError, LookupError or TypeError for another form."""
    check_keys(data, {"operating_points"}, "thresholds")
    points = {
        name: {**point, "aim": None, "prevalence": {}, "found": {}}
        for name, point in data["operating_points"].items()
    }
    return {"operating_points": points, "review": None}
