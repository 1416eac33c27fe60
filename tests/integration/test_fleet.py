"""A fleet of 200 devices takes a version in steps, with a halt in between.

What decides is real: the rules of ``edged.ops`` and the waits of ``edged.update.lookout.backoff``; documents are made by the publisher's
verbs and come from a web server over TCP. Devices are as small as can be otherwise: one asks for the timestamp on the condition that it
changed, and follows it to the rollout. Time is made up, and who a device is follows from its number, so every run is the same.
"""

import hashlib
import heapq
import http.client
import json
import math
import random
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from edged.codec import decode_json
from edged.files import hash_bytes
from edged.ids import Version
from edged.ops.rollout import Rollout, decide
from edged.ops.segments import Device
from edged.publish.keys.directory import Keyring
from edged.publish.main import main
from edged.publish.repository.operations import init_repository, publish_bundle
from edged.publish.repository.server import StaticServer
from edged.update.lookout.backoff import poll_wait_s
from tests.fakes.bundles import make_bundle

DEVICES = 200
INTERVAL_S = 60.0
SIGMAS = 4
"""So far from the expected number a fair draw is about once in 16,000 times; the draws here are the same each time."""
OLD, NEW = Version.parse("1.0.0"), Version.parse("1.1.0")


@dataclass
class Host:
    """Asks the web server; one connection for all, because it is the decisions that are looked at."""

    connection: http.client.HTTPConnection
    unchanged: int = 0

    def get(self, path, etag=""):
        """Return the body and its entity tag; no body when it is still the one of ``etag``."""
        self.connection.request("GET", f"/{path}", headers={"If-None-Match": etag} if etag else {})
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status in ({200, 304} if etag else {200}), path
        self.unchanged += answer.status == 304
        return (None, etag) if answer.status == 304 else (body, answer.headers["ETag"])

    def rollout(self, timestamp):
        """Follow a timestamp to the rollout it vouches for."""
        version = json.loads(timestamp)["signed"]["meta"]["snapshot.json"]["version"]
        snapshot = json.loads(self.get(f"metadata/{version}.snapshot.json")[0])["signed"]
        ops = json.loads(self.get(f"metadata/{snapshot['meta']['ops.json']['version']}.ops.json")[0])["signed"]
        digest = ops["targets"]["ops/rollout.json"]["hashes"]["sha256"]
        data, _ = self.get(f"targets/ops/{digest}.rollout.json")
        assert hash_bytes(data) == digest
        return decode_json(Rollout, data, source="rollout")


@dataclass
class Follower:
    """One device."""

    device: Device
    draws: random.Random
    active: Version | None = None
    etag: str = ""
    ran: list[Version] = field(default_factory=list)

    def poll(self, host):
        timestamp, self.etag = host.get("metadata/timestamp.json", self.etag)
        if timestamp is not None:
            entry = host.rollout(timestamp).models["adder"]
            self.active = decide(entry, self.device, active=self.active, flags={}).run
            self.ran.append(self.active)
        return poll_wait_s(INTERVAL_S, draw=self.draws.random())


class Fleet:
    """All devices on one clock; the worst case for a herd: they start at the same moment, as after a power cut."""

    def __init__(self, host):
        self.host = host
        self.now_s = 0.0
        self.polls = []
        ids = [hashlib.sha256(b"device %d" % number).hexdigest()[:32] for number in range(DEVICES)]
        self.followers = [
            Follower(Device(id=id_, arch="arm64"), random.Random(number)) for number, id_ in enumerate(ids)
        ]
        self._queue = [(0.0, number) for number in range(DEVICES)]

    def pass_one_interval(self):
        """Let the time pass within which every device has polled."""
        end_s = self.now_s + INTERVAL_S
        while self._queue[0][0] <= end_s:
            at_s, number = heapq.heappop(self._queue)
            self.polls.append((at_s, number))
            heapq.heappush(self._queue, (at_s + self.followers[number].poll(self.host), number))
        self.now_s = end_s

    def running(self, version):
        return {follower.device.id for follower in self.followers if follower.active == version}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("fleet")
    keys = Keyring(directory=place / "keys")
    init_repository(place / "repo", keys, now=datetime.now(UTC), root_count=1, root_threshold=1)
    publish_bundle(place / "repo", make_bundle(place / "bundles"), keys, now=datetime.now(UTC))
    bundle = make_bundle(place / "bundles", version=str(NEW))
    publish_bundle(place / "repo", bundle, keys, now=datetime.now(UTC), rollout=False)
    return place


