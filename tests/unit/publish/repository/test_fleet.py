"""Signed changes of the documents for a fleet, on a real repository: what is signed by whom, and what is refused before anything is."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from edged.activation.window import WindowRules
from edged.codec import encode_canonical
from edged.errors import ModelUnknownError, NothingToDoError, TrustError, UsageError
from edged.ids import Version
from edged.ops.rollout import Next, RolloutEntry
from edged.ops.stop import Stops
from edged.publish.fleet.flags import set_flag
from edged.publish.fleet.floor import floor_of
from edged.publish.fleet.rollout import advance, start
from edged.publish.fleet.stop import lift_stop, stop_model
from edged.publish.keys.directory import Keyring
from edged.publish.repository.changing import Repository
from edged.publish.repository.documents import FLAGS, POLICY, ROLLOUT, STOPS, read_document, reason_of
from edged.publish.repository.fleet import (
    PolicyRules,
    change_flags,
    change_rollout,
    change_stops,
    set_floor,
    set_policy,
)
from edged.publish.repository.operations import init_repository, publish_bundle
from edged.publish.repository.state import read_state
from edged.publish.repository.tree import Tree
from tests.fakes.bundles import make_bundle

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A repository with two versions of a model, the first of which everybody runs; not to be changed."""
    place = tmp_path_factory.mktemp("published")
    keys = Keyring(directory=place / "keys")
    init_repository(place / "repo", keys, now=NOW, root_count=1, root_threshold=1)
    for version, rollout in (("1.0.0", True), ("1.1.0", False)):
        bundle = make_bundle(place / "bundles", version=version)
        publish_bundle(place / "repo", bundle, keys, now=NOW, rollout=rollout)
    return place


@pytest.fixture
def place(published, tmp_path):
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def said():
    return []


@pytest.fixture
def repository(place, said):
    return Repository(
        tree=Tree(place / "repo", patience_s=0), keys=Keyring(directory=place / "keys"), now=NOW, report=said.append
    )


def keep_only(repository, *names):
    for path in repository.keys.directory.glob("*.pem"):
        if path.stem not in names:
            path.unlink()


def read(repository, kind):
    return read_document(repository.tree, read_state(repository.tree), kind)


def starting(version="1.1.0", **changes):
    def change(entry, issued):
        return start(entry, Next(**({"id": "r", "version": version, "percent": 1.0, "since": issued} | changes)))

    return change


def stopping(*versions, reason="wrong"):
    def change(stops, issued):
        return stop_model(stops, "adder", reason=reason, versions=versions, action="refuse", since=issued)

    return change


def test_rollout_needs_no_key_but_those_of_ops(repository):
    keep_only(repository, "ops", "snapshot", "timestamp")

    assert change_rollout(repository, "adder", starting()).signed == ("ops", "snapshot", "timestamp")
    entry = read(repository, ROLLOUT).models["adder"]
    assert (entry.version, entry.next.version, entry.next.since) == ("1.0.0", "1.1.0", "2026-11-22T10:00:00Z")


def test_what_is_said_again_is_not_signed_again(repository):
    change_rollout(repository, "adder", starting())

    assert not change_rollout(repository, "adder", starting()).is_changed
    assert change_flags(repository, lambda flags: set_flag(flags, "x", value=True)).is_changed
    assert not change_flags(repository, lambda flags: set_flag(flags, "x", value=True)).is_changed
    assert not set_policy(repository, PolicyRules()).is_changed


@pytest.mark.parametrize(
    ("model", "version", "message"),
    [("gauge", "1.1.0", "no model 'gauge'"), ("adder", "1.2.0", r"adder 1\.2\.0 is not published")],
)
def test_what_is_not_published_is_not_rolled_out(repository, model, version, message):
    before = (repository.tree.root / "metadata/timestamp.json").read_bytes()
    with pytest.raises(ModelUnknownError, match=message):
        change_rollout(repository, model, starting(version))

    assert (repository.tree.root / "metadata/timestamp.json").read_bytes() == before


def test_issued_does_not_go_back_with_the_clock(repository, said):
    """Devices take the newest signed time for their clock, and judge expiry by it."""
    change_flags(repository, lambda flags: set_flag(flags, "x", value=1))
    earlier = Repository(tree=repository.tree, keys=repository.keys, now=NOW - timedelta(days=300), report=said.append)
    change_flags(earlier, lambda flags: set_flag(flags, "x", value=2))
    change_rollout(earlier, "adder", starting())

    assert read(repository, FLAGS).issued == "2026-11-22T10:00:00Z"
    assert read(repository, ROLLOUT).issued == "2026-11-22T10:00:00Z"
    assert read(repository, FLAGS).flags["x"].default == 2
    warned = [line for line in said if line.startswith("warning: ops/")]
    assert warned == [
        f"warning: ops/{name}.json is from 2026-11-22T10:00:00Z, which this machine's clock has not reached"
        for name in ("flags", "rollout")
    ]


