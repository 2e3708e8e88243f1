"""The artifact folder as data: what lies where, its identity, and the check that nothing was touched.

    artifact.json       format version, family, schema in label order, bases, hashes; written last
    recipe.toml         the resolved recipe
    model/              heads (safetensors)
    tokenizer/          one tokenizer.json per base
    serving/            one exported graph per base
    calibration.json    per target, and the rows it was fitted on
    thresholds.json     operating points by name, and the review band
    metrics.json        evaluation
    README.md           model card
    estimator.json      the classes as scikit-learn's face was given them; only where that trained it

The id is the hash of what decides an answer: schema, bases, model files, calibration and thresholds. Times,
durations, machine paths and package versions are not part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from modwright.errors import ArtifactError, IntegrityError, NotFoundError, SchemaError
from modwright.files import file_hashes, read_json, sha256_json, verify, write_json
from modwright.schema import Schema, check_keys

FORMAT = "modwright-artifact"
FORMAT_VERSION = 2
#: Versions that are read; what the earlier one decided with has another form (`serving.stored_before`).
READ_VERSIONS = (1, 2)
MANIFEST = "artifact.json"
RECIPE = "recipe.toml"
CALIBRATION = "calibration.json"
THRESHOLDS = "thresholds.json"
METRICS = "metrics.json"
CARD = "README.md"
ESTIMATOR = "estimator.json"
MODEL = "model"
TOKENIZER = "tokenizer"
SERVING = "serving"
#: Written for readers; they decide no answer and may be written again (the card after a new evaluation).
_TOLD_NOT_DECIDING = (METRICS, CARD, RECIPE, ESTIMATOR)


@dataclass(frozen=True, slots=True)
class BaseIdentity:
    """A pretrained base inside an artifact: its name, and sha256 of its weights and tokenizer."""

    name: str
    weights_sha256: str
    tokenizer_sha256: str
    licence: str

    def to_json(self) -> dict[str, str]:
        """Return the identity as JSON-ready data."""
        return {
            "name": self.name,
            "weights_sha256": self.weights_sha256,
            "tokenizer_sha256": self.tokenizer_sha256,
            "licence": self.licence,
        }


@dataclass(frozen=True, slots=True)
class Artifact:
    """What `artifact.json` says.

    Attributes:
        id: hex sha256 of what decides an answer.
        family: frozen, encoder or causal.
        files: relative path to sha256.
    """

    id: str
    family: str
    schema: Schema
    bases: tuple[BaseIdentity, ...]
    dataset_id: str
    recipe_hash: str
    packages: Mapping[str, str]
    files: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as JSON-ready data."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "id": self.id,
            "family": self.family,
            "schema": self.schema.to_json(),
            "bases": [base.to_json() for base in self.bases],
            "dataset_id": self.dataset_id,
            "recipe_hash": self.recipe_hash,
            "packages": dict(self.packages),
            "files": dict(self.files),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json` data; raises SchemaError for unknown or missing keys."""
        keys = {
            "id",
            "family",
            "schema",
            "bases",
            "dataset_id",
            "recipe_hash",
            "packages",
            "files",
        }
        check_keys(data, keys | {"format", "format_version"}, MANIFEST)
        return cls(
            id=data["id"],
            family=data["family"],
            schema=Schema.from_json(data["schema"]),
            bases=tuple(BaseIdentity(**base) for base in data["bases"]),
            dataset_id=data["dataset_id"],
            recipe_hash=data["recipe_hash"],
            packages=data["packages"],
            files=data["files"],
        )


def write_manifest(
    folder: Path,
    *,
    family: str,
    schema: Schema,
    bases: tuple[BaseIdentity, ...],
    dataset_id: str,
    recipe_hash: str,
    packages: Mapping[str, str],
) -> Artifact:
    """Hash every file of a finished folder and write `artifact.json`, last."""
    files = file_hashes(folder, leave_out=frozenset({MANIFEST}))
    artifact = Artifact(
        id=_identity(family, schema, bases, files),
        family=family,
        schema=schema,
        bases=bases,
        dataset_id=dataset_id,
        recipe_hash=recipe_hash,
        packages=packages,
        files=files,
    )
    write_json(folder / MANIFEST, artifact.to_json())
    return artifact


def _identity(
    family: str,
    schema: Schema,
    bases: tuple[BaseIdentity, ...],
    files: Mapping[str, str],
) -> str:
    deciding = {
        name: digest
        for name, digest in files.items()
        if name not in _TOLD_NOT_DECIDING and not name.startswith((SERVING + "/", TOKENIZER + "/"))
    }
    # The graph is the base's weights under one exporter; the base's own hashes stand for it, so that two
    # machines with other exporter versions agree on the id. Its bytes are still verified through `files`.
    return sha256_json(
        {
            "family": family,
            "schema": schema.to_json(),
            "bases": [[base.weights_sha256, base.tokenizer_sha256] for base in bases],
            "files": deciding,
        }
    )


def read_artifact(folder: Path) -> Artifact:
    """Read and verify an artifact folder.

    Raises:
        NotFoundError: no such folder, or it holds no artifact.json.
        ArtifactError: another format or version, unknown keys, a missing or changed file, one that is not
            listed among those a model is read from, or an id that does not follow from the content.
    """
    if not (folder / MANIFEST).is_file():
        raise NotFoundError(
            f"no artifact here: {MANIFEST} is missing",
            where=str(folder),
            remedy="name a folder that `modwright train` wrote",
        )
    try:
        data = read_json(folder / MANIFEST)
        _check_version(data, folder)
        artifact = Artifact.from_json(data)
        verify(folder, artifact.files)
        _refuse_unlisted(folder, artifact.files)
        follows = _identity(artifact.family, artifact.schema, artifact.bases, artifact.files)
    except ArtifactError:
        raise
    except (IntegrityError, SchemaError) as error:
        raise ArtifactError(error.message, where=error.where or str(folder), remedy=error.remedy) from None
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ArtifactError(f"{MANIFEST} is malformed: {error!r}", where=str(folder)) from None
    if artifact.id != follows:
        raise ArtifactError(
            "the id does not follow from the content", where=str(folder), remedy="train again"
        )
    return artifact


def _refuse_unlisted(folder: Path, files: Mapping[str, str]) -> None:
    for part in (MODEL, TOKENIZER, SERVING):
        for path in sorted((folder / part).rglob("*")):
            if path.is_file() and path.relative_to(folder).as_posix() not in files:
                raise ArtifactError(
                    f"{MANIFEST} does not list this file", where=str(path), remedy="remove it"
                )


def _check_version(data: Any, folder: Path) -> None:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ArtifactError(f"{MANIFEST} is not of the format {FORMAT}", where=str(folder))
    found = data.get("format_version")
    if type(found) is not int or found not in READ_VERSIONS:
        raise ArtifactError(
            f"format version is {found!r}, this modwright reads {' and '.join(map(str, READ_VERSIONS))}",
            where=str(folder),
            remedy="use the modwright version that wrote it, or train again",
        )


def format_version(folder: Path) -> int:
    """Return the format version of an artifact folder that was read before."""
    return int(read_json(folder / MANIFEST)["format_version"])


def read_calibration(folder: Path) -> Any:
    """Return the data of calibration.json: {"targets": {target: ...}, "decided_on": {...} or null}."""
    return read_json(folder / CALIBRATION)


def read_thresholds(folder: Path) -> Any:
    """Return the data of thresholds.json: {"operating_points": {name: ...}, "review": {...} or null}."""
    return read_json(folder / THRESHOLDS)
