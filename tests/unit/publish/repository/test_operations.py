import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from tuf.api.metadata import Metadata

from edged.codec import decode_json
from edged.errors import BundleError, SignatureInvalidError, TrustError, UsageError
from edged.ops.rollout import Rollout
from edged.publish.keys.directory import Keyring
from edged.publish.repository.operations import init_repository, publish_bundle
from edged.publish.repository.resigning import resign
from edged.publish.repository.roles import Expiry
from edged.publish.repository.state import metadata_path, read_state
from edged.publish.repository.tree import METADATA_LOCK, WORK_LOCK, Tree
from tests.fakes.signers import MemorySigners

NOW = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)
LOCKS = {METADATA_LOCK, WORK_LOCK}


def with_manifest(bundle, directory, **changes):
    """Copy a bundle and change keys of its manifest."""
    shutil.copytree(bundle, directory)
    path = directory / "manifest.json"
    document = json.loads(path.read_bytes()) | changes
    for variant in document["variants"]:
        variant["id"] = f"{document['name']}-{document['version']}-fp32-any"
    path.write_text(json.dumps(document))
    return directory


@pytest.fixture
def keys(tmp_path):
    return Keyring(directory=tmp_path / "keys")


@pytest.fixture
def repo(tmp_path, keys):
    init_repository(tmp_path / "repo", keys, now=NOW)
    return tmp_path / "repo"


def files(directory):
    found = (p for p in directory.rglob("*") if p.is_file() and p.name not in LOCKS)
    return {str(p.relative_to(directory)): p.read_bytes() for p in found}


def rollout_of(repo):
    state = read_state(Tree(repo))
    digest = state.targets["ops"].targets["ops/rollout.json"].hashes["sha256"]
    return decode_json(Rollout, (repo / f"targets/ops/{digest}.rollout.json").read_bytes(), source="rollout")


def test_new_repository_has_the_roles_of_the_contract(repo):
    state = read_state(Tree(repo))

    assert state.root.roles["root"].threshold == 3
    assert len(state.root.roles["root"].keyids) == 5
    assert state.root.consistent_snapshot is True
    assert set(state.targets) == {"targets", "ops", "stop"}
    assert {name: role.paths for name, role in state.targets["targets"].delegations.roles.items()} == {
        "ops": ["ops/*"],
        "stop": ["stop/*"],
    }
    assert sorted(p.name for p in (repo / "metadata").iterdir()) == [
        "1.ops.json", "1.root.json", "1.snapshot.json", "1.stop.json", "1.targets.json", "timestamp.json"
    ]  # fmt: skip


def test_metadata_is_compact(repo):
    assert b" " not in (repo / "metadata/timestamp.json").read_bytes()


def test_every_role_has_its_own_lifetime(repo):
    state = read_state(Tree(repo))
    whole = NOW.replace(microsecond=0)

    assert state.root.expires == whole + timedelta(days=365)
    assert state.snapshot.expires == whole + timedelta(days=7)
    assert state.timestamp.expires == whole + timedelta(days=1)


def test_init_on_a_complete_repository_changes_nothing(repo, keys):
    before = files(repo), files(keys.directory)

    assert not init_repository(repo, keys, now=NOW + timedelta(days=3)).is_changed
    assert (files(repo), files(keys.directory)) == before


def test_init_says_what_expires_before_long(repo, keys):
    said = []
    init_repository(repo, keys, now=NOW + timedelta(days=360), report=said.append)

    assert any(line.startswith("warning: root expires in only") for line in said)
    assert any(line.startswith("EXPIRED: timestamp") for line in said)


def test_init_with_other_keys_or_numbers_is_refused(repo, keys, tmp_path):
    with pytest.raises(UsageError, match="3 of 5 root keys"):
        init_repository(repo, keys, now=NOW, root_count=3, root_threshold=2)
    other = Keyring(directory=tmp_path / "other")
    with pytest.raises(UsageError, match="no key 'targets'"):
        init_repository(repo, other, now=NOW)
    other.create("targets")
    with pytest.raises(TrustError, match="not the key this repository trusts"):
        init_repository(repo, other, now=NOW)
    assert other.names() == ["targets"]


