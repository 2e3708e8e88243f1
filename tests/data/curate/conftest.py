"""The random dataset that most tests of steps curate."""

from __future__ import annotations

import pytest
from tiny_datasets import random_dataset


@pytest.fixture
def dataset():
    return random_dataset()
