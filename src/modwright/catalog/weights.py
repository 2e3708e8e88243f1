"""The weights of a base: one safetensors file, or several with an index that says which tensor lies in which.

A base's identity is the sha256 of its one file. Of several it is the sha256 over canonical JSON (sorted keys, no spaces) of

    {"files": {name: sha256 of its bytes, ...}, "weight_map": {tensor: name, ...}}

so neither the index's order and blanks nor anybody's clock decides it. Only headers are read to check an index.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modwright.errors import IntegrityError, UsageError
from modwright.files import read_json, sha256_json

WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
_SHARD = re.compile(r"(?P<stem>\w[\w.]*(-[\w.]+)*)-\d+-of-\d+\.safetensors", re.ASCII)
_PICKLE = re.compile(r"(pytorch_)?model(-\d+-of-\d+)?\.(bin|pt|pth)(\.index\.json)?", re.ASCII)
_NAMED_LIKE = "model-00001-of-00002.safetensors"
#: A header longer than this is damage; safetensors themselves refuse it.
_LONGEST_HEADER_BYTES = 100_000_000
#: `total_size` of published indexes is off by buffers that were dropped and tensors that were tied; not by half.
_MOST_OFF = 1.5
_AGAIN = (
    "take all files of the weights again from where the base is from, or save them again with save_pretrained"
)


@dataclass(frozen=True, slots=True)
class Index:
    """What a checked index says.

    Attributes:
        weight_map: tensor to the name of the file it lies in.
        total_bytes: of all tensors, as stated; None where it is not.
    """

    weight_map: Mapping[str, str]
    total_bytes: int | None

    @property
    def files(self) -> tuple[str, ...]:
        """Return the names of the files, in order."""
        return tuple(sorted(set(self.weight_map.values())))

    def identity(self, sha256: Mapping[str, str]) -> str:
        """Return the identity of the weights, from the sha256 of every file."""
        files = {name: sha256[name] for name in self.files}
        return sha256_json({"files": files, "weight_map": dict(self.weight_map)})


def require_safe_weights(names: Collection[str], where: str) -> None:
    """Raise UsageError unless there are safetensors: one file, or an index of several."""
    if WEIGHTS in names or INDEX in names:
        return
    pickled = min((name for name in names if _PICKLE.fullmatch(name)), default=None)
    if pickled is not None:
        raise UsageError(
            f"has its weights only as a pickle ('{pickled}'), which is never loaded",
            where=where,
            remedy=f"save them as {WEIGHTS} with save_pretrained(..., safe_serialization=True)",
        )
    if any(name.endswith(".safetensors") for name in names):
        raise UsageError(
            f"has neither {WEIGHTS} nor {INDEX}, the index of weights in several files",
            where=where,
            remedy=_AGAIN,
        )
    raise UsageError(
        "has no weights", where=where, remedy=f"a base needs {WEIGHTS}, or several files and {INDEX}"
    )


def refuse_two(names: Collection[str], where: str) -> None:
    """Raise UsageError where weights lie both in one file and in several: a folder saved into twice holds two models."""
    if WEIGHTS in names and INDEX in names and any(_stem(name) == "model" for name in names):
        raise UsageError(
            f"has its weights in {WEIGHTS} and in several files as well",
            where=where,
            remedy=f"remove what is not meant: {WEIGHTS}, or {INDEX} and the files it names",
        )


def weight_files(folder: Path) -> tuple[str, ...]:
    """Return the names of the files that hold a folder's weights, their index first; as transformers chooses them.

    Raises:
        UsageError: there are no safetensors.
        IntegrityError: the index makes no sense.
    """
    names = {path.name for path in folder.iterdir() if path.is_file()}
    require_safe_weights(names, str(folder))
    if WEIGHTS in names:
        return (WEIGHTS,)
    return (INDEX, *read_index(folder / INDEX, names, str(folder / INDEX)).files)


def read_index(path: Path, names: Collection[str], where: str) -> Index:
    """Read an index and check it against the names of the files that are there.

    Args:
        path: of the index.
        names: of the files beside it, here or in a repository.
        where: what errors name as the place.

    Raises:
        IntegrityError: it is no index, names what is no file of weights, or a file that is not there.
    """
    try:
        data = read_json(path)
    except IntegrityError as error:
        raise IntegrityError(error.message, where=where, remedy=_AGAIN) from None
    found = data.get("weight_map") if isinstance(data, dict) else None
    if not isinstance(found, dict) or not found:
        raise IntegrityError("has no 'weight_map' of tensor to file", where=where, remedy=_AGAIN)
    for tensor, name in found.items():
        if not isinstance(name, str) or _SHARD.fullmatch(name) is None:
            raise IntegrityError(
                f"says that '{tensor}' lies in {json.dumps(name)[:80]}, expected a file beside it "
                f"that is named like {_NAMED_LIKE}",
                where=where,
                remedy=_AGAIN,
            )
    index = Index(found, _stated_bytes(data, where))
    missing = [name for name in index.files if name not in names]
    if missing:
        raise IntegrityError(
            f"names {len(index.files)} files, of which {len(missing)} are missing: {', '.join(missing[:3])}",
            where=where,
            remedy=_AGAIN,
        )
    return index


def check_weights(folder: Path, index: Index) -> None:
    """Check files against their index by their headers; no tensor is read.

    Tensors that the index does not name at all are left to whoever loads them.

    Raises:
        IntegrityError: a file is cut off or no safetensors, a tensor is not in the file that is named or in another one,
            there is a file of weights more, or the size that is stated is another model's.
    """
    total = 0
    for name in index.files:
        held = tensor_bytes(folder / name)
        total += sum(held.values())
        _compare(folder / name, held, index)
    stems = {_stem(name) for name in index.files}
    for path in sorted(folder.glob("*.safetensors")):
        if path.name not in index.files and _stem(path.name) in stems:
            raise IntegrityError(
                f"belongs to other weights: {INDEX} does not name it",
                where=str(path),
                remedy="remove it, or put the index that names it beside it",
            )
    stated = index.total_bytes
    if stated is not None and not total / _MOST_OFF <= stated <= total * _MOST_OFF:
        raise IntegrityError(
            f"states a total_size of {stated:,} bytes, the tensors have {total:,}",
            where=str(folder / INDEX),
            remedy=_AGAIN,
        )


def tensor_bytes(path: Path) -> dict[str, int]:
    """Return tensor name to size of a safetensors file, from its header.

    Raises:
        IntegrityError: the header makes no sense, or the file is longer or shorter than it says.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER_BYTES):
            raise IntegrityError("is no safetensors file, or is cut off", where=str(path), remedy=_AGAIN)
        text = stream.read(length)
    try:
        header: dict[str, Any] = json.loads(text)
        header.pop("__metadata__", None)
        places = {
            name: (int(begin), int(end)) for name, entry in header.items() for begin, end in _place(entry)
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise IntegrityError(
            f"has no header of safetensors: {error!r}", where=str(path), remedy=_AGAIN
        ) from None
    stop = max((end for _, end in places.values()), default=0)
    if size != 8 + length + stop:
        raise IntegrityError(
            f"has {size:,} bytes, its header says {8 + length + stop:,}", where=str(path), remedy=_AGAIN
        )
    return {name: end - begin for name, (begin, end) in places.items()}


def _place(entry: Mapping[str, Any]) -> list[tuple[int, int]]:
    begin, end = entry["data_offsets"]
    if not 0 <= begin <= end:
        raise ValueError(f"data_offsets {begin!r}, {end!r}")
    return [(begin, end)]


def _compare(path: Path, held: Mapping[str, int], index: Index) -> None:
    wanted = {tensor for tensor, name in index.weight_map.items() if name == path.name}
    missing = sorted(wanted - held.keys())
    if missing:
        raise IntegrityError(
            f"lacks '{missing[0]}'{_more(missing)}, which {INDEX} says lies here",
            where=str(path),
            remedy=_AGAIN,
        )
    elsewhere = sorted(tensor for tensor in held if index.weight_map.get(tensor, path.name) != path.name)
    if elsewhere:
        raise IntegrityError(
            f"holds '{elsewhere[0]}'{_more(elsewhere)}, which {INDEX} says lies in "
            f"{index.weight_map[elsewhere[0]]}",
            where=str(path),
            remedy=_AGAIN,
        )


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more tensors" if len(names) > 1 else ""


def _stem(name: str) -> str | None:
    match = _SHARD.fullmatch(name)
    return None if match is None else match["stem"]


def _stated_bytes(data: Mapping[str, Any], where: str) -> int | None:
    """Return an index's `total_size`; some writers state it as a float."""
    metadata = data.get("metadata") or {}
    stated = metadata.get("total_size") if isinstance(metadata, dict) else metadata
    if stated is None:
        return None
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not 0 < stated < 2**63:
        raise IntegrityError(
            f"states a total_size of {json.dumps(stated)[:40]}, a number of bytes was expected",
            where=where,
            remedy=_AGAIN,
        )
    return int(stated)