@pytest.mark.parametrize(("count", "threshold"), [(5, 0), (5, 6), (0, 0), (-1, -1)])
def test_senseless_numbers_of_root_keys_are_refused(tmp_path, keys, count, threshold):
    with pytest.raises(UsageError, match="cannot sign"):
        init_repository(tmp_path / "repo", keys, now=NOW, root_count=count, root_threshold=threshold)


def test_publishing_makes_the_models_role_and_names_the_version(repo, keys, adder):
    result = publish_bundle(repo, adder, keys, now=NOW)
    state = read_state(Tree(repo))

    assert result.signed == ("m-adder", "ops", "targets", "snapshot", "timestamp")
    assert list(state.targets["m-adder"].targets) == ["models/adder/1.0.0/manifest.json"]
    assert state.targets["targets"].delegations.roles["m-adder"].paths == ["models/adder/*/manifest.json"]
    assert keys.has("model-adder")
    rollout = rollout_of(repo)
    assert rollout.models["adder"].version == "1.0.0"
    assert rollout.issued == "2026-11-22T10:00:00Z"


def test_every_file_of_the_bundle_is_a_blob(repo, keys, adder):
    publish_bundle(repo, adder, keys, now=NOW)
    manifest = json.loads((adder / "manifest.json").read_bytes())
    entries = manifest["files"] + manifest["variants"][0]["files"]

    for entry in entries:
        blob = repo / "blobs" / entry["sha256"][:2] / entry["sha256"]
        assert blob.read_bytes() == (adder / entry["path"]).read_bytes()


def test_second_version_needs_no_offline_key(repo, keys, adder, tmp_path):
    """Root and targets keys stay offline: a known model's role, ops, snapshot and timestamp are enough."""
    publish_bundle(repo, adder, keys, now=NOW)
    for name in ("targets", "root-1", "root-2", "root-3", "root-4", "root-5"):
        keys.path(name).unlink()

    result = publish_bundle(repo, with_manifest(adder, tmp_path / "b", version="1.1.0"), keys, now=NOW)

    assert result.signed == ("m-adder", "ops", "snapshot", "timestamp")
    assert rollout_of(repo).models["adder"].version == "1.1.0"


def test_first_version_without_the_targets_key_is_refused_and_leaves_nothing(repo, keys, adder):
    keys.path("targets").unlink()
    before = files(repo)
    with pytest.raises(UsageError, match="no key 'targets'"):
        publish_bundle(repo, adder, keys, now=NOW)

    assert files(repo) == before
    assert not keys.has("model-adder")


@pytest.mark.parametrize("name", ["ops", "snapshot", "timestamp", "model-adder"])
def test_missing_key_is_found_before_anything_is_written(repo, keys, adder, tmp_path, name):
    publish_bundle(repo, adder, keys, now=NOW)
    keys.path(name).unlink()
    before = files(repo)
    with pytest.raises(UsageError, match=f"no key '{name}'"):
        publish_bundle(repo, with_manifest(adder, tmp_path / "b", version="1.1.0"), keys, now=NOW)

    assert files(repo) == before


def test_publishing_again_changes_nothing(repo, keys, adder):
    publish_bundle(repo, adder, keys, now=NOW)
    before = files(repo)

    assert not publish_bundle(repo, adder, keys, now=NOW + timedelta(hours=1)).is_changed
    assert files(repo) == before


def test_same_version_with_other_content_is_refused(repo, keys, adder, tmp_path):
    publish_bundle(repo, adder, keys, now=NOW)
    other = with_manifest(adder, tmp_path / "b", fallback=[{"use": "refuse"}])
    before = files(repo)
    with pytest.raises(BundleError, match=r"adder 1\.0\.0 is published with other content"):
        publish_bundle(repo, other, keys, now=NOW)

    assert files(repo) == before


