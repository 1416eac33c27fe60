"""A real model in the real daemon's lifecycle, on a device whose host is attacked in one way after the other.

The other modules show for each attack that the store stays as it is; this shows for one of each kind that what follows from that is true:
the same version gives the same answer, from the same slot.
"""

import asyncio
import shutil
from datetime import UTC, datetime

import pytest

from edged.errors import EdgedError
from edged.publish.keys.directory import Keyring
from edged.publish.repository.operations import init_repository, publish_bundle
from tests.fakes.attack_scenes import served
from tests.fakes.bundles import adder_answer, make_bundle
from tests.fakes.clocks import ManualClock
from tests.fakes.daemons import HELLO, started_daemon
from tests.fakes.forgers import Forger
from tests.fakes.repositories import Publisher
from tests.fakes.static_host import Fault
from tests.fakes.updates import device


@pytest.fixture
def repository(tmp_path):
    """1.0.0 as the device has it, then 1.1.0; ``past`` is the tree as it was with 1.0.0."""
    root, keys = tmp_path / "repository", Keyring(directory=tmp_path / "keys")
    init_repository(root, keys, now=datetime.now(UTC))
    for version, padding_bytes in (("1.0.0", 0), ("1.1.0", 400)):
        bundle = make_bundle(tmp_path / "bundles", version=version, padding_bytes=padding_bytes)
        publish_bundle(root, bundle, keys, now=datetime.now(UTC))
        shutil.copytree(root, tmp_path / version)
    return tmp_path


def code_of(it):
    try:
        return {one.error.code for one in it.poll().undone}
    except EdgedError as error:
        return {error.code}


def attacks(directory, web):
    """Yield name and code of each attack, once it is prepared."""
    web.root = Publisher(directory / "stranger").root
    yield "arbitrary software", {"signature-invalid"}

    web.root = directory / "1.0.0"
    thief = Forger(web.root, Keyring(directory=directory / "keys"), ["timestamp"])
    thief.sign("timestamp", lambda timestamp: setattr(timestamp, "version", 1))
    yield "rollback", {"metadata-rollback"}
    thief.path("timestamp").write_bytes(b"{")
    yield "a torn file", {"trust-failed"}

    web.root = directory / "1.1.0"
    for fault, code in (
        (Fault(body=b"<html></html>", content_type="text/html"), "captive-portal"),
        (Fault(body=b"{", is_endless=True), "digest-mismatch"),
        (Fault(status=503, body=b""), "fetch-failed"),
        (Fault(cut_after=10), "host-unreachable"),
    ):
        web.faults["metadata/timestamp.json"] = fault
        yield str(fault), {code}
    web.heal()
    for blob in (path for path in (web.root / "blobs").rglob("*") if path.is_file() and path.stat().st_size):
        web.alter(str(blob.relative_to(web.root)), 0)
    yield "altered blobs", {"digest-mismatch"}
    web.heal()


async def test_what_runs_goes_on_while_its_host_is_attacked(repository, tmp_path):
    with served(repository / "1.0.0") as (web, gate):
        root = repository / "repository/metadata/1.root.json"
        with device(tmp_path / "store", web, gate, root=root) as it:
            async with started_daemon(it.layout, tmp_path / "state.db") as daemon:
                await asyncio.to_thread(it.poll)
                await daemon.lifecycle.look()
                assert await daemon.answer() == ("1.0.0", adder_answer(HELLO))
                before = daemon.slots

                for attack, codes in attacks(repository, web):
                    assert await asyncio.to_thread(code_of, it) == codes, attack
                    await daemon.lifecycle.look()
                    assert await daemon.answer() == ("1.0.0", adder_answer(HELLO)), attack
                    assert daemon.slots == before, attack

                assert await asyncio.to_thread(code_of, it) == set()
                await daemon.lifecycle.look()
                assert (await daemon.answer())[0] == "1.1.0"


async def test_what_runs_goes_on_when_all_metadata_has_expired(repository, tmp_path):
    later = ManualClock(unix_s=datetime.now(UTC).timestamp() + 400 * 86_400)
    with served(repository / "1.0.0") as (web, gate):
        root = repository / "repository/metadata/1.root.json"
        with device(tmp_path / "store", web, gate, root=root) as it:
            it.poll()
        with device(tmp_path / "store", web, gate, root=root, clock=later) as it:
            assert code_of(it) == {"metadata-expired"}
            async with started_daemon(it.layout, tmp_path / "state.db") as daemon:
                await daemon.lifecycle.look()
                assert await daemon.answer() == ("1.0.0", adder_answer(HELLO))
