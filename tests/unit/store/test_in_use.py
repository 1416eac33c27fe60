"""What the updater is told of the daemon's slots: always at least what they name."""

import pytest

from edged.errors import StoreError
from edged.files import hash_bytes
from edged.ids import ModelName, Version
from edged.store import in_use
from edged.store.in_use import InUseFile, read_in_use, versions_in, write_in_use
from edged.store.slots import Content, Slot, Slots, SlotState

MODEL = ModelName("gauge")


def slot(version, state=SlotState.GOOD):
    content = Content(version=Version.parse(version), digest=hash_bytes(version.encode()), variant="v")
    return Slot(state=state, content=content)


def slots(a, b=None, active="a"):
    return Slots(a=slot(a), b=Slot() if b is None else slot(b, SlotState.WRITING), active=active)


def named(*texts):
    return frozenset(map(Version.parse, texts))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "in-use.json"


def test_every_version_that_a_slot_names_is_in_use_whatever_its_state():
    bad = Slots(a=slot("1.0.0"), b=slot("2.0.0", SlotState.BAD), active="a")

    assert versions_in({MODEL: bad, ModelName("empty"): Slots()}) == {MODEL: named("1.0.0", "2.0.0")}


def test_document_reads_back(path):
    write_in_use(path, {MODEL: named("1.0.0-rc.1", "1.0.0+build.5")})

    assert read_in_use(path) == {MODEL: named("1.0.0-rc.1", "1.0.0+build.5")}
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "data", [None, b"", b"{}", b"[]", b'{"schema":2,"models":{}}', b'{"schema":1,"models":{"gauge":["one"]}}', b"\xff"]
)
def test_no_document_or_one_that_cannot_be_read_says_nothing(path, data):
    """None is not the same as a document that names nothing."""
    if data is not None:
        path.write_bytes(data)

    assert read_in_use(path) is None


def test_document_too_large_to_be_the_daemons_says_nothing(path):
    path.write_bytes(b" " * (in_use.MAX_IN_USE_BYTES + 1))

    assert read_in_use(path) is None


def test_file_says_from_the_start_what_slots_name(path):
    InUseFile(path, {MODEL: slots("1.0.0", "0.9.0")})

    assert read_in_use(path) == {MODEL: named("1.0.0", "0.9.0")}


def test_while_a_slot_moves_both_versions_are_in_use(path):
    """Before the move the new one is named, and the old one until the move is durable."""
    file = InUseFile(path, {MODEL: slots("1.0.0", "0.9.0")})

    file.begin(MODEL, slots("1.0.0", "1.1.0"))
    assert read_in_use(path) == {MODEL: named("1.0.0", "0.9.0", "1.1.0")}

    file.end(MODEL, slots("1.0.0", "1.1.0"))
    assert read_in_use(path) == {MODEL: named("1.0.0", "1.1.0")}


def test_move_that_failed_leaves_what_was_in_use(path):
    file = InUseFile(path, {MODEL: slots("1.0.0")})

    file.begin(MODEL, slots("1.0.0", "1.1.0"))
    file.end(MODEL, slots("1.0.0"))

    assert read_in_use(path) == {MODEL: named("1.0.0")}


def test_end_of_one_models_move_keeps_what_another_models_move_names(path):
    other = ModelName("voice")
    file = InUseFile(path, {})

    file.begin(MODEL, slots("1.0.0"))
    file.begin(other, slots("5.0.0"))
    file.end(MODEL, slots("1.0.0"))

    assert read_in_use(path) == {MODEL: named("1.0.0"), other: named("5.0.0")}


def test_document_that_cannot_be_written_is_removed(path, monkeypatch):
    """Without one nothing is collected: a full /run holds up no model. It is written again as soon as it can be."""
    file = InUseFile(path, {MODEL: slots("1.0.0")})

    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(in_use, "replace_durably", full)
        file.begin(MODEL, slots("1.0.0", "1.1.0"))
        assert read_in_use(path) is None

    file.end(MODEL, slots("1.0.0", "1.1.0"))
    assert read_in_use(path) == {MODEL: named("1.0.0", "1.1.0")}


def test_directory_that_is_not_there_counts_as_no_document(tmp_path):
    InUseFile(tmp_path / "away" / "in-use.json", {MODEL: slots("1.0.0")})

    assert read_in_use(tmp_path / "away" / "in-use.json") is None


def test_daemon_starts_also_where_an_old_document_stays(path):
    """It serves what its slots name; only what would bring a new version into use has to wait."""
    (path / "in the way").mkdir(parents=True)

    file = InUseFile(path, {MODEL: slots("1.0.0")})

    with pytest.raises(StoreError, match="cannot be written"):
        file.begin(MODEL, slots("1.0.0", "1.1.0"))


def test_slot_may_not_move_when_an_old_document_stays(path):
    """It would say that the new version is used by nobody."""
    file = InUseFile(path, {MODEL: slots("1.0.0")})
    path.unlink()
    (path / "in the way").mkdir(parents=True)

    with pytest.raises(StoreError, match="cannot be written"):
        file.begin(MODEL, slots("1.0.0", "1.1.0"))
    file.end(MODEL, slots("1.0.0"))