def test_lower_version_is_refused_unless_allowed(repo, keys, adder, tmp_path):
    publish_bundle(repo, adder, keys, now=NOW)
    lower = with_manifest(adder, tmp_path / "b", version="1.0.0-rc.1")
    with pytest.raises(BundleError, match=r"lower than 1\.0\.0"):
        publish_bundle(repo, lower, keys, now=NOW)

    publish_bundle(repo, lower, keys, now=NOW, allow_lower=True)
    assert rollout_of(repo).models["adder"].version == "1.0.0-rc.1"


def test_publishing_without_rollout_leaves_the_rollout(repo, keys, adder, tmp_path):
    publish_bundle(repo, adder, keys, now=NOW)
    publish_bundle(repo, with_manifest(adder, tmp_path / "b", version="1.1.0"), keys, now=NOW, rollout=False)

    assert rollout_of(repo).models["adder"].version == "1.0.0"


def test_rollout_keeps_other_models_and_never_goes_back_in_time(repo, keys, adder, tmp_path):
    """Devices trust the newest signed time they have seen, so a publisher whose clock was set back must not sign an older one."""
    publish_bundle(repo, adder, keys, now=NOW)
    publish_bundle(repo, with_manifest(adder, tmp_path / "b", name="other"), keys, now=NOW - timedelta(days=2))
    rollout = rollout_of(repo)

    assert {name: entry.version for name, entry in rollout.models.items()} == {"adder": "1.0.0", "other": "1.0.0"}
    assert rollout.issued == "2026-11-22T10:00:00Z"


def test_bundle_that_is_not_as_its_manifest_says_is_refused(repo, keys, adder, tmp_path):
    bundle = tmp_path / "b"
    shutil.copytree(adder, bundle)
    (bundle / "sbom.cdx.json").write_text("{}")
    (bundle / "kit/samples/one.bin").unlink()
    before = files(repo)
    with pytest.raises(BundleError, match=r"kit/samples/one\.bin: No such file.*sbom\.cdx\.json: has 2 bytes"):
        publish_bundle(repo, bundle, keys, now=NOW)

    assert files(repo) == before


def test_directory_that_is_no_repository_is_refused(tmp_path, keys, adder):
    for directory in (tmp_path / "nothing", tmp_path):
        with pytest.raises(UsageError, match="not a repository"):
            publish_bundle(directory, adder, keys, now=NOW)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("role", ["1.root", "timestamp", "2.snapshot", "2.targets", "1.m-adder", "2.ops", "1.stop"])
def test_altered_metadata_is_never_extended(repo, keys, adder, tmp_path, role):
    """Adding to a list that somebody altered would sign the alteration."""
    publish_bundle(repo, adder, keys, now=NOW)
    path = repo / "metadata" / f"{role}.json"
    document = json.loads(path.read_bytes())
    document["signed"]["expires"] = "2036-01-01T00:00:00Z"
    path.write_text(json.dumps(document))

    with pytest.raises(SignatureInvalidError, match=f"{role}.json is not signed"):
        publish_bundle(repo, with_manifest(adder, tmp_path / "b", version="1.1.0"), keys, now=NOW)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff", b"[]"])
def test_unreadable_metadata_is_refused(repo, keys, content):
    path = repo / metadata_path("snapshot", 1)
    path.unlink() if content is None else path.write_bytes(content)

    with pytest.raises(TrustError, match="missing or is not TUF metadata"):
        resign(repo, keys, now=NOW)


def test_metadata_of_another_role_is_refused(repo, keys):
    (repo / metadata_path("snapshot", 1)).write_bytes((repo / metadata_path("targets", 1)).read_bytes())

    with pytest.raises(TrustError, match="is not snapshot metadata"):
        resign(repo, keys, now=NOW)


def test_resign_renews_what_has_less_than_half_its_time_left(repo, keys):
    assert resign(repo, keys, now=NOW).signed == ()
    assert resign(repo, keys, now=NOW + timedelta(hours=13)).signed == ("timestamp",)
    assert resign(repo, keys, now=NOW + timedelta(days=4)).signed == ("snapshot", "timestamp")
    assert resign(repo, keys, now=NOW + timedelta(days=20)).signed == ("ops", "snapshot", "timestamp")


