"""Nothing that was altered on the host, or on the way, is ever staged.

One repository is published once, in two steps: 1.0.0, and 1.1.0 with newer metadata of every role. A device that has 1.0.0 then meets the
second state with one file altered. Whatever was altered and wherever: 1.0.0 stays as it is, 1.1.0 does not appear, the error has the right
code, and once the host is mended the next poll brings 1.1.0.
"""

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from edged.bundle.manifest import Manifest
from edged.bundle.read import read_bundle, verify_files
from edged.errors import EdgedError
from edged.ids import ModelName, Version
from tests.fakes.gates import running_gate
from tests.fakes.repositories import Publisher
from tests.fakes.static_host import Fault, static_host
from tests.fakes.updates import device

MODEL_BYTES = 2_400_000  # three chunks
GARBAGE = {"trust-failed", "signature-invalid"}
"""What altered metadata is: not readable any more, or readable and not signed."""
PINNED = {"digest-mismatch"}


@dataclass(frozen=True)
class World:
    """The published repository, a store that holds 1.0.0, and paths of the files of 1.1.0 by region."""

    publisher: Publisher
    store: Path
    regions: dict[str, str]
    second: Manifest


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    directory = tmp_path_factory.mktemp("world")
    publisher = Publisher(directory)
    publisher.release("1.0.0", model_bytes=MODEL_BYTES)
    with ExitStack() as stack:
        web = stack.enter_context(static_host(publisher.root))
        gate = stack.enter_context(running_gate(allow_private=[f"{web.name}:{web.port}"]))
        made = stack.enter_context(device(directory / "store", web, gate, root=publisher.root_metadata))
        assert made.poll().staged == ("demo 1.0.0",)
    second = publisher.release("1.1.0", model_bytes=MODEL_BYTES)
    # A second model makes targets change, so that the device has to read it again.
    publisher.release("1.0.0", name="other")
    rotate_root(publisher)
    model_file = second.variants[0].files[0]
    manifest = next((publisher.root / "targets/models/demo/1.1.0").iterdir())
    rollout = newest(publisher.root / "targets/ops")
    regions = {
        "root": "metadata/2.root.json",
        **{role: publisher.metadata(role) for role in ("timestamp", "snapshot", "targets", "m-demo", "ops")},
        "rollout": str(rollout.relative_to(publisher.root)),
        "manifest": str(manifest.relative_to(publisher.root)),
        "blob": f"blobs/{model_file.sha256[:2]}/{model_file.sha256}",
        "small blob": f"blobs/{second.files[0].sha256[:2]}/{second.files[0].sha256}",
        "index": f"index/{model_file.sha256}",
    }
    return World(publisher, directory / "store", regions, second)


def newest(directory: Path) -> Path:
    return max(directory.iterdir(), key=lambda path: path.stat().st_mtime_ns)


def rotate_root(publisher: Publisher) -> None:
    """Sign version 2 of the root metadata with the same keys."""
    from tuf.api.metadata import Metadata

    root = Metadata.from_file(str(publisher.root_metadata))
    root.signed.version = 2
    root.sign(publisher.keys.signer("root-1"), append=False)
    root.to_file(str(publisher.root / "metadata/2.root.json"))


@pytest.fixture(scope="module")
def web(world):
    with static_host(world.publisher.root) as host:
        yield host


@pytest.fixture(scope="module")
def gate(web):
    with running_gate(allow_private=[f"{web.name}:{web.port}"]) as running:
        yield running


@pytest.fixture
def attempt(world, web, gate, tmp_path):
    """Return a function that meets the faults now set, checks the rules of the module's docstring and returns the error codes."""
    store = tmp_path / "store"
    shutil.copytree(world.store, store, symlinks=True)
    web.heal()

    def run() -> set[str]:
        with device(store, web, gate, root=world.publisher.root_metadata) as it:
            before = it.snapshot()
            codes = failing_codes(it)
            after = it.snapshot()
            assert not (it.layout.bundles / "demo/1.1.0").exists()
            assert {k: after[k] for k in before if k.startswith("bundles")} == {
                k: v for k, v in before.items() if k.startswith("bundles")
            }
            if codes & GARBAGE:
                assert after["ops/rollout.json"] in {before["ops/rollout.json"], published_rollout(world)}
            intact = read_bundle(it.layout.bundle(ModelName("demo"), Version.parse("1.0.0")))
            verify_files(intact, intact.manifest.files_for(intact.variants))
        web.heal()
        with device(store, web, gate, root=world.publisher.root_metadata) as it:
            assert "demo 1.1.0" in it.poll().staged
            healed = read_bundle(it.layout.bundle(ModelName("demo"), Version.parse("1.1.0")))
            assert healed.manifest == world.second
            verify_files(healed, healed.manifest.files_for(healed.variants))
        return codes

    return run


