"""The built package: everything in it that runs, nothing that does not, and a command that starts."""

import subprocess
import sys
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import modwright

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "modwright"


def test_the_version_is_stated_once():
    assert metadata.version("modwright") == modwright.__version__


def test_the_command_is_installed_and_says_its_version():
    command = Path(sys.executable).with_name("modwright")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"modwright {modwright.__version__}\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel; hatchling comes from the package index."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT]
    subprocess.run(command, check=True, timeout=300)
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.real
def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        path.relative_to(SOURCE.parent).as_posix()
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == expected
    assert {"modwright/py.typed", "modwright/recipes/fast.toml"} < names


@pytest.mark.real
def test_the_wheel_tells_its_licence_and_extras(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        told = archive.read(name).decode()
        assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())
    assert "License-Expression: Apache-2.0" in told
    for extra in ("data", "serve", "train", "all", "dev"):
        assert f"Provides-Extra: {extra}\n" in told


@pytest.mark.real
def test_the_core_alone_starts_and_names_the_extra_that_is_missing(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    folder = tmp_path / "venv" / "bin"
    install = [folder / "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel]
    subprocess.run(install, check=True, timeout=600)
    helped = subprocess.run([folder / "modwright", "--help"], capture_output=True, text=True, timeout=60)
    assert helped.returncode == 0
    assert "quickstart" in helped.stdout
    (tmp_path / "rows.csv").write_text("text,insult\nyou are a silly goose,1\nwhat a lovely day,0\n")
    for command, extra in (
        (["data", "import", "rows.csv", "--label", "insult", "--out", "rows"], "data"),
        (["serve", "--port", "0"], "serve"),
    ):
        done = subprocess.run(
            [folder / "modwright", *command], capture_output=True, text=True, timeout=60, cwd=tmp_path
        )
        assert done.returncode == 6, (command, done.stdout, done.stderr)
        assert f"modwright[{extra}]" in done.stderr
        assert "Traceback" not in done.stderr
