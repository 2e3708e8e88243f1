"""Fetching a trained model: the server's tar becomes an artifact folder that appears whole and verified, or not at all."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

from modwright.client.answers import Model
from modwright.client.calls import get_model
from modwright.client.file_calls import Landing, Progress
from modwright.client.flow import Flow, Request, exchange, path
from modwright.errors import IntegrityError, UsageError
from modwright.files import read_json, refuse_unfit, staged_folder, verify

_MANIFEST = "artifact.json"
#: No file of an artifact has this name.
_ARCHIVE = ".archive.tar"
_AGAIN = "fetch it again"
_BASE = "base"


def download_model(
    model_id: str, folder: str | os.PathLike[str], *, replace: bool, progress: Progress | None
) -> Flow[Path]:
    """Fetch a model's artifact folder; every file is checked against the sha256 that `artifact.json` promises."""
    model = yield from get_model(model_id)
    if model.type == _BASE:
        raise UsageError(
            f"'{model.id}' is no trained model", remedy="name one of `modwright models list`, or train it"
        )
    place = Path(folder)
    refuse_unfit(place, replace=replace, only=_MANIFEST)  # before gigabytes are fetched
    with staged_folder(place, replace=replace, only=_MANIFEST) as staging:
        archive = staging / _ARCHIVE
        with archive.open("wb") as stream:
            landing = Landing(stream, progress)
            where = path("v1", "models", model.id, "artifact")
            yield from exchange(Request("GET", where, sink=landing, slow=True))
        _unpack(archive, staging, model)
        archive.unlink()
        _verify(staging, model)
    return place


def _unpack(archive: Path, folder: Path, model: Model) -> None:
    """Write every file of an archive into a folder.

    Raises:
        IntegrityError: it is no whole archive, or holds what is no plain file inside the folder.
    """
    taken: set[PurePosixPath] = set()
    try:
        with tarfile.open(archive, "r:") as packed:
            for member in packed:
                target = folder / _plain(member, taken, model)
                target.parent.mkdir(parents=True, exist_ok=True)
                source = packed.extractfile(member)
                assert source is not None  # a plain file
                with source, target.open("xb") as stream:
                    shutil.copyfileobj(source, stream)
    except tarfile.TarError as error:
        raise _broken(model, f"is no whole tar file ({error})") from None


def _plain(member: tarfile.TarInfo, taken: set[PurePosixPath], model: Model) -> PurePosixPath:
    """Return where a member goes, and take the place; what is no plain file, or lies elsewhere, is refused."""
    name = PurePosixPath(member.name)
    inside = str(name) == member.name and not name.is_absolute() and ".." not in name.parts
    clean = inside and "\\" not in member.name and "\0" not in member.name and name != PurePosixPath(".")
    if not clean or str(name) == _ARCHIVE or member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise _broken(model, f"holds {member.name[:200]!r}, which is no plain file inside a folder")
    if name in taken or any(part in taken for part in name.parents):
        raise _broken(model, f"holds {member.name[:200]!r} twice")
    taken.add(name)
    return name


def _verify(folder: Path, model: Model) -> None:
    try:
        manifest: Any = read_json(folder / _MANIFEST)
        if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
            raise IntegrityError(f"{_MANIFEST} names no files")
        if not str(manifest.get("id")).startswith(model.root_version or ""):
            raise IntegrityError(f"{_MANIFEST} is of another model than the server's card")
        verify(folder, manifest["files"])
    except IntegrityError as error:
        raise _broken(model, f"does not verify: {error.message}") from None


def _broken(model: Model, what: str) -> IntegrityError:
    return IntegrityError(f"what came {what}", where=f"model {model.id}", remedy=_AGAIN)
