import sys
from pathlib import Path

import pytest

from modwright.jobs.checking import ProcessChecker

sys.path[:0] = [str(Path(__file__).parents[1] / "serving"), str(Path(__file__).parent)]


@pytest.fixture(scope="session")
def checker():
    """The process that checks uploads, one for every server here."""
    made = ProcessChecker(parallel=1)
    yield made
    made.close()
