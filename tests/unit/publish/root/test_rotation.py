from datetime import UTC, datetime, timedelta

import pytest

from edged.errors import UsageError
from edged.publish.keys.directory import Keyring
from edged.publish.repository.operations import init_repository
from edged.publish.repository.resigning import resign
from edged.publish.repository.state import read_root
from edged.publish.repository.tree import Tree
from edged.publish.root.pending import PendingRoot, sign_root_file
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
def dora(tmp_path):
    ring = Keyring(directory=tmp_path / "dora")
    ring.create("root-dora")
    return ring


def root_versions_seen(repo, directory):
    """What a device that starts from the first root arrives at."""
    updater = make_updater(f"{repo.as_uri()}/", directory, (repo / "metadata/1.root.json").read_bytes())
    updater.refresh()
    return max(int(path.name.split(".")[0]) for path in (repo / "metadata").glob("*.root.json"))


def test_lost_key_is_replaced_by_those_that_are_left(repo, keys, dora, tmp_path):
    """Three of the five sign; devices follow from the root they have to the new one."""
    lost = keys.public("root-2").keyid
    keys.path("root-2").unlink()
    keys.path("root-4").unlink()
    new = dora.public("root-dora")
    signing = rotate_root(repo, keys, add=[new], drop=[lost[:8]], now=NOW)
    role = read_root(Tree(repo)).roles["root"]

    assert (signing.root.version, signing.is_changed, signing.path) == (2, True, None)
    assert lost not in role.keyids
    assert new.keyid in role.keyids
    assert (len(role.keyids), role.threshold) == (5, 3)
    assert root_versions_seen(repo, tmp_path / "device") == 2
    assert not PendingRoot.beside(repo).directory.exists()


def test_next_root_waits_for_holders_who_are_elsewhere(repo, keys, dora, tmp_path):
    drop = [keys.public("root-5").keyid]
    away = {f"root-{n}": keys.signer(f"root-{n}") for n in (2, 3, 4)}
    for name in away:
        keys.path(name).unlink()
    change = {"add": [dora.public("root-dora")], "drop": drop}
    first = rotate_root(repo, keys, **change, now=NOW)
    # Of those here, root-1 alone may sign: root-5 is to be dropped.
    assert (first.missing, first.signed) == (2, (keys.public("root-1").keyid,))

    # The new key counts for the new root, not for the old one, which needs three of its own.
    sign_root_file(first.path, dora.signer("root-dora"))
    sign_root_file(first.path, away["root-2"])
    assert rotate_root(repo, keys, now=NOW).missing == 1
    sign_root_file(first.path, away["root-3"])
    assert rotate_root(repo, keys, **change, now=NOW + timedelta(days=3)).is_changed
    assert root_versions_seen(repo, tmp_path / "device") == 2


def test_root_is_renewed_with_the_same_keys(repo, keys):
    before = read_root(Tree(repo))
    rotate_root(repo, keys, now=NOW + timedelta(days=100))
    after = read_root(Tree(repo))

    assert (after.version, after.roles) == (2, before.roles)
    assert after.expires - before.expires == timedelta(days=100)


def test_resign_goes_on_after_a_rotation(repo, keys, dora):
    rotate_root(repo, keys, add=[dora.public("root-dora")], threshold=4, now=NOW)

    assert resign(repo, keys, now=NOW + timedelta(days=300)).signed[-1] == "root"
    assert read_root(Tree(repo)).version == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threshold": 6}, "6 of 5 root keys cannot sign"),
        ({"threshold": 0}, "0 of 5 root keys cannot sign"),
        ({"drop": ["0" * 8]}, "does not name one root key"),
        ({"drop": [""]}, "does not name one root key"),
    ],
)
def test_senseless_changes_are_refused(repo, keys, change, words):
    with pytest.raises(UsageError, match=words):
        rotate_root(repo, keys, **change, now=NOW)

    assert PendingRoot.beside(repo).path() is None
    assert not (repo / "metadata/2.root.json").exists()


def test_change_that_the_present_keys_could_not_sign_is_refused_at_once(repo, keys, tmp_path):
    drop = [keys.public(f"root-{n}").keyid for n in (1, 2, 3)]
    new = [Keyring(directory=tmp_path / f"new-{n}").create("root-new") for n in (1, 2, 3)]

    with pytest.raises(UsageError, match="only 2 of the present root keys would stay"):
        rotate_root(repo, keys, add=new, drop=drop, now=NOW)


def test_same_key_is_not_added_twice(repo, keys):
    with pytest.raises(UsageError, match="is there already"):
        rotate_root(repo, keys, add=[keys.public("root-1")], now=NOW)


def test_another_change_does_not_slip_into_one_that_waits(repo, keys, dora):
    rotate_root(repo, None, add=[dora.public("root-dora")], now=NOW)
    with pytest.raises(UsageError, match="another change of the root waits"):
        rotate_root(repo, keys, threshold=2, now=NOW)


def test_rotation_that_was_killed_before_it_tidied_up_is_over(repo, keys, dora):
    first = rotate_root(repo, None, add=[dora.public("root-dora")], now=NOW)
    waiting = first.path.read_bytes()
    rotate_root(repo, keys, now=NOW)
    first.path.parent.mkdir()
    first.path.write_bytes(waiting)

    assert not rotate_root(repo, keys, now=NOW).is_changed
    assert not first.path.parent.exists()
    assert read_root(Tree(repo)).version == 2


def test_directory_that_is_no_repository_has_no_root(tmp_path, keys):
    with pytest.raises(UsageError, match="not a repository"):
        rotate_root(tmp_path / "nothing", keys, now=NOW)
    assert not (tmp_path / "nothing").exists()


def test_a_root_that_was_renewed_while_signatures_were_gathered_is_not_overwritten(repo, keys, dora):
    """Gathering may take long and holds up nobody who signs something else, so what is published then is looked at again."""

    class Interrupted:
        def __getattr__(self, name):
            return getattr(keys, name)

        def signer(self, name):
            resign(repo, keys, now=NOW + timedelta(days=300))
            return keys.signer(name)

    with pytest.raises(UsageError, match="was renewed meanwhile"):
        rotate_root(repo, Interrupted(), add=[dora.public("root-dora")], now=NOW)

    assert len(read_root(Tree(repo)).roles["root"].keyids) == 5


def test_what_expires_before_long_is_said_whether_the_root_is_signed_or_waits(repo, keys):
    later = NOW + timedelta(days=340)
    said = []
    rotate_root(repo, keys, now=later, report=said.append)
    assert any(line.startswith("warning: targets expires in") for line in said)

    waiting = []
    rotate_root(repo, None, now=later, report=waiting.append)

    assert [line for line in said if "expire" in line] == waiting
