"""What the checks found, as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from modwright.data.checks.findings import Finding, Severity, common_folder
from modwright.render import pages

#: What a page says in its head, so that it is known again before another one takes its place.
MARK = '<meta name="generator" content="modwright data check">'


def checks_page(title: str, findings: Sequence[Finding], facts: Mapping[str, Any]) -> str:
    """Return the page; the same arguments give the same bytes.

    Args:
        title: such as the dataset's folder.
        findings: the gravest first.
        facts: about the dataset: name to text, number, list or a mapping of such.
    """
    counts = {severity: sum(finding.severity is severity for finding in findings) for severity in Severity}
    template = _environment().get_template("checks.html")
    folder = common_folder(findings)
    return template.render(
        title=title, findings=findings, facts=facts, counts=counts, folder=folder, mark=Markup(MARK)
    )


@cache
def _environment() -> Environment:
    return pages.environment("modwright.data.checks")
