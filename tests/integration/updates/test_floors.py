"""The lowest version of each model that may run, as its own role says, and when the repository was last seen to be fresh."""

import pytest

from edged.codec import decode_json
from edged.errors import BelowFloorError, BundleError
from edged.ops.standing import REFRESHED_EVERY_S, Standing
from tests.fakes.clocks import ManualClock
from tests.fakes.fleets import Operator
from tests.fakes.updates import blob_path


@pytest.fixture
def operator(publisher):
    publisher.release("1.0.0")
    publisher.release("1.1.0")
    publisher.release("1.2.0")
    return Operator(publisher, "demo", "other")


def standing(it) -> Standing:
    return decode_json(Standing, it.layout.standing.read_bytes(), source="standing")


def test_highest_floor_that_any_target_sets_counts(it, operator):
    for version, floor in (("1.0.0", "0.9.0"), ("1.1.0", "1.1.0"), ("1.2.0", "1.0.0")):
        operator.say_of("demo", version, min_version=floor)

    it.poll()

    assert standing(it).floors == {"demo": "1.1.0"}


def test_version_below_the_floor_is_not_fetched_although_it_is_rolled_out(it, operator, publisher, web):
    """Whoever has the keys of the rollouts cannot bring back what the model's own role has ruled out."""
    operator.say_of("demo", "1.2.0", min_version="1.1.0")
    operator.roll_out({"demo": {"version": "1.0.0"}})

    (undone,) = it.poll().undone

    assert isinstance(undone.error, BelowFloorError)
    assert (undone.subject, undone.is_for_publisher) == ("demo 1.0.0", True)
    assert it.installed() == []
    assert [path for path in web.paths() if path.startswith("blobs/") or path.endswith("manifest.json")] == []


def test_floor_never_falls(it, operator):
    operator.say_of("demo", "1.2.0", min_version="1.1.0")
    it.poll()
    operator.say_of("demo", "1.2.0", min_version="0.1.0")
    operator.roll_out({"demo": {"version": "1.0.0"}})

    (undone,) = it.poll().undone

    assert isinstance(undone.error, BelowFloorError)
    assert standing(it).floors == {"demo": "1.1.0"}


def test_version_at_the_floor_is_brought(it, operator):
    operator.say_of("demo", "1.2.0", min_version="1.2.0")

    assert it.poll().undone == ()

    assert it.installed() == ["demo/1.2.0"]


def test_floor_is_kept_before_any_bundle_is_downloaded(it, operator, publisher, web):
    """The daemon obeys it at once, however long the downloads take."""
    operator.say_of("demo", "1.2.0", min_version="1.1.0")
    manifest = publisher.release("1.0.0", name="aaa")
    seen = []
    real = web.find_body
    web.find_body = lambda path: (
        seen.append((path, it.layout.standing.is_file() and standing(it).floors)),
        real(path),
    )[1]

    it.poll()

    assert dict(seen)[blob_path(manifest)] == {"demo": "1.1.0"}


def test_floor_that_is_no_version_is_named_and_the_model_still_comes(it, operator):
    operator.say_of("demo", "1.2.0", min_version=7)

    (undone,) = it.poll().undone

    assert isinstance(undone.error, BundleError)
    assert (undone.subject, undone.is_for_publisher) == ("demo", True)
    assert it.installed() == ["demo/1.2.0"]


def test_damaged_note_of_the_floors_is_made_anew(it, operator):
    operator.say_of("demo", "1.2.0", min_version="1.1.0")
    it.poll()
    it.layout.standing.write_bytes(b"\x00" * 100)

    it.poll()

    assert standing(it).floors == {"demo": "1.1.0"}


def test_time_of_a_fresh_timestamp_is_written_rarely(make_device, publisher):
    """Each write costs a flash memory some life."""
    publisher.release("1.0.0")
    clock = ManualClock(unix_s=publisher.root_metadata.stat().st_mtime)
    with make_device(clock=clock) as it:
        it.poll()
        first = standing(it).seen_unix_s
        assert first == clock.unix_s()
        clock.advance(REFRESHED_EVERY_S - 1)
        it.poll()
        assert standing(it).seen_unix_s == first

        clock.advance(1)
        it.poll()

        assert standing(it).seen_unix_s == clock.unix_s()


def test_floor_that_rises_is_written_at_once(make_device, publisher, operator):
    clock = ManualClock(unix_s=publisher.root_metadata.stat().st_mtime)
    with make_device(clock=clock) as it:
        it.poll()
        operator.say_of("demo", "1.2.0", min_version="1.1.0")
        it.poll()

        assert standing(it).floors == {"demo": "1.1.0"}


def test_time_in_the_future_is_mended(make_device, publisher):
    """A clock that was far ahead for a while must not make the repository look fresh for as long as that."""
    publisher.release("1.0.0")
    clock = ManualClock(unix_s=publisher.root_metadata.stat().st_mtime)
    with make_device(clock=clock) as it:
        it.poll()
        it.layout.standing.write_bytes(b'{"seen_unix_s": 9e9, "floors": {}, "schema": 1}')

        it.poll()

        assert standing(it).seen_unix_s == clock.unix_s()
