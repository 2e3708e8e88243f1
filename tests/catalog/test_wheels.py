"""Reading zips: whatever a zip holds, only the wanted members are read and nothing is written outside."""

from __future__ import annotations

import io
import stat
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins import make_zip

from modwright.catalog.wheels import unpack_members
from modwright.errors import IntegrityError

LABEL = "package index (x 1)"


def unpack(data: bytes, folder: Path, members: dict[str, str]) -> None:
    path = folder.parent / "x.whl"
    path.write_bytes(data)
    folder.mkdir(exist_ok=True)
    unpack_members(path, members, folder, dict.fromkeys(members, 10), LABEL)


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "..\\evil", "C:\\evil", "a/../../evil", "\\\\host\\evil", "a\\..\\e"]
)
def test_a_name_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(IntegrityError, match="points outside"):
        unpack(make_zip({"good": b"good", name: b"evil"}), tmp_path / "in", {"good": "good"})
    assert not list((tmp_path / "in").iterdir())


@given(st.dictionaries(st.text("ab./\\:", min_size=1, max_size=8), st.binary(max_size=4), max_size=4))
def test_whatever_the_names_nothing_is_written_but_the_wanted_file(members: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder) / "deep" / "in"
        inside.parent.mkdir()
        try:
            unpack(make_zip({**members, "wanted": b"yes"}), inside, {"file": "wanted"})
        except IntegrityError:
            pass
        else:
            assert (inside / "file").read_bytes() == b"yes"
        found = {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}
        assert found <= {"deep/x.whl", "deep/in/file"}


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/hosts")
    with pytest.raises(IntegrityError, match="no regular file"):
        unpack(buffer.getvalue(), tmp_path / "in", {"file": "link"})


def test_a_bomb_is_stopped_at_its_limit(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big", bytes(50_000_000))
    with pytest.raises(IntegrityError, match="grows past the 10 bytes"):
        unpack(buffer.getvalue(), tmp_path / "in", {"file": "big"})
    assert (tmp_path / "in" / "file").stat().st_size <= 1 << 20


@pytest.mark.parametrize("data", [b"", b"no zip at all", make_zip({"a": b"aaaa" * 100})[:-30]])
def test_what_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(IntegrityError, match="no readable zip"):
        unpack(data, tmp_path / "in", {"file": "a"})


def test_a_damaged_member_is_refused(tmp_path: Path) -> None:
    data = make_zip({"a": b"abcdefgh"}).replace(b"abcdefgh", b"abcdefgX", 1)
    with pytest.raises(IntegrityError, match="no readable zip"):
        unpack(data, tmp_path / "in", {"file": "a"})
