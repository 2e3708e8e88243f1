"""Tensors that are sharded over processes, on disk: one safetensors file per process, read back by any number of them.

Each file holds this process's rows (along the first dimension) of every tensor, and says in its header which rows
those are of what whole shape. Whoever reads takes the rows it needs out of the files that have them, so that the
number of processes may change between two runs. Nothing is pickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modwright.errors import IntegrityError

_PLACES = "places"


@dataclass(frozen=True, slots=True)
class Place:
    """Rows `start` to `stop` of a tensor of a whole `shape`; a number has no rows and is (0, 1)."""

    start: int
    stop: int
    shape: tuple[int, ...]


def place_of(tensor: Any) -> Place:
    """Return which rows of a tensor this process holds; a tensor that is not sharded is held whole."""
    shape = tuple(int(size) for size in tensor.shape)
    if not is_sharded(tensor):
        return Place(0, shape[0] if shape else 1, shape)
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    local, offset = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
    start = min(int(offset[0]), shape[0])
    return Place(start, start + int(local[0]), shape)


def is_sharded(tensor: Any) -> bool:
    """Say whether this process holds a part of the tensor only."""
    return hasattr(tensor, "to_local")


def local(tensor: Any) -> Any:
    """Return the part that this process holds, as an ordinary tensor that shares its memory."""
    return tensor.to_local() if is_sharded(tensor) else tensor


def piece_name(kind: str, rank: int, world: int) -> str:
    """Return the name of one process's file: `model-00000-of-00002.safetensors`."""
    return f"{kind}-{rank:05d}-of-{world:05d}.safetensors"


def write_piece(folder: Path, kind: str, tensors: Mapping[str, Any], *, rank: int, world: int) -> Path:
    """Write this process's rows of every tensor; every process calls it, then the files are whole together."""
    from safetensors.torch import save_file

    places = {name: place_of(tensor) for name, tensor in tensors.items()}
    header = {name: [place.start, place.stop, list(place.shape)] for name, place in places.items()}
    path = folder / piece_name(kind, rank, world)
    parts = {name: _alone(local(tensor)) for name, tensor in tensors.items()}
    save_file(parts, path, metadata={_PLACES: json.dumps(header)})
    return path


def _alone(tensor: Any) -> Any:
    """Return the tensor on the CPU in memory of its own, as safetensors want it."""
    tensor = tensor.detach().cpu().contiguous()
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole else tensor.clone()


def read_pieces(
    folder: Path, kind: str, like: Mapping[str, Any], *, rank: int = 0, world: int = 1
) -> dict[str, Any]:
    """Return, under each name of `like`, this process's rows of a tensor sharded as the one given, as ordinary tensors.

    What is given as None is read as this process wrote it, where there were as many then, else as the first one did. A
    name that was not written is left out. What one process wrote alone (`<kind>.safetensors`) is read as well.

    Raises:
        IntegrityError: a file or rows are missing, unreadable, or a tensor has another shape than the one given.
    """
    from safetensors import SafetensorError

    try:
        files = _opened(folder, kind)
        own = files[rank if len(files) == world else 0]
        found = {}
        for name, expected in like.items():
            if name not in own.places:
                continue
            if expected is None:
                found[name] = own.file.get_tensor(name)
            else:
                found[name] = _rows(files, name, place_of(expected))
        return found
    except (SafetensorError, OSError) as error:
        raise IntegrityError(f"cannot be read: {error}", where=str(folder)) from None


@dataclass(frozen=True, slots=True)
class _Piece:
    """One process's file, opened, and which rows of what it holds."""

    path: Path
    file: Any
    places: dict[str, Place]


def _opened(folder: Path, kind: str) -> list[_Piece]:
    """Open the files of one kind; IntegrityError unless there is one of every process that wrote."""
    from safetensors import safe_open

    alone = folder / f"{kind}.safetensors"
    if alone.is_file():
        file: Any = safe_open(alone, framework="pt")
        return [_Piece(alone, file, {name: _place_in(file, name) for name in list(file.keys())})]
    paths = sorted(folder.glob(f"{kind}-?????-of-?????.safetensors"))
    worlds = {path.stem.rpartition("-")[2] for path in paths}
    if len(worlds) != 1 or len(paths) != int(next(iter(worlds))):
        names = ", ".join(path.name for path in paths) or "none"
        raise IntegrityError(
            f"expected one file '{kind}-…' of every process, found {names}", where=str(folder)
        )
    files = [safe_open(path, framework="pt") for path in paths]
    return [_Piece(path, file, _header(path, file)) for path, file in zip(paths, files, strict=True)]


def _header(path: Path, file: Any) -> dict[str, Place]:
    try:
        places = json.loads(file.metadata()[_PLACES])
        return {
            name: Place(int(start), int(stop), tuple(int(size) for size in shape))
            for name, (start, stop, shape) in places.items()
        }
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise IntegrityError(f"is not a piece of sharded tensors: {error!r}", where=str(path)) from None


def _place_in(file: Any, name: str) -> Place:
    shape = tuple(int(size) for size in file.get_slice(name).get_shape())
    return Place(0, shape[0] if shape else 1, shape)


def _rows(files: list[_Piece], name: str, wanted: Place) -> Any:
    """Return rows of a tensor out of the files that hold them, the first ones first."""
    import torch

    if not wanted.shape:
        _same_shape(files[0], name, wanted)
        return files[0].file.get_tensor(name)
    found, at = [], wanted.start
    for piece in files:
        held = _same_shape(piece, name, wanted)
        stop = min(wanted.stop, held.stop)
        if held.start <= at < stop:
            found.append(piece.file.get_slice(name)[at - held.start : stop - held.start])
            at = stop
    if at < wanted.stop:
        raise IntegrityError(
            f"rows {at} to {wanted.stop} of '{name}' are missing", where=str(files[0].path.parent)
        )
    if not found:  # more processes than rows: this one holds none
        return files[0].file.get_slice(name)[0:0]
    return found[0] if len(found) == 1 else torch.cat(found)


def _same_shape(piece: _Piece, name: str, wanted: Place) -> Place:
    held = piece.places.get(name)
    if held is None or held.shape != wanted.shape:
        found = "is missing" if held is None else f"has the shape {held.shape}"
        raise IntegrityError(f"'{name}' {found}, expected {wanted.shape}", where=str(piece.path))
    return held