def test_an_entry_of_which_nothing_is_left_is_left_out(repository):
    change_rollout(repository, "adder", lambda _entry, _issued: RolloutEntry())

    assert read(repository, ROLLOUT).models == {}


def test_floor_is_signed_by_the_model_itself_and_named_again_by_nobody_else(repository, said):
    keep_only(repository, "model-adder", "snapshot", "timestamp")

    assert set_floor(repository, "adder", Version.parse("1.1.0")).signed == ("m-adder", "snapshot", "timestamp")
    role = read_state(repository.tree).targets["m-adder"]
    assert floor_of(role) == Version.parse("1.1.0")
    assert role.targets["models/adder/1.1.0/manifest.json"].custom == {"min_version": "1.1.0"}
    assert "warning: the rollout names adder 1.0.0, which is below the floor 1.1.0" in said
    assert not set_floor(repository, "adder", Version.parse("1.1.0")).is_changed


def test_versions_below_the_floor_are_not_rolled_out_any_more(repository):
    change_rollout(repository, "adder", lambda _entry, _issued: RolloutEntry(version="1.1.0"))
    set_floor(repository, "adder", Version.parse("1.1.0"))
    with pytest.raises(UsageError, match="below the floor"):
        change_rollout(repository, "adder", starting("1.0.0"))


def test_floor_survives_publishing_the_same_version_and_the_next(repository, place):
    set_floor(repository, "adder", Version.parse("1.1.0"))
    for version in ("1.1.0", "1.2.0"):
        bundle = make_bundle(place / "more", version=version)
        publish_bundle(repository.tree.root, bundle, repository.keys, now=NOW, rollout=False)

        assert floor_of(read_state(repository.tree).targets["m-adder"]) == Version.parse("1.1.0")


def test_publishing_may_bring_the_floor_and_begin_a_rollout(repository, place):
    bundle = make_bundle(place / "more", version="1.2.0")
    publish_bundle(
        repository.tree.root, bundle, repository.keys, now=NOW, percent=5.0, min_version=Version.parse("1.0.0")
    )

    entry = read(repository, ROLLOUT).models["adder"]
    assert (entry.version, entry.next.version, entry.next.percent) == ("1.0.0", "1.2.0", 5.0)
    assert (entry.next.id, entry.next.soak_s) == ("adder-1.2.0", 86_400.0)
    assert floor_of(read_state(repository.tree).targets["m-adder"]) == Version.parse("1.0.0")
    again = publish_bundle(
        repository.tree.root, bundle, repository.keys, now=NOW, percent=5.0, min_version=Version.parse("1.0.0")
    )
    assert not again.is_changed


def test_publishing_for_everyone_does_not_overrun_a_rollout(repository, place):
    change_rollout(repository, "adder", starting())
    bundle = make_bundle(place / "more", version="1.2.0")
    with pytest.raises(UsageError, match="is being rolled out"):
        publish_bundle(repository.tree.root, bundle, repository.keys, now=NOW)

    assert not (repository.tree.root / "targets/models/adder/1.2.0").exists()


def test_policy_is_what_its_file_says_and_is_taken_back_by_an_empty_one(repository):
    """A document that is no longer listed would stay in force on devices."""
    set_policy(repository, PolicyRules(window=WindowRules(idle_s=600.0)))
    assert read(repository, POLICY).window.idle_s == 600.0

    set_policy(repository, PolicyRules())
    assert read(repository, POLICY).window == WindowRules()


def test_stop_needs_its_own_key_and_counts_up(repository):
    keep_only(repository, "stop", "snapshot", "timestamp")

    assert change_stops(repository, "adder", stopping()).signed == ("stop", "snapshot", "timestamp")
    assert read(repository, STOPS).serial == 1
    change_stops(repository, "adder", stopping(reason="worse"))
    assert read(repository, STOPS).serial == 2
    assert not change_stops(repository, "adder", stopping(reason="worse")).is_changed
    lifted = change_stops(repository, "adder", lambda stops, _: lift_stop(stops, "adder"), reason="lift adder: fixed")
    assert lifted.is_changed
    assert (read(repository, STOPS).serial, read(repository, STOPS).models) == (3, {})
    assert reason_of(read_state(repository.tree), STOPS) == "lift adder: fixed"


