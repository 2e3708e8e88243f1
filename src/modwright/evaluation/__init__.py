"""Proof: calibration, thresholds, metrics with their uncertainty, and the report. numpy and jinja2 only."""
