import shutil
from datetime import UTC, datetime, timedelta

import pytest

from edged.errors import SignatureInvalidError, UsageError
from edged.publish.keys.directory import Keyring
from edged.publish.repository.operations import init_repository
from edged.publish.repository.resigning import resign
from edged.publish.repository.roles import sign
from edged.publish.repository.state import metadata_path, read_root, read_state
from edged.publish.repository.tree import Tree
from edged.publish.root.pending import PendingRoot, sign_root_file
from edged.publish.root.replacing import replace_keys
from edged.publish.root.rotation import rotate_root
from tests.fakes.tuf_clients import make_updater

NOW = datetime.now(UTC)


@pytest.fixture
def keys(tmp_path):
    return Keyring(directory=tmp_path / "keys")


@pytest.fixture
def repo(tmp_path, keys):
    init_repository(tmp_path / "repo", keys, now=NOW)
    return tmp_path / "repo"


@pytest.fixture
def device(repo, tmp_path):
    """A device that knows the repository as it was at the beginning; reads what is there, or fails."""
    first = (repo / "metadata/1.root.json").read_bytes()

    def refresh():
        updater = make_updater(f"{repo.as_uri()}/", tmp_path / "device", first)
        updater.refresh()
        for role in ("ops", "stop"):
            assert updater.get_targetinfo(f"{role}/nothing.json") is None  # which takes the role's metadata

    refresh()
    return refresh


def trusted(repo, role):
    state = read_state(Tree(repo))
    delegator = state.root if role in state.root.roles else state.targets["targets"]
    return list(delegator.get_delegated_role(role).keyids)


@pytest.mark.parametrize(
    ("names", "signed"),
    [
        (["timestamp"], ("root", "timestamp")),
        (["snapshot"], ("root", "snapshot", "timestamp")),
        (["targets"], ("root", "targets", "snapshot", "timestamp")),
        (["ops"], ("ops", "targets", "snapshot", "timestamp")),
        (["snapshot", "timestamp", "ops", "stop"], ("root", "ops", "stop", "targets", "snapshot", "timestamp")),
    ],
)
def test_what_a_replaced_key_signed_is_signed_anew_and_devices_follow(repo, keys, device, names, signed):
    old = {name: keys.public(name).keyid for name in names}

    result = replace_keys(repo, keys, names, now=NOW)

    assert (result.signing, result.names, result.signed) == (None, tuple(names), signed)
    for name in names:
        assert trusted(repo, name) == [keys.public(name).keyid] != [old[name]]
    assert [path.name for path in result.replaced] == [f"{name}-{old[name][:16]}.pem" for name in names]
    device()
    assert resign(repo, keys, now=NOW + timedelta(hours=13)).signed == ("timestamp",)
    device()


def test_old_key_is_named_nowhere_any_more(repo, keys):
    old = [keys.public(name).keyid for name in ("timestamp", "ops")]
    replace_keys(repo, keys, ["timestamp", "ops"], now=NOW)
    state = read_state(Tree(repo))

    for keyid in old:
        assert keyid not in state.root.keys
        assert keyid not in state.targets["targets"].delegations.keys


def test_lost_key_is_replaced(repo, keys, device):
    keys.path("timestamp").unlink()
    keys.public_path("timestamp").unlink()

    assert replace_keys(repo, keys, ["timestamp"], now=NOW).replaced == ()

    device()


def test_key_of_the_root_waits_for_holders_who_are_elsewhere(repo, keys, device):
    away = {name: keys.signer(name) for name in ("root-3", "root-4", "root-5")}
    for name in away:
        keys.path(name).unlink()
    before = trusted(repo, "timestamp")
    first = replace_keys(repo, keys, ["timestamp", "ops"], now=NOW)

    assert (first.signing.missing, first.names) == (1, ())
    assert trusted(repo, "timestamp") == before
    assert resign(repo, keys, now=NOW + timedelta(hours=13)).signed == ("timestamp",)  # with the old key
    device()

    sign_root_file(first.signing.path, away["root-4"])
    second = replace_keys(repo, keys, ["timestamp", "ops"], now=NOW + timedelta(days=2))

    assert second.signed == ("root", "ops", "targets", "snapshot", "timestamp")
    assert trusted(repo, "timestamp") == [keys.public("timestamp").keyid] != before
    assert not PendingRoot.beside(repo).directory.exists()
    device()