def test_stop_signs_nothing_that_is_merely_due(repository):
    """Half a year later every role is due; the keys are all here."""
    late = Repository(tree=repository.tree, keys=repository.keys, now=NOW + timedelta(days=200))

    assert change_stops(late, "adder", stopping()).signed == ("stop", "snapshot", "timestamp")


def test_stop_works_while_a_publish_is_copying(repository):
    with repository.tree.working():
        assert change_stops(repository, "adder", stopping()).is_changed


def test_stop_works_while_other_parts_of_the_repository_are_damaged(repository):
    [model] = (repository.tree.root / "metadata").glob("2.m-adder.json")
    model.write_bytes(b"damaged")
    with pytest.raises(TrustError):
        change_rollout(repository, "adder", starting())

    assert change_stops(repository, "adder", stopping()).is_changed
    with pytest.raises(TrustError):
        change_stops(repository, "adder", stopping("1.0.0"), versions=["1.0.0"])


@pytest.mark.parametrize(("model", "versions"), [("adder", ["1.2.0"]), ("ader", [])])
def test_slips_in_what_is_stopped_are_found(repository, model, versions):
    with pytest.raises(ModelUnknownError):
        change_stops(repository, model, stopping(*versions), versions=versions)

    assert read(repository, STOPS) is None


def test_nothing_is_held_while_a_passphrase_is_typed(place, said):
    """Somebody who has gone to look for it must not keep others from stopping a model."""
    free = []

    class Typist:
        def known(self, key):
            with Tree(place / "repo", patience_s=0).locked():
                free.append(key)
            return b"secret"

        def new(self, key):
            raise AssertionError(key)

    keys = Keyring(directory=place / "keys")
    for name in ("ops", "snapshot", "timestamp"):
        keys.change_passphrase(name, b"secret")
    asked = Repository(
        tree=Tree(place / "repo"), keys=Keyring(directory=place / "keys", asker=Typist()), now=NOW, report=said.append
    )
    change_rollout(asked, "adder", starting())

    assert free == ["ops"]


def test_a_change_that_came_between_is_not_lost(repository):
    """What was prepared is made again on what is published when it is written."""
    other = Repository(tree=repository.tree, keys=repository.keys, now=NOW)
    came_between = []

    def change(entry, issued):
        if not came_between:
            came_between.append(True)
            change_flags(other, lambda flags: set_flag(flags, "x", value=True))
        return starting()(entry, issued)

    change_rollout(repository, "adder", change)

    assert read(repository, FLAGS).flags["x"].default is True
    assert read(repository, ROLLOUT).models["adder"].next.version == "1.1.0"


def test_a_change_that_no_longer_fits_is_refused_when_it_is_written(repository):
    change_rollout(repository, "adder", starting())
    other = Repository(tree=repository.tree, keys=repository.keys, now=NOW)
    came_between = []

    def change(entry, issued):
        if not came_between:
            came_between.append(True)
            change_rollout(other, "adder", lambda _entry, _issued: RolloutEntry(version="1.1.0"))
        return advance(entry, percent=10.0, now=issued, at_once=True)

    with pytest.raises(NothingToDoError):
        change_rollout(repository, "adder", change)


def test_documents_that_devices_would_refuse_are_not_signed(repository):
    with pytest.raises(UsageError, match="devices would not take"):
        change_rollout(repository, "adder", starting(id="i" * 200))
    with pytest.raises(UsageError, match="bytes, devices take"):
        change_stops(repository, "adder", lambda stops, _issued: replace(stops, models=_many(stops)))


def _many(stops: Stops) -> dict:
    one = stop_model(stops, "adder", reason="x" * 500, versions=(), action="refuse", since=stops.issued)
    return {f"model-{n}": one.models["adder"] for n in range(1000)}


def test_a_document_that_was_altered_on_disk_is_not_signed_again(repository):
    change_flags(repository, lambda flags: set_flag(flags, "x", value=True))
    [path] = (repository.tree.root / "targets/ops").glob("*.flags.json")
    document = json.loads(path.read_bytes())
    path.write_bytes(encode_canonical(document | {"flags": {}}))

    with pytest.raises(TrustError, match="not what was signed"):
        change_flags(repository, lambda flags: set_flag(flags, "y", value=True))
