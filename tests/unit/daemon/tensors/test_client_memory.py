"""Only memory that nothing a client does later can take away is lent to a worker."""

import fcntl
import os
import socket

import pytest

from edged.daemon.tensors.client_memory import check_memory
from edged.errors import BodyTooLargeError, RequestError
from tests.fakes.fast_paths import make_memory

MOST = 1 << 20
MFD_HUGETLB = 4
F_SEAL_FUTURE_WRITE = 0x10


@pytest.fixture
def descriptors():
    made = []
    yield made
    for descriptor in made:
        os.close(descriptor)


@pytest.mark.parametrize("seals", [fcntl.F_SEAL_SHRINK, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL])
def test_sealed_memory_is_good(descriptors, seals):
    descriptors.append(make_memory(4096, seals=seals))

    assert check_memory(descriptors[0], most_bytes=MOST) == 4096


@pytest.mark.parametrize(
    ("seals", "complaint"),
    [
        (0, "can be cut short"),
        (fcntl.F_SEAL_GROW, "can be cut short"),
        (fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE, "cannot be written"),
        (fcntl.F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE, "cannot be written"),
    ],
)
def test_memory_with_other_seals_is_refused(descriptors, seals, complaint):
    descriptors.append(make_memory(4096, seals=seals))

    with pytest.raises(RequestError, match=complaint) as caught:
        check_memory(descriptors[0], most_bytes=MOST)
    assert caught.value.hint


def test_memory_that_may_only_be_read_is_refused(descriptors):
    descriptors.append(make_memory(4096))
    descriptors.append(os.open(f"/proc/self/fd/{descriptors[0]}", os.O_RDONLY))

    with pytest.raises(RequestError, match="cannot be written"):
        check_memory(descriptors[1], most_bytes=MOST)


def test_huge_pages_are_refused(descriptors):
    """One that the client punches out again may be missing when the worker touches it, which ends the worker."""
    try:
        descriptors.append(os.memfd_create("huge", os.MFD_ALLOW_SEALING | MFD_HUGETLB))
        os.ftruncate(descriptors[0], 2 << 20)
    except OSError as exc:
        pytest.skip(f"needs a kernel with huge pages: {exc.strerror}")
    fcntl.fcntl(descriptors[0], fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)

    with pytest.raises(RequestError, match="huge pages"):
        check_memory(descriptors[0], most_bytes=4 << 20)


def test_files_and_sockets_are_refused(descriptors, tmp_path):
    """A file of a tmpfs, too: it cannot be sealed, so it can be cut short."""
    descriptors.append(os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT))
    descriptors.append(os.open("/dev/shm", os.O_RDWR | os.O_TMPFILE))
    left, right = socket.socketpair()
    descriptors += [left.detach(), right.detach()]
    for descriptor in descriptors:
        with pytest.raises(RequestError, match=r"no memory|cut short"):
            check_memory(descriptor, most_bytes=MOST)


def test_memory_of_no_size_and_of_too_much_is_refused(descriptors):
    descriptors += [make_memory(0), make_memory(MOST), make_memory(MOST + 1)]

    with pytest.raises(RequestError, match="empty"):
        check_memory(descriptors[0], most_bytes=MOST)
    assert check_memory(descriptors[1], most_bytes=MOST) == MOST
    with pytest.raises(BodyTooLargeError, match="at most"):
        check_memory(descriptors[2], most_bytes=MOST)