def test_run_that_was_killed_between_root_and_timestamp_is_finished(repo, keys, device, tmp_path):
    shutil.copy(repo / "metadata/timestamp.json", tmp_path / "before.json")
    replace_keys(repo, keys, ["timestamp", "snapshot"], now=NOW)
    # As if it had been killed: the new keys still wait, and the timestamp is the old one.
    old = {name: next((keys.directory / "replaced").glob(f"{name}-*.pem")) for name in ("timestamp", "snapshot")}
    (keys.directory / "next").mkdir(mode=0o700)
    for name, path in old.items():
        for suffix in (".pem", ".pub"):
            keys.path(name).with_suffix(suffix).rename(keys.directory / "next" / f"{name}{suffix}")
            path.with_suffix(suffix).rename(keys.path(name).with_suffix(suffix))
    shutil.copy(tmp_path / "before.json", repo / "metadata/timestamp.json")
    with pytest.raises(SignatureInvalidError) as caught:
        resign(repo, keys, now=NOW)
    assert "keys replace" in caught.value.hint

    result = replace_keys(repo, keys, ["timestamp", "snapshot"], now=NOW)

    assert result.signed == ("snapshot", "timestamp")
    assert read_root(Tree(repo)).version == 2
    device()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("root-1", "root-1 is a root key"),
        ("model-adder", "no role m-adder"),
        ("nonsense", "is not the name of a key"),
    ],
)
def test_key_of_no_such_role_is_refused(repo, keys, name, words):
    with pytest.raises(UsageError, match=words):
        replace_keys(repo, keys, ["ops", name], now=NOW)

    assert not (keys.directory / "next").exists()
    assert not PendingRoot.beside(repo).directory.exists()


def test_without_the_key_that_has_to_sign_nothing_is_begun(repo, keys):
    keys.path("targets").unlink()
    with pytest.raises(UsageError, match="no key 'targets'"):
        replace_keys(repo, keys, ["ops"], now=NOW)

    assert not (keys.directory / "next").exists()


def test_key_that_signs_for_another_role_is_not_replaced_in_one_alone(repo, keys):
    """A thief would go on with the other one."""
    root = read_root(Tree(repo))
    shared = root.keys[root.roles["timestamp"].keyids[0]]
    root.version += 1
    root.revoke_key(root.roles["snapshot"].keyids[0], "snapshot")
    root.add_key(shared, "snapshot")
    signers = [keys.signer(f"root-{n}") for n in (1, 2, 3)]
    Tree(repo).add(metadata_path("root", 2), sign(root, signers))
    for suffix in (".pem", ".pub"):
        shutil.copy(keys.path("timestamp").with_suffix(suffix), keys.path("snapshot").with_suffix(suffix))
    state = read_state(Tree(repo), root=read_root(Tree(repo), newest=1))
    state.snapshot.version += 1
    data = sign(state.snapshot, [keys.signer("snapshot")])
    Tree(repo).add(metadata_path("snapshot", state.snapshot.version), data)
    state.timestamp.version += 1
    state.timestamp.snapshot_meta.version = state.snapshot.version
    state.timestamp.snapshot_meta.length = None
    state.timestamp.snapshot_meta.hashes = None
    Tree(repo).replace("metadata/timestamp.json", sign(state.timestamp, [keys.signer("timestamp")]))

    with pytest.raises(UsageError, match="of timestamp signs for snapshot, too") as caught:
        replace_keys(repo, keys, ["timestamp"], now=NOW)
    assert "both" in caught.value.hint

    assert replace_keys(repo, keys, ["timestamp", "snapshot"], now=NOW).signed == ("root", "snapshot", "timestamp")


def test_other_changes_of_the_root_are_not_mixed_with_it(repo, keys, tmp_path):
    dora = Keyring(directory=tmp_path / "dora").create("root-dora")
    rotate_root(repo, None, add=[dora], now=NOW)
    with pytest.raises(UsageError, match="another change of the root waits"):
        replace_keys(repo, keys, ["timestamp"], now=NOW)
    PendingRoot.beside(repo).clear()

    for name in ("root-3", "root-4", "root-5"):
        keys.path(name).unlink()
    replace_keys(repo, keys, ["timestamp"], now=NOW)
    with pytest.raises(UsageError, match="another change of the root waits"):
        replace_keys(repo, keys, ["timestamp", "snapshot"], now=NOW)
    # Published by itself, it would leave a timestamp behind that nobody trusts.
    with pytest.raises(UsageError, match="replaces keys of other roles") as caught:
        rotate_root(repo, keys, now=NOW)
    assert "keys replace" in caught.value.hint


def test_root_that_was_renewed_while_signatures_were_gathered_is_not_overwritten(repo, keys):
    away = {name: keys.path(name).read_bytes() for name in ("root-3", "root-4", "root-5")}
    for name in away:
        keys.path(name).unlink()
    replace_keys(repo, keys, ["timestamp"], now=NOW)
    for name, data in away.items():
        keys.path(name).write_bytes(data)
        keys.path(name).chmod(0o600)
    root = read_root(Tree(repo))
    root.version += 1
    Tree(repo).add(metadata_path("root", 2), sign(root, [keys.signer(name) for name in away]))

    with pytest.raises(UsageError, match="another change of the root waits") as caught:
        replace_keys(repo, keys, ["timestamp"], now=NOW)

    assert "rm -r" in caught.value.hint
    assert read_root(Tree(repo)).version == 2


def test_what_expires_before_long_is_said(repo, keys):
    said = []
    replace_keys(repo, keys, ["timestamp"], now=NOW + timedelta(days=340), report=said.append)

    assert any(line.startswith("warning: targets expires in") for line in said)
    assert not any(line.startswith("warning: timestamp") for line in said)
