import os
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[2] / room) for room in ("serving", "api")]

# Taken out of the environment: to the server it would be an unknown setting.
_KEPT = os.environ.pop("MODWRIGHT_TEST_CLIENTS", None)


@pytest.fixture(scope="session")
def clients_folder(tmp_path_factory):
    """Give the folder of the installed clients: kept where MODWRIGHT_TEST_CLIENTS says, else for this run."""
    return Path(_KEPT) if _KEPT else tmp_path_factory.mktemp("clients")
