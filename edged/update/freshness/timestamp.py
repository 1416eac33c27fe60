"""How new a timestamp is by its own word, before anybody verifies it. Pure.

Enough to decide whether a look is worth it; what it says is believed only after python-tuf has verified it.
"""

from typing import Literal

import msgspec


class _Signed(msgspec.Struct):
    version: int
    kind: Literal["timestamp"] = msgspec.field(name="_type")


class _Timestamp(msgspec.Struct):
    signed: _Signed


def claimed_version(data: bytes) -> int:
    """Return the version that some bytes claim as a timestamp; 0 when they are none, such as the page of a captive portal."""
    try:
        return msgspec.json.decode(data, type=_Timestamp).signed.version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
