"""Families by name: which class reads which artifact."""

from __future__ import annotations

from pathlib import Path

from modwright.artifact import Artifact
from modwright.errors import ArtifactError, nearest
from modwright.models.frozen import FrozenClassifier
from modwright.schema import Classifier

FAMILIES = ("frozen",)


def load_classifier(folder: Path, artifact: Artifact, *, threads: int = 0, bulk: bool = False) -> Classifier:
    """Load the classifier of a verified artifact; raises ArtifactError, also for an unknown family."""
    if artifact.family not in FAMILIES:
        raise ArtifactError(
            f"unknown family '{artifact.family}'",
            where=str(folder),
            remedy=nearest(artifact.family, FAMILIES),
        )
    return FrozenClassifier.load(folder, artifact.schema, threads=threads, bulk=bulk)
