"""The official clients, every kept version in a place of its own, against a real server process.

The installed clients are kept under MODWRIGHT_TEST_CLIENTS where it is set, else for one run of pytest.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.real
HERE = Path(__file__).parent
#: A requirement without '==' takes the newest of its line.
CLIENTS = [
    ("drive_mistral.py", "mistralai==1.7.0"),
    ("drive_mistral.py", "mistralai==1.12.4"),
    ("drive_mistral.py", "mistralai==2.5.1"),
    ("drive_mistral.py", "mistralai>=3,<4"),
    ("drive_openai.py", "openai==1.109.1"),
    ("drive_openai.py", "openai==2.54.0"),
    ("drive_openai.py", "openai>=3,<4"),
]


@pytest.fixture(scope="module")
def url():
    command = [sys.executable, str(HERE / "serve_fake.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
            assert process.wait(20) == 0


def install(requirement, folder):
    """Return a Python that has the client; an interrupted installation is done again."""
    place = folder / requirement.translate(str.maketrans("=<>,", "____"))
    python, done = place / "bin" / "python", place / "installed"
    if not done.exists():
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", requirement], check=True, timeout=600)
        done.touch()
    return python


@pytest.mark.parametrize(("driver", "requirement"), CLIENTS, ids=[requirement for _, requirement in CLIENTS])
def test_a_client_works_as_its_documentation_says(url, clients_folder, driver, requirement):
    python = install(requirement, clients_folder)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [python, HERE / driver, url], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("passed")


#: Jobs went from `mistralai` with 2.5.2.
TRAINING = [requirement for _, requirement in CLIENTS if requirement != "mistralai>=3,<4"]


@pytest.mark.parametrize("requirement", TRAINING)
def test_a_client_parses_every_kept_body_of_jobs(clients_folder, requirement):
    python = install(requirement, clients_folder)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    kept = HERE.parents[1] / "golden" / "jobs"
    done = subprocess.run(
        [python, HERE / "parse_jobs.py", kept], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("passed")


@pytest.mark.parametrize("requirement", [requirement for _, requirement in CLIENTS])
def test_a_client_parses_every_kept_body_of_models(clients_folder, requirement):
    python = install(requirement, clients_folder)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    kept = HERE.parents[1] / "golden" / "models"
    done = subprocess.run(
        [python, HERE / "parse_models.py", kept], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("passed")
