import pytest

from tests.fakes.trust_worlds import World, make_repository


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A repository, made once, and its keys."""
    return make_repository(tmp_path_factory.mktemp("made"))


@pytest.fixture
def world(tmp_path, made):
    return World(tmp_path, *made)
