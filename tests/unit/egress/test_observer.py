"""What the gate says about its network: only when there is something to say, whole, and readable for the daemon."""

import asyncio
import json
import stat

import pytest

from edged.egress import observer as module
from edged.egress.interfaces import read_way
from edged.egress.link import LinkReport, read_link_report
from edged.egress.observer import ROUND_TRIP_EVERY_S, LinkObserver
from edged.egress.routes import Way
from edged.errors import DocumentError
from edged.sense.context import Link
from tests.fakes.clocks import ManualClock

WIRED = Way(link=Link.ETHERNET, interface="eth0")
RADIO = Way(link=Link.WIFI, interface="wlan0")


class World:
    """A network that a test changes, and an observer of it."""

    def __init__(self, path, *, is_metered=None):
        self.path = path
        self.clock = ManualClock()
        self.way = WIRED
        self.takes_s = 0.0
        self.failure = None
        self.observer = LinkObserver(
            path, self.read, is_metered=is_metered, clock=self.clock, resolver=self.resolve, dialler=self.dial
        )

    def read(self):
        if isinstance(self.way, OSError):
            raise self.way
        return self.way

    async def resolve(self, name, port):
        if self.failure is not None:
            raise self.failure
        return ["192.0.2.1"]

    async def dial(self, address, port):
        self.clock.advance(self.takes_s)
        if self.failure is not None:
            raise self.failure

    def connect(self, takes_s, address="192.0.2.1"):
        self.takes_s = takes_s
        asyncio.run(self.observer.dial(address, 443))

    def look(self):
        self.observer.look()
        return read_link_report(self.path)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "link.json")


def test_the_first_look_is_written_for_everybody_to_read(world):
    began_s = world.clock.unix_s()

    assert world.look() == LinkReport(link=Link.ETHERNET, interface="eth0", since_unix_s=began_s)
    assert stat.S_IMODE(world.path.stat().st_mode) == 0o644


@pytest.mark.parametrize("is_metered", [True, False])
def test_what_the_administrator_says_of_costs_is_passed_on(tmp_path, is_metered):
    assert World(tmp_path / "link.json", is_metered=is_metered).look().metered is is_metered


def test_nothing_is_written_while_nothing_changes(world):
    world.look()
    before = world.path.stat().st_ino
    world.clock.advance(3600)

    world.look()

    assert world.path.stat().st_ino == before


def test_another_link_is_written_at_once_and_forgets_the_round_trip(world):
    world.connect(0.02)
    assert world.look().round_trip_s == 0.02
    world.way = RADIO
    world.clock.advance(1)

    report = world.look()

    assert (report.link, report.interface, report.round_trip_s) == (Link.WIFI, "wlan0", None)
    assert report.since_unix_s == world.clock.unix_s()


def test_round_trips_are_smoothed_and_written_when_they_are_others_by_a_quarter(world):
    world.connect(0.1)
    assert world.look().round_trip_s == 0.1
    world.clock.advance(ROUND_TRIP_EVERY_S)
    world.connect(0.2)
    assert world.look().round_trip_s == 0.1, "0.1125 is not a quarter more"
    for _ in range(4):
        world.connect(0.2)

    assert 0.125 < world.look().round_trip_s < 0.2


def test_what_is_on_this_machine_is_no_round_trip(world):
    world.connect(0.02, address="127.0.0.1")
    world.connect(0.02, address="::1")

    assert world.look().round_trip_s is None


def test_routes_that_cannot_be_read_are_no_network_that_could_be_trusted(world):
    world.way = OSError(13, "Permission denied")

    report = world.look()

    assert report.link is None
    assert "Permission denied" in report.reason


@pytest.mark.parametrize("attempt", ["resolve", "dial"])
async def test_a_connection_that_fails_has_the_network_looked_at_at_once(world, attempt, monkeypatch):
    """The look is no turn of its own: that would come too late."""
    monkeypatch.setattr(module, "LOOK_EVERY_S", 3600.0)
    running = asyncio.create_task(world.observer.run())
    await asyncio.sleep(0)
    assert read_link_report(world.path).link is Link.ETHERNET
    world.way, world.failure = Way(link=Link.OFFLINE), OSError(101, "Network is unreachable")

    with pytest.raises(OSError, match="unreachable"):
        await getattr(world.observer, attempt)("192.0.2.1", 443)
    async with asyncio.timeout(60):
        while read_link_report(world.path).link is not Link.OFFLINE:  # noqa: ASYNC110 - the file is what is watched
            await asyncio.sleep(0)
    running.cancel()


def test_a_directory_that_cannot_be_written_is_said_once(tmp_path, caplog):
    world = World(tmp_path / "missing" / "link.json")

    world.observer.look()
    world.observer.look()

    assert len(caplog.records) == 1
    assert read_link_report(world.path) is None


def test_a_file_that_says_something_else_is_refused(world):
    world.path.write_text(json.dumps({"schema": 1, "link": "carrier-pigeon", "since_unix_s": 0}))

    with pytest.raises(DocumentError, match="link"):
        read_link_report(world.path)


def test_this_machine_can_be_read():
    assert isinstance(read_way(), Way)


def test_interfaces_are_read_as_sysfs_shows_them(tmp_path):
    """Directories and links are told by their names; a file that is not there is empty."""
    proc, sys = tmp_path / "proc", tmp_path / "sys"
    proc.mkdir()
    (proc / "route").write_text("head\nbr0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")
    for name in ("br0/lower_wlp2s0", "wlp2s0/phy80211", "wlp2s0/device"):
        (sys / name).mkdir(parents=True)
    for name in ("br0", "wlp2s0"):
        (sys / name / "operstate").write_text("up\n")
        (sys / name / "type").write_text("1\n")

    assert read_way(proc, sys) == Way(link=Link.WIFI, interface="br0")
