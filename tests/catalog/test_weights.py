"""Bases whose weights lie in several files: what identifies them, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save
from stand_ins import FILES, Hub, Told, sha256

from modwright import catalog
from modwright.catalog.weights import INDEX, WEIGHTS, tensor_bytes, weight_files
from modwright.errors import IntegrityError, ModwrightError, UsageError
from modwright.files import sha256_json
from modwright.settings import Settings

REPO = "org/large-base"
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
MAP = {"a.weight": ONE, "b.weight": ONE, "c.weight": TWO}


def shard(*names: str) -> bytes:
    return save({name: np.full((4, 2), place, dtype=np.float32) for place, name in enumerate(names)})


def index(weight_map: Any = MAP, total: Any = 96) -> bytes:
    return json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}).encode()


LARGE = {
    **{name: data for name, data in FILES.items() if name != WEIGHTS},
    INDEX: index(),
    ONE: shard("a.weight", "b.weight"),
    TWO: shard("c.weight"),
}
PICKLES = {
    "pytorch_model-00001-of-00002.bin": b"pickle",
    "pytorch_model-00002-of-00002.bin": b"pickle",
    "pytorch_model.bin.index.json": b"{}",
}
IDENTITY = sha256_json({"weight_map": MAP, "files": {ONE: sha256(LARGE[ONE]), TWO: sha256(LARGE[TWO])}})


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def test_a_folder_of_several_files_is_a_base(tmp_path: Path, settings: Settings) -> None:
    found = catalog.fetch_base(str(write(tmp_path / "mine", LARGE | PICKLES)), settings)
    assert (found.weights, found.weights_sha256) == (INDEX, IDENTITY)
    assert weight_files(found.path) == (INDEX, ONE, TWO)
    assert found.tokenizer_sha256 == sha256(FILES["tokenizer.json"])


def test_only_what_the_weights_are_decides_the_identity(tmp_path: Path, settings: Settings) -> None:
    def identity(name: str, **files: bytes) -> str:
        folder = write(tmp_path / name, {**LARGE, **{INDEX: files.get("index", LARGE[INDEX])}})
        (folder / TWO).write_bytes(files.get("two", LARGE[TWO]))
        os.utime(folder / ONE, (1, 1))
        return catalog.fetch_base(str(folder), settings).weights_sha256

    otherwise = json.dumps({"weight_map": dict(reversed(MAP.items()))}, indent=7).encode()
    assert identity("same", index=otherwise) == IDENTITY
    assert identity("another tensor", two=save({"c.weight": np.ones((4, 2), dtype=np.float32)})) != IDENTITY
    more = index({**MAP, "d.weight": TWO})
    assert identity("another map", index=more, two=shard("c.weight", "d.weight")) != IDENTITY


def test_the_hub_gives_the_same_base_and_no_pickle(
    hub: Hub, tmp_path: Path, settings: Settings, told: Told
) -> None:
    hub.repositories[REPO] = LARGE | PICKLES | {"consolidated.safetensors": b"the same again"}
    found = catalog.fetch_base(REPO, settings, progress=told)
    assert (found.weights, found.weights_sha256) == (INDEX, IDENTITY)
    assert {path.name for path in found.path.iterdir()} == {*LARGE, "base.json"}
    assert told.steps[-1][1] == told.steps[-1][2] == len(LARGE[ONE]) + len(LARGE[TWO])
    (kept,) = catalog.cached_bases(settings)
    assert (kept.weights_sha256, kept.size_bytes) == (IDENTITY, sum(map(len, LARGE.values())))

    asked = hub.requests.total()
    assert catalog.fetch_base(REPO, settings) == found
    assert hub.requests.total() == asked, "a warm cache asks nobody"
    (found.path / TWO).write_bytes(LARGE[TWO][:-1])
    assert catalog.fetch_base(REPO, settings, progress=told) == found
    assert "damaged and is fetched again" in told.notices[-1]
    assert (found.path / TWO).read_bytes() == LARGE[TWO]


def test_one_file_is_taken_where_the_hub_has_both(hub: Hub, settings: Settings) -> None:
    hub.repositories[REPO] = LARGE | FILES
    found = catalog.fetch_base(REPO, settings)
    assert (found.weights, found.weights_sha256) == (WEIGHTS, sha256(FILES[WEIGHTS]))
    assert {path.name for path in found.path.iterdir()} == {*FILES, "base.json"}


def test_a_folder_that_was_saved_into_twice_is_refused(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(UsageError, match=r"in model\.safetensors and in several files") as refused:
        catalog.fetch_base(str(write(tmp_path / "both", LARGE | FILES)), settings)
    assert "remove what is not meant" in str(refused.value)
    alone = {**FILES, INDEX: index({"a.weight": WEIGHTS})}
    assert catalog.fetch_base(str(write(tmp_path / "named", alone)), settings).weights == WEIGHTS


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def put(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda folder: folder.joinpath(name).write_bytes(data) and None


LATE: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut off": (put(TWO, LARGE[TWO][:-1]), f"{TWO}.*has 103 bytes, its header says 104"),
    "longer": (put(TWO, LARGE[TWO] + b"x"), f"{TWO}.*bytes, its header says"),
    "empty": (put(TWO, b""), f"{TWO}.*no safetensors file, or is cut off"),
    "a pickle": (put(TWO, b"\x80\x04" + bytes(40)), f"{TWO}.*safetensors"),
    "a pointer": (put(ONE, b"version https://git-lfs.github.com/spec/v1\n"), f"{ONE}.*no safetensors file"),
    "no header": (put(TWO, (2).to_bytes(8, "little") + b"[]"), f"{TWO}.*no header of safetensors"),
    "no places": (put(TWO, (8).to_bytes(8, "little") + b'{"c": 1}'), f"{TWO}.*no header of safetensors"),
    "backwards": (
        put(TWO, (31).to_bytes(8, "little") + b'{"c.w": {"data_offsets":[4,0]}}'),
        f"{TWO}.*data_offsets 4, 0",
    ),
    "of another model": (put(TWO, shard("x.weight")), f"{TWO}.*lacks 'c.weight', which"),
    "a tensor twice": (
        put(TWO, shard("b.weight", "a.weight", "c.weight")),
        f"{TWO}.*holds 'a.weight' and 1 more tensors, which .* says lies in {ONE}",
    ),
    "another model's size": (
        put(INDEX, index(total=961)),
        f"{INDEX}.*total_size of 961 bytes, the tensors have 96",
    ),
}
EARLY: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (without(TWO), f"{INDEX}.*names 2 files, of which 1 are missing: {TWO}"),
    "no JSON": (put(INDEX, b"{"), "not valid JSON"),
    "no object": (put(INDEX, b"[]"), f"{INDEX}.*no 'weight_map'"),
    "no map": (put(INDEX, b'{"weight_map": {}}'), f"{INDEX}.*no 'weight_map'"),
    "no name": (put(INDEX, index({**MAP, "c.weight": 2})), "'c.weight' lies in 2, expected"),
    "a path": (
        put(INDEX, index({**MAP, "c.weight": f"../{TWO}"})),
        "'c.weight' lies in .*expected a file beside",
    ),
    "a windows path": (put(INDEX, index({**MAP, "c.weight": f"..\\{TWO}"})), "expected a file beside"),
    "a pickled one": (
        put(INDEX, index({**MAP, "c.weight": "model-1-of-2.bin"})),
        "named like model-00001-of",
    ),
    "a file of ours": (
        put(INDEX, index({**MAP, "c.weight": "heads.safetensors"})),
        "named like model-00001-of",
    ),
    "no size": (put(INDEX, index(total="much")), 'total_size of "much", a number of bytes'),
    "negative size": (put(INDEX, index(total=-1)), "total_size of -1, a number of bytes"),
}


@pytest.mark.parametrize("case", [*LATE, *EARLY])
def test_files_that_are_not_what_the_index_says_are_refused(
    case: str, tmp_path: Path, settings: Settings
) -> None:
    damage, told = (LATE | EARLY)[case]
    folder = write(tmp_path / "mine", LARGE)
    damage(folder)
    with pytest.raises(IntegrityError, match=told):
        catalog.fetch_base(str(folder), settings)


@pytest.mark.parametrize("case", ["cut off", "of another model", "missing", "a path", "no JSON"])
def test_so_they_are_from_the_hub(
    case: str, hub: Hub, tmp_path: Path, settings: Settings, told: Told
) -> None:
    damage, _ = (LATE | EARLY)[case]
    folder = write(tmp_path / "theirs", LARGE)
    damage(folder)
    hub.repositories[REPO] = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(IntegrityError) as refused:
        catalog.fetch_base(REPO, settings, progress=told)
    assert f"hub ({REPO}@main)" in str(refused.value), "the place is one that stays"
    assert refused.value.remedy
    fetched = any(f"/resolve/{hub.commit}/{ONE}" in path for path in hub.requests)
    assert fetched == (case in LATE), "what the index shows costs no download of weights"
    assert not catalog.cached_bases(settings)
    assert not [path for path in (settings.cache_dir / "bases").iterdir() if path.suffix != ".lock"]


def test_a_file_that_the_index_does_not_name_is_refused(tmp_path: Path, settings: Settings) -> None:
    folder = write(tmp_path / "mine", LARGE)
    shutil.copy(folder / TWO, folder / "model-00003-of-00003.safetensors")
    with pytest.raises(IntegrityError, match=r"model-00003-of-00003.*does not name it") as refused:
        catalog.fetch_base(str(folder), settings)
    assert "remove it" in str(refused.value)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (PICKLES, "only as a pickle.*never loaded.*safe_serialization"),
        (
            {ONE: LARGE[ONE], TWO: LARGE[TWO]},
            r"neither model\.safetensors nor .*index\.json.*save_pretrained",
        ),
    ],
)
def test_pickles_and_files_without_an_index_are_refused(
    files: dict[str, bytes], told: str, tmp_path: Path, settings: Settings
) -> None:
    folder = write(tmp_path / "mine", {"config.json": b"{}", "tokenizer.json": b"{}", **files})
    with pytest.raises(UsageError, match=told):
        catalog.fetch_base(str(folder), settings)


def test_a_manifest_that_was_changed_is_told(hub: Hub, settings: Settings) -> None:
    hub.repositories[REPO] = LARGE
    path = catalog.fetch_base(REPO, settings).path / "base.json"
    text = json.loads(path.read_text())
    for changed in (
        {**text, "weights_sha256": 7},
        {key: text[key] for key in text if key != "weights_sha256"},
    ):
        path.write_text(json.dumps(changed))
        with pytest.raises(ModwrightError, match="is no manifest of a base"):
            catalog.fetch_base(REPO, settings)


def test_a_header_tells_the_sizes(tmp_path: Path) -> None:
    (tmp_path / ONE).write_bytes(LARGE[ONE])
    assert tensor_bytes(tmp_path / ONE) == {"a.weight": 32, "b.weight": 32}
