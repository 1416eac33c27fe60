"""From an altered host to the model that answers: whatever was altered, the version before it goes on answering.

``test_altered_repository`` shows for many alterations that nothing is staged; this shows for one in each kind of file, with a real model
and the real daemon's lifecycle, that nothing is activated, and that the mended host's version is.
"""

import asyncio
import shutil
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from edged.errors import EdgedError
from edged.publish.keys.directory import Keyring
from edged.publish.repository.operations import init_repository, publish_bundle
from edged.store.slots import SlotState
from tests.fakes.bundles import adder_answer, make_bundle
from tests.fakes.daemons import HELLO, started_daemon
from tests.fakes.gates import running_gate
from tests.fakes.static_host import static_host
from tests.fakes.updates import device

TWO_CHUNKS = 1_500_000


@pytest.fixture
def repository(tmp_path):
    root, keys = tmp_path / "repository", Keyring(directory=tmp_path / "keys")
    init_repository(root, keys, now=datetime.now(UTC), root_count=1, root_threshold=1)

    def publish(version: str, *, padding_bytes: int) -> None:
        bundle = make_bundle(tmp_path / "bundles", version=version, padding_bytes=padding_bytes)
        publish_bundle(root, bundle, keys, now=datetime.now(UTC))

    publish("1.0.0", padding_bytes=TWO_CHUNKS)
    return root, publish


def regions(root, before: set) -> dict[str, str]:
    """One new file of each kind."""
    new = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file() and path not in before}
    kinds = {
        "timestamp": lambda name: name == "metadata/timestamp.json",
        "snapshot": lambda name: name.endswith(".snapshot.json"),
        "ops role": lambda name: name.endswith(".ops.json"),
        "rollout": lambda name: name.endswith(".rollout.json"),
        "model role": lambda name: name.endswith(".m-adder.json"),
        "manifest": lambda name: name.endswith(".manifest.json"),
        "index": lambda name: name.startswith("index/"),
        "blob": lambda name: name.startswith("blobs/") and new[name].stat().st_size > TWO_CHUNKS,
    }
    return {kind: next(filter(matches, sorted(new))) for kind, matches in kinds.items()}


async def test_altered_update_is_never_activated_and_the_mended_one_is(repository, tmp_path):
    root, publish = repository
    with ExitStack() as stack:
        web = stack.enter_context(static_host(root))
        gate = stack.enter_context(running_gate(allow_private=[f"{web.name}:{web.port}"]))
        it = stack.enter_context(device(tmp_path / "store", web, gate, root=root / "metadata/1.root.json"))
        async with started_daemon(it.layout, tmp_path / "state.db") as daemon:
            await asyncio.to_thread(it.poll)
            await daemon.lifecycle.look()
            assert await daemon.answer() == ("1.0.0", adder_answer(HELLO))

            before = {path for path in root.rglob("*") if path.name != "timestamp.json"}
            publish("1.1.0", padding_bytes=TWO_CHUNKS + 400)  # another model file
            altered = regions(root, before)
            assert len(altered) == 8
            known = keep(it.layout, tmp_path / "known")
            for kind, path in altered.items():
                rewind(it.layout, known)  # what it has verified it does not read again
                web.heal()
                web.alter(path, (root / path).stat().st_size // 2)
                code = await asyncio.to_thread(code_of_failed_poll, it)
                await daemon.lifecycle.look()
                assert code in {"digest-mismatch", "signature-invalid", "trust-failed"}, kind
                assert await daemon.answer() == ("1.0.0", adder_answer(HELLO)), kind
                assert daemon.slots.b.state is SlotState.EMPTY, kind

            web.heal()
            await asyncio.to_thread(it.poll)
            await daemon.lifecycle.look()
            assert await daemon.answer() == ("1.1.0", adder_answer(HELLO))


def keep(layout, directory):
    """Copy what a device has verified of a repository."""
    for top in (layout.metadata, layout.ops):
        shutil.copytree(top, directory / top.name)
    return directory


def rewind(layout, directory) -> None:
    for top in (layout.metadata, layout.ops):
        shutil.rmtree(top)
        shutil.copytree(directory / top.name, top)


def code_of_failed_poll(it) -> str:
    try:
        undone = it.poll().undone
    except EdgedError as error:
        return error.code
    (code,) = {one.error.code for one in undone}  # one altered role can stand in the way of several documents
    return code
