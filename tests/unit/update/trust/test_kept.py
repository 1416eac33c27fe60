"""Metadata on the device's own disk: broken files are mended, and do not let an older state in."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from edged.errors import MetadataExpiredError, MetadataRollbackError
from tests.fakes.trust_worlds import DOCUMENT, NOW

STRANGERS = [CryptoSigner.generate_ed25519() for _ in range(3)]
DAMAGES = {
    "gone": None,
    "empty": b"",
    "zeros": bytes(700),
    "half": 0.5,
    "noise": bytes(range(256)) * 3,
    "another": b'{"signed": {}, "signatures": []}',
}


def damage(path, kind):
    data = path.read_bytes()
    path.unlink()
    match DAMAGES[kind]:
        case None:
            pass
        case float(share):
            path.write_bytes(data[: int(len(data) * share)])
        case content:
            path.write_bytes(content)


KEPT = ["root.json", "root_history/2.root.json", "timestamp.json", "snapshot.json", "targets.json", "ops.json"]


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("name", KEPT)
def test_damaged_file_is_mended_from_the_host(world, name, kind):
    world.rotate()
    world.forger.target("ops", DOCUMENT, b"{}")
    world.forger.pin("ops")
    world.refresh().read_target(DOCUMENT, max_bytes=10)
    before = (world.kept / name).read_bytes()
    damage(world.kept / name, kind)

    world.refresh().read_target(DOCUMENT, max_bytes=10)

    assert (world.kept / name).read_bytes() == before


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("name", KEPT)
def test_older_state_is_refused_whichever_file_is_damaged(world, name, kind):
    """Also one that the present keys signed, after a root that took other keys away has to be fetched again."""
    world.replace_key("timestamp")
    world.forger.point()
    restore = world.copy()
    world.forger.target("ops", DOCUMENT, b"{}")
    world.forger.pin("ops")
    world.refresh().read_target(DOCUMENT, max_bytes=10)
    damage(world.kept / name, kind)
    restore()

    with pytest.raises(MetadataRollbackError):
        world.refresh()


def test_older_state_is_let_in_when_all_that_remembers_is_lost_and_only_until_it_expires(world):
    restore = world.copy()
    world.forger.pin()
    world.refresh()
    restore()
    for name in ("timestamp.json", "snapshot.json"):
        (world.kept / name).unlink()

    with pytest.raises(MetadataExpiredError):
        world.refresh(at=NOW + timedelta(days=8))
    world.refresh()


def agree(root):
    """Change nothing."""


def ask_for_four(root):
    root.roles["root"].threshold = 4


def take_over(root):
    for keyid in list(root.roles["root"].keyids):
        root.revoke_key(keyid, "root")
    for signer in STRANGERS:
        root.add_key(signer.public_key, "root")


def skip_one(root):
    root.version += 1


@pytest.mark.parametrize(
    ("change", "signers"),
    [(agree, [1, 2]), (take_over, STRANGERS), (ask_for_four, [1, 2, 3]), (skip_one, [1, 2, 3])],
    ids=["by too few", "by its own alone", "by too few of its own", "but of another version"],
)
def test_root_in_the_history_is_followed_only_as_one_from_the_host_is(world, change, signers):
    """Whoever could write to this disk once gains nothing by it."""
    world.refresh()
    version = world.rotate(change, signers=signers)
    published = world.tree / f"metadata/{version}.root.json"
    published.rename(world.kept / "root_history/2.root.json")

    world.refresh()

    assert world.version("root") == 1


def test_what_was_left_half_written_or_lies_in_the_way_is_removed(world):
    world.rotate()
    world.refresh()
    names = {path.name for path in world.kept.rglob("*")}
    for place in (world.kept, world.kept / "root_history"):
        (place / "tmpab12_xyz").write_bytes(b"half")
        (place / ".timestamp.json.new").write_bytes(b"half")
    for name in ("timestamp.json", "root.json", "root_history/2.root.json"):
        (world.kept / name).unlink()
        (world.kept / name / "inside").mkdir(parents=True)

    world.refresh()

    assert {path.name for path in world.kept.rglob("*")} == names


@pytest.mark.parametrize("what", ["directory", "root_history"])
def test_file_in_the_place_of_a_directory_is_removed(world, what):
    world.rotate()
    if what == "directory":
        world.kept.write_bytes(b"")
    else:
        world.refresh()
        shutil.rmtree(world.kept / "root_history")
        (world.kept / "root_history").write_bytes(b"")

    world.refresh()

    assert world.version("root") == 2


def test_directory_of_another_version_of_python_tuf_is_taken_over(world):
    """Version 7 makes root.json a link into the history; version 5.1 keeps no history."""
    world.rotate()
    world.refresh()
    root, history = world.kept / "root.json", world.kept / "root_history"
    root.unlink()
    root.symlink_to("root_history/2.root.json")
    world.refresh()
    assert not root.is_symlink()
    shutil.rmtree(history)

    world.refresh()

    assert [path.name for path in history.iterdir()] == ["2.root.json"]


def test_nothing_is_written_when_nothing_changed(world):
    """Each write costs a flash memory some life."""
    world.rotate()
    world.refresh()
    before = {path: path.stat().st_mtime_ns for path in world.kept.rglob("*")}

    world.refresh()

    assert {path: path.stat().st_mtime_ns for path in world.kept.rglob("*")} == before


def test_every_file_is_on_the_disk_before_it_has_its_name(world, monkeypatch):
    """A timestamp that a power cut takes away, or makes empty, would let an older one in."""
    done = []
    sync, rename = os.fsync, Path.replace

    def note_sync(descriptor):
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        sync(descriptor)

    def note_rename(source, target):
        assert done[-1] == source
        done.append(target)
        return rename(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_rename)
    world.rotate()
    world.forger.target("ops", DOCUMENT, b"{}")
    world.forger.pin("ops")

    world.refresh().read_target(DOCUMENT, max_bytes=10)

    files = ["root_history/2.root.json", "root.json", "timestamp.json", "snapshot.json", "targets.json", "ops.json"]
    for name in files:
        at = len(done) - 1 - done[::-1].index(world.kept / name)
        assert done[at + 1] == (world.kept / name).parent, "its name is on the disk before the next file"
