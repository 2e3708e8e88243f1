"""Artifact folders as blobs: what a worker publishes, any server can install and serve.

A manifest says which files make the folder: ``{"model/head.safetensors": {"bytes": 1234, "sha256": "..."}}``, paths
relative, with ``/``. Models that share a base share the blob of its graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from modwright.errors import IntegrityError, NotFoundError
from modwright.files import staged_folder
from modwright.storage.objects import disk_in_words

if TYPE_CHECKING:
    from modwright.storage.blobs import Blobs

#: Relative path to {"bytes": int, "sha256": str}; what the column `models.manifest` holds.
Manifest = Mapping[str, Mapping[str, Any]]

#: Written last, by training and by `install`: a folder without it is no artifact.
_LAST = "artifact.json"


def publish(folder: Path, blobs: Blobs) -> dict[str, dict[str, Any]]:
    """Put every file of a finished folder into blobs; return the manifest that `install` makes it from again.

    What is there already is not written again, so that publishing twice, or after a kill, does no harm.

    Raises:
        NotFoundError: there is no such folder, or it holds no finished artifact.
        StorageError, StorageFullError: see `Blobs.put_file`.
    """
    if not (folder / _LAST).is_file():
        raise NotFoundError(
            f"no artifact here: {_LAST} is missing", where=str(folder), remedy="publish a finished folder"
        )
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest: dict[str, dict[str, Any]] = {}
    for path in paths:
        stored = blobs.put_file(path)
        manifest[path.relative_to(folder).as_posix()] = {"bytes": stored.bytes, "sha256": stored.sha256}
    return manifest


def install(manifest: Manifest, blobs: Blobs, folder: Path) -> None:
    """Make a published folder again: every file verified while it is copied, written aside, then renamed.

    An existing ``folder`` is replaced, so a damaged one is made whole. Processes that install the same folder wait for
    each other.

    Raises:
        IntegrityError: a path that leads out of the folder, or a blob that is missing or is not what the manifest
            promises; ``folder`` stays as it was.
        StorageError, StorageFullError: the store failed, or there is no room; ``folder`` stays as it was.
    """
    names = ordered_names(manifest)
    with disk_in_words(str(folder)), staged_folder(folder, replace=True) as staging:
        for name in names:
            target = staging / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _fetch(name, manifest[name], blobs, target)


def ordered_names(manifest: Manifest) -> list[str]:
    """Return the paths of a manifest, `artifact.json` last; raises IntegrityError for one that leads out of the folder."""
    names = sorted(manifest, key=lambda name: (name == _LAST, name))
    for name in names:
        _refuse_outside(name)
    return names


def _fetch(name: str, entry: Mapping[str, Any], blobs: Blobs, target: Path) -> None:
    try:
        blobs.get_to(entry["sha256"], target)
    except NotFoundError:
        raise IntegrityError(
            f"'{name}' is missing in the store of blobs (sha256 {entry['sha256'][:16]}…)",
            remedy="bring the store back, or train again",
        ) from None
    if target.stat().st_size != entry["bytes"]:
        raise IntegrityError(
            f"'{name}' has {target.stat().st_size} bytes, the manifest promises {entry['bytes']}",
            remedy="bring the store back, or train again",
        )


def _refuse_outside(name: str) -> None:
    path = PurePosixPath(name)
    plain = str(path) == name and not path.is_absolute() and ".." not in path.parts and "\\" not in name
    if not plain or name in ("", "."):
        raise IntegrityError(f"the manifest holds the path {name[:200]!r}, which is not inside a folder")
