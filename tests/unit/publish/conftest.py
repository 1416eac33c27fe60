import pytest

from tests.fakes.bundles import make_bundle


@pytest.fixture(scope="session")
def adder(tmp_path_factory):
    """The directory of a built bundle; not to be changed."""
    return make_bundle(tmp_path_factory.mktemp("adder"))