@pytest.fixture(scope="module")
def host(place):
    with StaticServer(place / "repo") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
        try:
            yield Host(connection)
        finally:
            connection.close()
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def story(place, host):
    """The fleet after the whole rollout; who ran the new version after each step of it; what the document said then."""

    def say(*arguments):
        assert main(["rollout", *arguments, "--repo", str(place / "repo"), "--keys", str(place / "keys")]) == 0

    fleet = Fleet(host)
    fleet.pass_one_interval()
    steps, entries = {"before": fleet.running(NEW)}, {}
    for name, arguments in (
        ("1 %", ("start", "adder", str(NEW), "--percent", "1")),
        ("10 %", ("advance", "adder", "--now")),
        ("halted", ("halt", "adder", "--reason", "looks slow")),
        ("resumed", ("resume", "adder")),
        ("25 %", ("advance", "adder", "--now")),
        ("100 %", ("advance", "adder", "--percent", "100", "--now")),
        ("finished", ("advance", "adder", "--now")),
    ):
        say(*arguments)
        fleet.pass_one_interval()
        steps[name] = fleet.running(NEW)
        entries[name] = host.rollout(host.get("metadata/timestamp.json")[0]).models["adder"]
    return fleet, steps, entries


@pytest.mark.parametrize("percent", [1, 10, 25])
def test_share_of_the_fleet_is_within_binomial_bounds(story, percent):
    share = percent / 100
    spread = SIGMAS * math.sqrt(DEVICES * share * (1 - share))
    count = len(story[1][f"{percent} %"])

    assert count > 0
    assert abs(count - DEVICES * share) <= spread


def test_everybody_has_it_in_the_end_and_nobody_before_it_began(story):
    steps = story[1]

    assert steps["before"] == set()
    assert len(steps["100 %"]) == len(steps["finished"]) == DEVICES


def test_who_has_it_keeps_it(story):
    """At each step the devices of the step before are among those of the next, through the halt, too."""
    assert all(before <= after for before, after in pairwise(story[1].values()))
    assert all(OLD not in follower.ran[follower.ran.index(NEW) :] for follower in story[0].followers)


def test_a_halt_lets_nobody_in_and_nobody_out(story):
    steps = story[1]

    assert steps["10 %"] == steps["halted"] == steps["resumed"]


def test_a_device_that_was_away_finds_a_halted_rollout_and_does_not_join_it(story):
    """It is among the first tenth, and has not heard of the version yet."""
    steps, entries = story[1:]
    late = Device(id=min(steps["10 %"]), arch="arm64")

    assert decide(entries["10 %"], late, active=OLD, flags={}).run == NEW
    assert decide(entries["halted"], late, active=OLD, flags={}).run == OLD


def test_what_did_not_change_costs_one_conditional_request(story, host):
    fleet = story[0]
    before = len(fleet.polls), host.unchanged
    fleet.pass_one_interval()

    assert len(fleet.polls) - before[0] == host.unchanged - before[1] >= DEVICES


def test_no_herd_comes_back_after_all_began_at_once(story):
    """The second polls are spread over the window of the jitter, and so are those in each window of that length ever after."""
    fleet = story[0]
    first, second = {}, {}
    for at_s, number in fleet.polls:
        if number in first and number not in second:
            second[number] = at_s
        first.setdefault(number, at_s)
    assert set(first.values()) == {0.0}
    shortest_s, longest_s = (poll_wait_s(INTERVAL_S, draw=draw) for draw in (0.0, 1.0))
    seconds = round(longest_s - shortest_s)
    assert seconds >= 10

    assert_spread(list(second.values()), shortest_s, seconds)


def assert_spread(times, start_s, seconds):
    counts = [0] * seconds
    for at_s in times:
        counts[int(at_s - start_s)] += 1
    share = 1 / seconds
    most = len(times) * share + SIGMAS * math.sqrt(len(times) * share * (1 - share))
    assert sum(counts) == DEVICES
    assert max(counts) <= most
    assert min(counts) > 0


def test_a_new_document_is_not_fetched_by_all_at_once(story):
    """Later polls have drifted apart further: in no second come more than a fair draw over a whole interval would bring."""
    fleet = story[0]
    last_s = [at_s for at_s, _ in fleet.polls if at_s > fleet.now_s - INTERVAL_S]
    counts = [0] * (int(INTERVAL_S) + 1)
    for at_s in last_s:
        counts[int(at_s - (fleet.now_s - INTERVAL_S))] += 1
    share = len(last_s) / INTERVAL_S

    assert max(counts) <= share + SIGMAS * math.sqrt(share) + 1
