"""Files through the official clients, every kept version, against a real server."""

import os
import subprocess
from pathlib import Path

import pytest
from files_server import kept
from serving_fakes import deployments, served
from test_client_matrix import CLIENTS, install

from modwright.jobs.checking import ProcessChecker

TESTS = Path(__file__).parents[2]
pytestmark = pytest.mark.real


@pytest.mark.parametrize("requirement", [requirement for _, requirement in CLIENTS])
def test_files_come_and_go_as_the_clients_documentation_says(tmp_path, clients_folder, requirement):
    python = install(requirement, clients_folder)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with kept(tmp_path, ProcessChecker(parallel=1)) as factory, served(deployments(), factory) as url:
        done = subprocess.run(
            [python, TESTS / "e2e" / "clients" / "drive_files.py", url],
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "passed\n"
