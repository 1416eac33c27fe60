"""Connections lent to a worker that doubles what it gets, and a model that runs for as long as a test wants."""

import pytest

from tests.fakes.lendings import Bench, Gate, double


@pytest.fixture
def lending(tmp_path):
    with Bench(tmp_path, double) as lending:
        yield lending


@pytest.fixture
def gate():
    return Gate()
