"""Over what packets leave a device, as the kernel's tables say it."""

import pytest

from edged.egress.routes import InterfaceText, Way, find_way
from edged.sense.context import Link

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
WIRED = InterfaceText(type="1", operstate="up", is_hardware=True)
RADIO = InterfaceText(type="1", operstate="up", is_hardware=True, is_wireless=True, uevent="DEVTYPE=wlan\n")
MODEM = InterfaceText(type="65534", operstate="unknown", uevent="DEVTYPE=wwan\nINTERFACE=wwan0\n", is_hardware=True)
TUNNEL = InterfaceText(type="65534", operstate="unknown", is_tunnel=True)


def v4(interface, *, destination="00000000", flags="0003", metric=0, mask="00000000"):
    return f"{interface}\t{destination}\t010200C0\t{flags}\t0\t0\t{metric}\t{mask}\t0\t0\t0\n"


def v6(interface, *, prefix="00", flags="00000003", metric="00000400"):
    zeros = "0" * 32
    return f"{zeros} {prefix} {zeros} 00 fd{'0' * 29}1 {metric} 00000001 00000000 {flags} {interface:>8}\n"


@pytest.mark.parametrize(
    ("interface", "kind"),
    [
        (WIRED, Link.ETHERNET),
        (RADIO, Link.WIFI),
        (InterfaceText(type="1", operstate="up", is_hardware=True, uevent="DEVTYPE=wlan"), Link.WIFI),
        (InterfaceText(type="519", operstate="unknown", uevent="DEVTYPE=wwan", is_hardware=True), Link.CELLULAR),
        (InterfaceText(type="512", operstate="unknown"), Link.OTHER),
        (InterfaceText(type="1", operstate="up"), Link.OTHER),
    ],
)
def test_kind_of_interface_is_that_of_its_driver(interface, kind):
    """A serial line and one end of a container's pair are none of the known kinds, and nothing is guessed about them."""
    assert find_way(HEAD + v4("net0"), "", {"net0": interface}) == Way(link=kind, interface="net0")


def test_a_modem_is_no_tunnel_although_it_has_no_hardware_address():
    assert find_way(HEAD + v4("wwan0"), "", {"wwan0": MODEM}).link is Link.CELLULAR


@pytest.mark.parametrize(
    "table",
    [
        "",
        HEAD,
        HEAD + v4("eth0", destination="000200C0", mask="00FFFFFF"),
        HEAD + v4("eth0", flags="0203"),
        HEAD + v4("eth0", flags="0002"),
        HEAD + v4("gone0"),
        HEAD + "eth0\tnonsense\n",
        HEAD + v4("eth0", metric="x"),
    ],
)
def test_without_a_usable_route_the_device_is_offline(table):
    """A route to the own network, one that refuses, one that is down, one over what is no more there, and nonsense."""
    assert find_way(table, v6("lo", flags="00200200"), {"eth0": WIRED}) == Way(link=Link.OFFLINE)


def test_a_cable_that_is_pulled_out_leaves_the_next_route():
    down = InterfaceText(type="1", operstate="down", is_hardware=True)
    table = HEAD + v4("eth0", metric=100) + v4("wlan0", metric=600)

    assert find_way(table, "", {"eth0": WIRED, "wlan0": RADIO}).link is Link.ETHERNET
    assert find_way(table, "", {"eth0": down, "wlan0": RADIO}).link is Link.WIFI
    assert find_way(table, "", {"eth0": down}).link is Link.OFFLINE


def test_ipv6_alone_is_a_network():
    assert find_way(HEAD, v6("eth0"), {"eth0": WIRED}) == Way(link=Link.ETHERNET, interface="eth0")


def test_a_tunnel_is_judged_by_what_is_beneath_it():
    """A tunnel takes everything, as one default route or as two halves beside the one that carries it."""
    halves = v4("tun0", mask="00000080") + v4("tun0", destination="00000080", mask="00000080")
    interfaces = {"tun0": TUNNEL, "wlan0": RADIO}

    assert find_way(HEAD + halves + v4("wlan0"), "", interfaces) == Way(link=Link.WIFI, interface="wlan0")
    assert find_way(HEAD + v4("tun0") + v4("wlan0", metric=600), "", interfaces).link is Link.WIFI
    assert find_way(HEAD + v4("tun0"), "", interfaces) == Way(link=Link.OTHER, interface="tun0")


def test_a_bridge_is_what_all_its_interfaces_are():
    bridge = InterfaceText(type="1", operstate="up", uevent="DEVTYPE=bridge", lower=("eth0", "net1"))
    table = HEAD + v4("br0")

    assert find_way(table, "", {"br0": bridge, "eth0": WIRED, "net1": WIRED}).link is Link.ETHERNET
    assert find_way(table, "", {"br0": bridge, "eth0": WIRED, "net1": RADIO}).link is Link.OTHER


def test_interfaces_that_are_made_of_each_other_end_the_search():
    circle = {name: InterfaceText(type="1", operstate="up", lower=(other,)) for name, other in (("a", "b"), ("b", "a"))}

    assert find_way(HEAD + v4("a"), "", circle).link is Link.OTHER
