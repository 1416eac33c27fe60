import pytest

from tests.fakes.attack_scenes import Scene, make_past, served


@pytest.fixture(scope="session")
def past(tmp_path_factory):
    return make_past(tmp_path_factory.mktemp("past"))


@pytest.fixture(scope="session")
def place(past):
    with served(past.trees / "second") as pair:
        yield pair


@pytest.fixture
def scene(tmp_path, past, place):
    """The mirror shows what the device knows, until somebody changes it."""
    return Scene(tmp_path, past, *place)
