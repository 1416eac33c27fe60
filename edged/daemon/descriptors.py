"""How many files the daemon may have open: as many as its settings let others make it open, not the 1024 that are usual.

The soft limit is low for the sake of programs that call select(2), which cannot name a descriptor above 1023. edged does not, so it
takes what it needs of the hard limit (systemd.exec(5), LimitNOFILE=: 524288 by default).
"""

import logging
import resource
from typing import Final

from edged.config.schema import ServeConfig
from edged.daemon.serving.names import BODIES_AT_ONCE
from edged.runtime.memory import MIN_BYTES

LOG = logging.getLogger(__name__)

HTTP_SOCKETS: Final = 2
"""Of apps and of administrators; each has ``serve.max_connections``."""
PER_TENSOR_CLIENT: Final = 2
"""The connection, and the memory that came over it."""
PER_PIECE: Final = 2
"""Of shared memory; one of them only with Python before 3.13."""
RESERVE: Final = 896
"""For everything else: libraries, sensors (two for each thermal zone, one for each cooling device), the slot table, ten for each worker,
connections that are refused the moment they come."""


def descriptors_wanted(serve: ServeConfig) -> int:
    """Return how many descriptors the daemon may need at a time.

    All connections, and the shared memory of a model, in pieces that are as small as they can be. Should several models
    have so many, those that are not used are given up when one more cannot be had (``edged.runtime.memory``).
    """
    connections = serve.max_connections * (HTTP_SOCKETS + PER_TENSOR_CLIENT)
    pieces = BODIES_AT_ONCE * serve.max_body_bytes // MIN_BYTES
    return RESERVE + connections + pieces * PER_PIECE


def allow_descriptors(wanted: int) -> None:
    """Let this process have so many files open, or as many as it may; a limit that is higher already stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if most < wanted:
        LOG.warning(
            "At most %d files may be open, and the settings allow for what may need %d: "
            "lower serve.max_connections or serve.max_body_bytes, or raise LimitNOFILE= of edged.service",
            most,
            wanted,
        )
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