def test_expired_metadata_can_be_renewed(repo, keys, adder):
    """Expiry stops devices from updating; only a new signature mends it, so the publisher must not trip over it."""
    later = NOW + timedelta(days=400)
    resign(repo, keys, now=later)
    publish_bundle(repo, adder, keys, now=later)

    for path in (repo / "metadata").glob("timestamp.json"):
        assert Metadata.from_bytes(path.read_bytes()).signed.expires > later


def test_expiry_is_configurable(tmp_path, keys):
    init_repository(tmp_path / "repo", keys, now=NOW, expiry=Expiry(timestamp_days=30))

    assert read_state(Tree(tmp_path / "repo")).timestamp.expires == NOW.replace(microsecond=0) + timedelta(days=30)


def test_keys_in_the_repository_are_refused(tmp_path, repo):
    """Everything in it may be served to anyone."""
    inside = Keyring(directory=tmp_path / "other" / "keys")
    with pytest.raises(UsageError, match="the keys lie in the repository"):
        init_repository(tmp_path / "other", inside, now=NOW)
    with pytest.raises(UsageError, match="the keys lie in the repository"):
        resign(repo, Keyring(directory=repo / "keys"), now=NOW)

    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_old_signed_metadata_in_place_of_new_is_refused(repo, keys, adder, role):
    """Its signature is good; what it lists was taken back since."""
    publish_bundle(repo, adder, keys, now=NOW)
    (repo / metadata_path(role, 2)).write_bytes((repo / metadata_path(role, 1)).read_bytes())

    with pytest.raises(TrustError, match=rf"2\.{role}\.json is not the file that was published"):
        resign(repo, keys, now=NOW)


def test_a_repository_that_lost_its_timestamp_is_not_begun_again(repo, keys, adder):
    """Version 1 of the timestamp would be refused by every device that has seen a newer one."""
    publish_bundle(repo, adder, keys, now=NOW)
    (repo / "metadata/timestamp.json").unlink()
    before = files(repo)

    for operation in (init_repository, resign):
        with pytest.raises(TrustError, match=r"has lost metadata/timestamp\.json") as caught:
            operation(repo, keys, now=NOW)
        assert "Restore it" in caught.value.hint
    assert files(repo) == before


def test_resign_names_what_it_has_no_keys_for(repo, keys):
    for name in ("root-1", "root-2", "root-3", "targets"):
        keys.path(name).unlink()
    result = resign(repo, keys, now=NOW + timedelta(days=200))

    assert result.signed == ("ops", "stop", "snapshot", "timestamp")
    expires = NOW.replace(microsecond=0) + timedelta(days=365)
    assert result.due == (("root", expires), ("targets", expires))


def test_resign_renews_the_root_with_as_many_keys_as_must_sign(repo, keys):
    for name in ("root-2", "root-4"):
        keys.path(name).unlink()
    later = NOW + timedelta(days=200)
    first = (repo / metadata_path("root", 1)).read_bytes()
    result = resign(repo, keys, now=later)
    root = read_state(Tree(repo)).root

    assert result.signed[-1] == "root"
    assert result.due == ()
    assert (root.version, root.expires) == (2, later.replace(microsecond=0) + timedelta(days=365))
    assert (repo / metadata_path("root", 1)).read_bytes() == first
    assert not resign(repo, keys, now=later).is_changed


def test_keys_need_not_be_files(tmp_path, adder):
    """A hardware module keeps keys that nobody can copy; everything that signs works through ``Signers``."""
    signers = MemorySigners()
    init_repository(tmp_path / "repo", signers, now=NOW)
    assert publish_bundle(tmp_path / "repo", adder, signers, now=NOW).is_changed
    assert resign(tmp_path / "repo", signers, now=NOW + timedelta(days=200)).due == ()

    other = MemorySigners()
    for name in ("snapshot", "timestamp"):
        other.ensure(name)
    with pytest.raises(TrustError, match="memory:snapshot is not the key this repository trusts"):
        resign(tmp_path / "repo", other, now=NOW + timedelta(days=400))
