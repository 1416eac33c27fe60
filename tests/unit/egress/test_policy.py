"""Rules of ``edged.egress.policy``."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.config.schema import EgressConfig
from edged.egress.policy import Allowed, Policy, Reason, Refused, check_address, decide, parse_policy
from edged.errors import ConfigError

POLICY = Policy(
    public=frozenset({("models.example.org", 443), ("xn--bcher-kva.example", 443)}),
    private=frozenset({("mirror.lan", 8080)}),
)


@pytest.mark.parametrize("host", ["models.example.org", "MODELS.Example.ORG", "models.example.org."])
def test_listed_name_is_allowed_in_any_case_and_with_final_dot(host):
    """DNS names have no case, and the final dot only makes a name absolute."""
    assert decide(host, 443, POLICY) == Allowed(name="models.example.org", is_private=False)


def test_private_destination_is_told_apart():
    assert decide("mirror.lan", 8080, POLICY) == Allowed(name="mirror.lan", is_private=True)


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("example.org", 443, Reason.NAME_NOT_LISTED),
        ("sub.models.example.org", 443, Reason.NAME_NOT_LISTED),
        ("models.example.org.evil.test", 443, Reason.NAME_NOT_LISTED),
        ("xmodels.example.org", 443, Reason.NAME_NOT_LISTED),
        ("localhost", 443, Reason.NAME_NOT_LISTED),
        ("models.example.org", 80, Reason.PORT_NOT_LISTED),
        ("mirror.lan", 443, Reason.PORT_NOT_LISTED),
    ],
)
def test_unlisted_name_or_port_is_refused(host, port, reason):
    assert decide(host, port, POLICY) == Refused(reason=reason)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1.", "127.1", "0", "0.", "127.0.0.1..", "2130706433", "0x7f000001", "0X7F.1", "0x7f.0.0.1", "0x",
        "0177.0.0.1", "017700000001", "00000177.1", "999999999999", "1.2.3.4.5", "8.8.8.8", "localhost.0x", "a.1",
        "[::1]", "::1", "[::ffff:127.0.0.1]", "[fe80::1%25eth0]", "[v1.x]", "1:2", "[127.0.0.1]",
    ],
)  # fmt: skip
def test_raw_address_is_refused_in_every_spelling(host):
    """Also when someone listed it: a number is never a name."""
    listed = Policy(public=frozenset({(host.lower(), 443)}), private=frozenset({(host.lower(), 443)}))

    assert decide(host, 443, listed) == Refused(reason=Reason.RAW_ADDRESS)


@pytest.mark.parametrize(
    "host",
    [
        # Fullwidth and circled digits, ideographic full stops, a zero-width space, umlauts: IDNA would map some of them to addresses.
        "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021", "\u2460\u2461\u2466.0.0.1", "models\u3002example.org",
        "models.example.org\u200b", "m\u00f6dels.example.org", "\u24dcodels.example.org", "models.example.org\x00",
        "models.example.org\n",
        "models.example.org..", ".models.example.org", "models..example.org", "", ".", "-a.test", "a-.test", "a b",
        "user@models.example.org",
        "models.example.org/", "models.example.org%2e", "a" * 64 + ".test", ".".join(["a" * 60] * 5),
    ],
)  # fmt: skip
def test_what_is_not_a_plain_ascii_host_name_is_refused(host):
    """Tricks with look-alike characters, empty labels and control characters do not reach the resolver."""
    assert decide(host, 443, POLICY) == Refused(reason=Reason.NOT_A_NAME)


def test_encoded_international_name_is_a_name():
    assert decide("xn--bcher-kva.example", 443, POLICY) == Allowed(name="xn--bcher-kva.example", is_private=False)


PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "64:ff9b::808:808"]
LOCAL = [
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "100.64.0.1",
    "198.18.0.1", "192.0.0.1", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::1", "::7f00:1",
    "fec0::1", "2001::1", "2001:db8::1", "100::1", "3fff::1", "5f00::1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1",
]  # fmt: skip
NOWHERE = [
    "0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1", "239.1.2.3", "240.0.0.1", "::", "ff02::1", "::ffff:0.0.0.0",
    "::ffff:224.0.0.1", "64:ff9b::e000:1", "2002:e000:1::", "2002:ffff:ffff::",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_global_unicast_may_be_reached(address):
    assert check_address(address, is_private=False) is None


@pytest.mark.parametrize("address", [*LOCAL, *NOWHERE, "::ffff:8.8.8.8"])
def test_no_other_address_may_be_reached_for_a_public_name(address):
    """Also when it hides in IPv6: mapped, NAT64, 6to4, compatible."""
    assert check_address(address, is_private=False) == Refused(reason=Reason.ADDRESS_NOT_GLOBAL)


@pytest.mark.parametrize("address", [*PUBLIC, *LOCAL])
def test_private_name_may_be_anywhere_unicast(address):
    assert check_address(address, is_private=True) is None


@pytest.mark.parametrize("address", NOWHERE)
def test_group_and_reserved_addresses_are_refused_even_for_private_names(address):
    assert check_address(address, is_private=True) is not None


@given(st.integers(0, 2**32 - 1).map(IPv4Address) | st.integers(0, 2**128 - 1).map(IPv6Address))
def test_nothing_is_public_that_python_calls_special(ip):
    """The tables agree with Python's, which follow the same registries; ours may be stricter."""
    if check_address(str(ip), is_private=False) is None:
        assert ip.is_global
        assert not ip.is_multicast


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_an_address_inside_another_is_judged_as_itself(ip):
    """NAT64 reaches the IPv4 host: public exactly when that host is."""
    inside = IPv6Address(int(ip_address("64:ff9b::")) + int(ip))

    assert (check_address(str(inside), is_private=False) is None) == (check_address(str(ip), is_private=False) is None)


@given(st.text("0123456789abcdefxX.", min_size=1, max_size=20))
def test_whatever_the_c_library_reads_as_an_address_is_refused(text):
    """``inet_aton`` is the most generous reader of addresses on this machine."""
    try:
        socket.inet_aton(text)
    except OSError:
        return
    assert decide(text, 443, POLICY) == Refused(reason=Reason.RAW_ADDRESS)


def test_config_becomes_a_policy():
    config = EgressConfig(allow=("models.example.org:443",), allow_private=("localhost:8080",))

    assert parse_policy(config) == Policy(
        public=frozenset({("models.example.org", 443)}), private=frozenset({("localhost", 8080)})
    )


def test_config_with_addresses_or_impossible_ports_is_refused_with_every_problem():
    config = EgressConfig(allow=("10.0.0.1:443", "a.test:443", "b.test:0"), allow_private=("c.test:70000",))

    with pytest.raises(ConfigError) as caught:
        parse_policy(config)

    assert [p.pointer for p in caught.value.problems] == ["egress.allow.0", "egress.allow.2", "egress.allow_private.0"]
