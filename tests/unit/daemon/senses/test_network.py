"""What the gate says of the network, and that what it does not say is not known."""

import json
import os

import pytest

from edged.daemon.senses.network import read_network
from edged.sense.context import Link

REPORT = {
    "schema": 1,
    "link": "wifi",
    "interface": "wlan0",
    "metered": False,
    "round_trip_s": 0.02,
    "since_unix_s": 1.0,
}


def test_a_whole_report_is_read(tmp_path):
    path = tmp_path / "link.json"
    path.write_text(json.dumps(REPORT))

    network = read_network(path)

    assert (network.link.value, network.metered.value, network.round_trip_s.value) == (Link.WIFI, False, 0.02)


def test_what_a_report_leaves_open_is_unknown_with_its_reason(tmp_path):
    path = tmp_path / "link.json"
    path.write_text(json.dumps(REPORT | {"link": None, "reason": "no routes", "metered": None, "round_trip_s": None}))

    network = read_network(path)

    assert (network.link.value, network.metered.value, network.round_trip_s.value) == (None, None, None)
    assert network.link.reason == "no routes"
    assert "metered" in network.metered.reason
    assert "no connection" in network.round_trip_s.reason


@pytest.mark.parametrize(
    ("text", "reason"), [(None, "since boot"), ("{", "cannot be read"), ('{"schema":9}', "cannot be read")]
)
def test_without_a_report_nothing_is_known(tmp_path, text, reason):
    path = tmp_path / "link.json"
    if text is not None:
        path.write_text(text)

    network = read_network(path)

    assert network.link.value is None
    assert reason in network.link.reason
    assert (network.metered, network.round_trip_s) == (network.link, network.link)


def test_a_pipe_in_place_of_the_report_does_not_keep_the_daemon_waiting(tmp_path):
    """The gate talks to strangers, and may write there what it likes."""
    os.mkfifo(tmp_path / "link.json")

    assert "no regular file" in read_network(tmp_path / "link.json").link.reason
