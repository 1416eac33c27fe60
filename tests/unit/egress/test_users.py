"""Who may reach what: repositories are for the updater, endpoints for nobody but the process that asks them."""

import os
import pwd

import pytest

from edged.config.schema import Config, EgressConfig, EndpointConfig, OffloadConfig
from edged.egress.policy import Policy, parse_endpoints
from edged.egress.users import read_policies
from edged.errors import ConfigError

ENDPOINTS = {
    "one": EndpointConfig(url="https://cloud.example.org/v2/models/one/infer"),
    "two": EndpointConfig(url="https://site.example.org:8443/infer", private=True),
}
REPOSITORY = Policy(public=frozenset({("models.example.org", 443)}), private=frozenset())
OUTSIDE = Policy(public=frozenset({("cloud.example.org", 443)}), private=frozenset({("site.example.org", 8443)}))


def config(user):
    return Config(
        egress=EgressConfig(allow=("models.example.org:443",)), offload=OffloadConfig(user=user, endpoints=ENDPOINTS)
    )


def test_a_user_is_known_by_its_number():
    me = pwd.getpwuid(os.getuid()).pw_name

    assert read_policies(config(me)) == (REPOSITORY, {os.getuid(): OUTSIDE})


def test_without_the_user_nobody_reaches_endpoints(caplog):
    assert read_policies(config("nobody-has-this-name")) == (REPOSITORY, {})
    assert "reached by nobody" in caplog.records[0].message


def test_a_developers_processes_are_all_of_one_user():
    policy, policies = read_policies(config(""))

    assert policy.public == REPOSITORY.public | OUTSIDE.public
    assert policy.private == OUTSIDE.private
    assert policies == {}


@pytest.mark.parametrize("host", ["192.0.2.1", "[2001:db8::1]", "0x7f.1", "a b"])
def test_endpoints_are_names(host):
    endpoint = EndpointConfig(url=f"https://{host.replace(' ', '_!')}/x")

    with pytest.raises(ConfigError, match=r"offload\.endpoints\.one\.url"):
        parse_endpoints(OffloadConfig(endpoints={"one": endpoint}))