def failing_codes(it) -> set[str]:
    try:
        summary = it.poll()
    except EdgedError as error:
        return {error.code}
    assert summary.undone
    return {failure.error.code for failure in summary.undone}


def published_rollout(world: World) -> bytes:
    return (world.publisher.root / world.regions["rollout"]).read_bytes()


EXPECTED = {
    "root": GARBAGE,
    "timestamp": GARBAGE | {"metadata-rollback"},
    "snapshot": PINNED,
    "targets": PINNED,
    "m-demo": PINNED,
    "ops": PINNED,
    "rollout": PINNED,
    "manifest": PINNED,
    "blob": PINNED,
    "small blob": PINNED,
    "index": PINNED,
}


@pytest.mark.parametrize("share", [0.0, 0.31, 0.62, 0.999])
@pytest.mark.parametrize("region", EXPECTED)
def test_one_flipped_bit_is_never_staged(world, web, attempt, region, share):
    """Bit 0 of a byte at the beginning, inside and at the end of each kind of file."""
    path = world.regions[region]
    web.alter(path, int((world.publisher.root / path).stat().st_size * share))

    assert attempt() <= EXPECTED[region]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("region", EXPECTED)
def test_a_truncated_file_is_never_staged(world, web, attempt, region, share):
    """The host's own copy is too short, so its answers are consistent in themselves."""
    path = world.regions[region]
    web.truncate(path, int((world.publisher.root / path).stat().st_size * share))

    assert attempt() <= EXPECTED[region]


SWAPS = [
    ("root", "metadata/1.root.json"),
    ("timestamp", "metadata/1.snapshot.json"),
    ("snapshot", "metadata/1.snapshot.json"),
    ("targets", "metadata/1.targets.json"),
    ("m-demo", "metadata/1.m-demo.json"),
    ("m-demo", "metadata/1.m-other.json"),
    ("ops", "metadata/1.ops.json"),
]


@pytest.mark.parametrize(("region", "other"), SWAPS)
def test_another_signed_file_in_its_place_is_never_staged(world, web, attempt, region, other):
    """Every one of these is signed by the right publisher; it is just not what belongs there."""
    web.faults[world.regions[region]] = Fault(body=(world.publisher.root / other).read_bytes())

    assert attempt() <= GARBAGE | PINNED | {"metadata-rollback"}


def test_an_older_blob_in_place_of_the_new_one_is_never_staged(world, web, attempt):
    """A blob of the same size, rightly signed in 1.0.0."""
    stored = next(p for p in (world.store / "blobs").rglob("*") if p.is_file() and p.stat().st_size == MODEL_BYTES)
    web.faults[world.regions["blob"]] = Fault(body=stored.read_bytes())

    assert attempt() == PINNED


def test_a_manifest_of_another_version_in_its_place_is_never_staged(world, web, attempt):
    """The manifest of 1.0.0 under the name of 1.1.0."""
    older = next((world.publisher.root / "targets/models/demo/1.0.0").iterdir())
    web.faults[world.regions["manifest"]] = Fault(body=older.read_bytes())

    assert attempt() == PINNED


def test_an_older_timestamp_is_refused_once_a_newer_one_was_seen(world, web, gate, tmp_path):
    """Rollback protection outlives the process: the metadata on disk remembers."""
    with device(tmp_path / "store", web, gate, root=world.publisher.root_metadata) as it:
        it.poll()
        before = it.snapshot()
    older = world.store / "tuf" / "timestamp.json"
    web.faults["metadata/timestamp.json"] = Fault(body=older.read_bytes())
    with device(tmp_path / "store", web, gate, root=world.publisher.root_metadata) as it:
        assert failing_codes(it) == {"metadata-rollback"}
        assert it.snapshot() == before
    web.heal()
