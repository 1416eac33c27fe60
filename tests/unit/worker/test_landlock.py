"""Rights by version of Landlock's interface, and what this kernel says to them."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.worker.landlock import make_ruleset, read_abi, rights_of

VERSIONS = st.integers(1, 30)


@pytest.fixture
def abi():
    try:
        return read_abi()
    except OSError as exc:
        pytest.skip(f"needs a kernel with Landlock: {exc.strerror}")


@given(older=VERSIONS, newer=VERSIONS)
def test_a_newer_version_takes_away_no_less(older, newer):
    older, newer = sorted((older, newer))
    before, after = rights_of(older), rights_of(newer)

    for name in ("fs", "net", "scoped"):
        assert getattr(before, name) & getattr(after, name) == getattr(before, name)


@pytest.mark.parametrize(
    ("version", "fs_bits", "net", "scoped"),
    [
        (1, 13, 0, 0),
        (2, 14, 0, 0),
        (3, 15, 0, 0),
        (4, 15, 3, 0),
        (5, 16, 3, 0),
        (6, 16, 3, 3),
        (7, 16, 3, 3),
        (9, 17, 3, 3),
    ],
)
def test_rights_are_those_of_the_version(version, fs_bits, net, scoped):
    """linux/landlock.h of the kernels that brought them: 5.13, 5.19, 6.2, 6.7, 6.10, 6.12, 6.15, 7.1."""
    rights = rights_of(version)
    assert (rights.fs, rights.net, rights.scoped) == ((1 << fs_bits) - 1, net, scoped)


def test_the_kernel_knows_all_rights_of_its_version(abi):
    """It would refuse the whole ruleset otherwise. Making one binds nobody."""
    os.close(make_ruleset(rights_of(abi)))


def test_the_kernel_refuses_rights_that_it_does_not_know(abi):
    """Which is why the version is asked for."""
    newest = next((version for version in range(abi + 1, 30) if rights_of(version) != rights_of(abi)), None)
    if newest is None:
        pytest.skip("needs a kernel older than the newest rights")
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        make_ruleset(rights_of(newest))
