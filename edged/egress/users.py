"""Who may reach what: hosts of repositories and endpoints of models are for different users, and neither of them for the other."""

import logging
import pwd
from collections.abc import Mapping
from typing import Final

from edged.config.schema import Config
from edged.egress.policy import Policy, joined, parse_endpoints, parse_policy

LOG = logging.getLogger(__name__)

_NOBODY: Final[Mapping[int, Policy]] = {}


def read_policies(config: Config) -> tuple[Policy, Mapping[int, Policy]]:
    """Read what everybody may reach who may open the gate's socket, and what certain users may reach in place of that.

    Args:
        config: Where no user is named for offload, as in a directory of a developer's, everybody may reach everything that is listed.

    Raises:
        ConfigError: The lists of destinations are wrong.
    """
    repositories, endpoints = parse_policy(config.egress), parse_endpoints(config.offload)
    if not config.offload.user:
        return joined(repositories, endpoints), _NOBODY
    try:
        uid = pwd.getpwnam(config.offload.user).pw_uid
    except KeyError:
        if config.offload.endpoints:
            LOG.warning("there is no user %s, so endpoints are reached by nobody", config.offload.user)
        return repositories, _NOBODY
    return repositories, {uid: endpoints}
