"""What a role lists, and what is believed of it."""

import hashlib
import shutil

import pytest
from tuf.api.metadata import TargetFile

from edged.errors import DigestMismatchError, FileMissingError, TrustError
from edged.files import hash_bytes
from tests.fakes.trust_worlds import DOCUMENT


def list_target(world, hashes, *, length=2):
    info = TargetFile(length, hashes, DOCUMENT)
    world.forger.sign("ops", lambda ops: ops.targets.update({DOCUMENT: info}))
    world.forger.pin("ops")


def hashed(algorithm, data=b"{}"):
    return {algorithm: hashlib.new(algorithm, data).hexdigest()}


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_target_is_believed_by_a_strong_hash(world, algorithm):
    hashes = hashed(algorithm)
    list_target(world, hashes)
    (world.tree / "targets/ops").mkdir(parents=True, exist_ok=True)
    (world.tree / f"targets/ops/{hashes[algorithm]}.some.json").write_bytes(b"{}")

    assert world.refresh().read_target(DOCUMENT, max_bytes=10).digest == hash_bytes(b"{}")


@pytest.mark.parametrize("hashes", [hashed("md5"), hashed("sha1"), {"unknown": "00"}], ids=["md5", "sha1", "unknown"])
def test_target_without_a_strong_hash_is_refused_before_it_is_fetched(world, hashes):
    list_target(world, hashes)
    repository = world.refresh()
    world.origin.asked.clear()

    with pytest.raises(TrustError, match="SHA-256"):
        repository.read_target(DOCUMENT, max_bytes=10)
    assert world.origin.targets_asked() == []


def test_target_with_a_hash_that_nobody_can_compute_is_refused(world):
    list_target(world, hashed("sha256") | {"shake_128": "00"})
    place = world.tree / f"targets/ops/{hash_bytes(b'{}')}.some.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"{}")

    with pytest.raises(TrustError):
        world.refresh().read_target(DOCUMENT, max_bytes=10)


def test_target_larger_than_wanted_is_refused_before_it_is_fetched(world):
    list_target(world, hashed("sha256"), length=11)
    repository = world.refresh()
    world.origin.asked.clear()

    with pytest.raises(TrustError, match="more than 10 bytes"):
        repository.read_target(DOCUMENT, max_bytes=10)
    assert world.origin.targets_asked() == []


def test_known_bytes_that_are_still_signed_are_not_fetched(world):
    world.forger.target("ops", DOCUMENT, b"{}")
    world.forger.pin("ops")
    repository = world.refresh()
    world.origin.asked.clear()

    assert repository.read_target(DOCUMENT, max_bytes=10, known=b"{}").data == b"{}"
    assert world.origin.targets_asked() == []
    assert repository.read_target(DOCUMENT, max_bytes=10, known=b"[]").data == b"{}"


def test_target_that_nobody_lists_or_that_the_host_does_not_have_is_missing(world):
    world.forger.target("ops", DOCUMENT, b"{}")
    world.forger.pin("ops")
    shutil.rmtree(world.tree / "targets")
    repository = world.refresh()

    for path in (DOCUMENT, "ops/other.json", "somewhere/else.json"):
        with pytest.raises(FileMissingError):
            repository.read_target(path, max_bytes=10)


def test_role_signs_only_its_own_paths(world):
    """Listing more is of no use: nobody asks the role for it."""
    world.forger.target("ops", "stop/stop.json", b"{}")
    world.forger.pin("ops")

    with pytest.raises(FileMissingError):
        world.refresh().read_target("stop/stop.json", max_bytes=10)


@pytest.mark.parametrize("custom", [None, {}, [], "text", 7, {"min_version": "1.0.0"}])
def test_custom_part_of_a_target_may_be_missing_or_anything(world, custom):
    world.forger.target("ops", DOCUMENT, b"{}", **({} if custom is None else {"custom": custom}))
    world.forger.pin("ops")
    repository = world.refresh()
    assert repository.custom_of("ops") == {}, "nothing was looked up yet"

    repository.read_target(DOCUMENT, max_bytes=10)

    assert repository.custom_of("ops") == ({DOCUMENT: custom} if isinstance(custom, dict) else {})
    assert repository.custom_of("nobody") == {}


def test_bytes_that_are_not_signed_are_refused(world):
    world.forger.target("ops", DOCUMENT, b"{}")
    world.forger.pin("ops")
    next((world.tree / "targets/ops").iterdir()).write_bytes(b"[]")

    with pytest.raises(DigestMismatchError):
        world.refresh().read_target(DOCUMENT, max_bytes=10)
