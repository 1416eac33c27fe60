import shutil
from datetime import UTC, datetime, timedelta

import pytest

from edged.publish.keys.directory import Keyring
from edged.publish.repository.changing import DEFAULT_EXPIRY, Repository
from edged.publish.repository.expiring import Expiring, find_expiring
from edged.publish.repository.operations import init_repository, publish_bundle
from edged.publish.repository.resigning import resign
from edged.publish.repository.roles import Expiry
from edged.publish.repository.state import read_state
from edged.publish.repository.tree import Tree

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
ROOT_HOLDERS = "3 of the 5 holders of root keys sign the next root (root rotate)"


@pytest.fixture(scope="module")
def place(tmp_path_factory, adder):
    place = tmp_path_factory.mktemp("expiring")
    keys = Keyring(directory=place / "keys")
    init_repository(place / "repo", keys, now=NOW)
    publish_bundle(place / "repo", adder, keys, now=NOW)
    return place


@pytest.fixture(scope="module")
def state(place):
    return read_state(Tree(place / "repo"))


def urgencies(state, role, *, expiry=DEFAULT_EXPIRY, **before):
    """How pressing a role is, some time before it expires."""
    expires = {"root": state.root, "snapshot": state.snapshot, "timestamp": state.timestamp, **state.targets}[role]
    found = find_expiring(state, expiry, expires.expires - timedelta(**before))
    return [expiring.urgency for expiring in found if expiring.role == role]


@pytest.mark.parametrize("role", ["root", "targets", "m-adder", "stop"])
@pytest.mark.parametrize(
    ("days", "urgency"),
    [(31, []), (29, ["notice"]), (15, ["notice"]), (13, ["pressing"]), (2.9, ["urgent"]), (0, ["expired"])],
)
def test_roles_of_a_year_are_warned_about_30_14_and_3_days_before(state, role, days, urgency):
    assert urgencies(state, role, days=days) == urgency


@pytest.mark.parametrize(
    ("role", "hours", "urgency"),
    [
        *[("timestamp", 23, []), ("timestamp", 6.1, []), ("timestamp", 5.9, ["notice"])],
        *[("timestamp", 2.9, ["pressing"]), ("timestamp", 0.5, ["urgent"]), ("timestamp", -1, ["expired"])],
        *[("snapshot", 43, []), ("snapshot", 41, ["notice"]), ("ops", 181, []), ("ops", 179, ["notice"])],
    ],
)
def test_what_a_timer_signs_is_warned_about_in_the_last_quarter_of_its_life(state, role, hours, urgency):
    """A timestamp of one day must not warn every day, as a limit of 30 days would have it."""
    assert urgencies(state, role, hours=hours) == urgency


def test_lifetimes_that_somebody_chose_are_gone_by(state):
    assert urgencies(state, "timestamp", expiry=Expiry(timestamp_days=20), hours=23) == ["pressing"]


def test_how_long_before_can_be_chosen(state):
    """Nobody needs to hear of 60 days, but of 7 days somebody may be content with."""
    now = state.root.expires - timedelta(days=20)

    assert [e.role for e in find_expiring(state, Expiry(), now) if e.urgency != "expired"] == [
        *["root", "targets", "m-adder", "stop"]
    ]
    assert all(e.urgency == "expired" for e in find_expiring(state, Expiry(), now, within_days=7))


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("root", "3 of the 5 holders of root keys"),
        ("targets", "bring the key targets"),
        ("m-adder", "bring the key model-adder"),
        ("stop", "run edge-publish resign, with the key stop"),
        ("timestamp", "run edge-publish resign, with the key timestamp"),
    ],
)
def test_who_has_to_sign_is_said(state, role, words):
    found = find_expiring(state, Expiry(), NOW + timedelta(days=400))

    assert words in next(expiring.sentence() for expiring in found if expiring.role == role)
    assert all(expiring.sentence().startswith("EXPIRED: ") for expiring in found)


def test_words_become_stronger():
    said = [
        Expiring(role="root", expires=NOW, left=timedelta(hours=hours), urgency=urgency, who="somebody").sentence()
        for hours, urgency in ((700, "notice"), (300, "pressing"), (50, "urgent"), (1.5, "urgent"))
    ]

    assert said == [
        "warning: root expires in 29 days, on 2026-11-22 10:00 UTC: somebody",
        "warning: root expires in only 12 days, on 2026-11-22 10:00 UTC: somebody",
        "URGENT: root expires in 2 days, on 2026-11-22 10:00 UTC; devices take no update then: somebody",
        "URGENT: root expires in 90 minutes, on 2026-11-22 10:00 UTC; devices take no update then: somebody",
    ]


def test_whoever_changes_something_is_warned_of_what_stays_unsigned(place, tmp_path):
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    late = NOW + timedelta(days=345)
    keys = Keyring(directory=tmp_path / "keys")
    keys.path("targets").unlink()
    said = []
    Repository(tree=Tree(tmp_path / "repo"), keys=keys, now=late, report=said.append).change(lambda _: None)

    assert [line for line in said if "expires" in line] == [
        f"warning: root expires in 20 days, on 2027-11-22 10:00 UTC: {ROOT_HOLDERS}",
        "warning: targets expires in 20 days, on 2027-11-22 10:00 UTC: bring the key targets, and run edge-publish resign",
    ]
    said.clear()
    resign(tmp_path / "repo", keys, now=late, report=said.append)
    assert [line.split()[1] for line in said if "expires" in line] == ["targets"]
