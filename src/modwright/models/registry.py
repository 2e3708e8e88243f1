"""Families by name: which class reads which artifact."""

from __future__ import annotations

import importlib
from pathlib import Path

from modwright.artifact import MODEL, Artifact
from modwright.errors import ArtifactError, nearest
from modwright.models.encoder import EncoderClassifier
from modwright.models.frozen import FrozenClassifier
from modwright.models.normalise import NORMALISE_FILE, Normaliser
from modwright.models.normalised import normalised
from modwright.schema import Classifier

FAMILIES = ("frozen", "encoder", "causal")
#: Tells a decoder that was published with its head from one that was trained here.
DECODER_FILE = "decoder.json"


def load_classifier(folder: Path, artifact: Artifact, *, threads: int = 0, bulk: bool = False) -> Classifier:
    """Load the classifier of a verified artifact, behind its normaliser where it has one.

    Raises:
        ArtifactError: an unknown family, or a model that cannot be read.
        MissingExtraError: a causal model, and torch is not installed.
    """
    classifier = _of_family(folder, artifact, threads, bulk)
    if f"{MODEL}/{NORMALISE_FILE}" not in artifact.files:
        return classifier
    return normalised(classifier, Normaliser.load(folder))


def _of_family(folder: Path, artifact: Artifact, threads: int, bulk: bool) -> Classifier:
    if artifact.family == "frozen":
        return FrozenClassifier.load(folder, artifact.schema, threads=threads, bulk=bulk)
    if artifact.family == "encoder":
        return EncoderClassifier.load(folder, artifact.schema, threads=threads, bulk=bulk)
    if artifact.family == "causal":
        # By name: nothing that serves the other families may reach torch by an import.
        published = f"{MODEL}/{DECODER_FILE}" in artifact.files
        room, name = (
            ("published_decoder", "PublishedDecoder") if published else ("causal", "CausalClassifier")
        )
        reader = getattr(importlib.import_module(f"modwright.models.{room}"), name)
        loaded: Classifier = reader.load(folder, artifact.schema, threads=threads, bulk=bulk)
        return loaded
    raise ArtifactError(
        f"unknown family '{artifact.family}'", where=str(folder), remedy=nearest(artifact.family, FAMILIES)
    )
