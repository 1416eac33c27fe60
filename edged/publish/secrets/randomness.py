"""Strings in a text that look random, as keys do when nothing else says what they are. Pure.

A run of letters and digits is one when it is as long as keys are, mixes what keys mix, and has nearly as many bits of Shannon entropy for
each character as its alphabet allows. What looks random and is no secret is excused: digests the bundle itself is made of, digests and
revisions that are called so where they stand, alphabets, and blocks of encoded data, which have many lines.
"""

import itertools
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Final

MIN_BYTES: Final = 32
MAX_BYTES: Final = 200
"""Keys are shorter; what is longer is data."""
MIN_BASE64_BITS: Final = 4.3
"""For each character. A random run of 32 has 4.6 on average, and hardly any less than this; a name of many words about 4."""
MIN_HEX_BITS: Final = 3.0

_RUN: Final = re.compile(rb"[A-Za-z0-9+/_-]{32,}={0,2}")
_HEX: Final = re.compile(rb"[0-9a-f]{32,}|[0-9A-F]{32,}")
_SAYS_DIGEST: Final = re.compile(
    rb"sha-?\d|md5|digest|checksum|hash|commit|revision|\brev\b|etag|fingerprint|uuid|integrity|/(?:commit|tree|blob|raw)/",
    re.IGNORECASE,
)
_CONTEXT_BYTES: Final = 100
_ENCODED_LINE: Final = rb"[A-Za-z0-9+/=_-]{16,}"
_LINE_BEFORE: Final = re.compile(_ENCODED_LINE + rb"\r?\n[ \t]*\Z")
_LINE_AFTER: Final = re.compile(rb"\r?\n[ \t]*" + _ENCODED_LINE)


def find_random(data: bytes, known: Collection[bytes]) -> Iterator[re.Match[bytes]]:
    """Go through the runs in a text that look random.

    Args:
        data: The text.
        known: Runs that are expected, in lower case: the digests in the bundle's own documents.
    """
    for match in _RUN.finditer(data):
        run = match[0]
        if MIN_BYTES <= len(run) <= MAX_BYTES and run.lower() not in known and _looks_random(data, match):
            yield match


def entropy(run: bytes) -> float:
    """Return the Shannon entropy of a string's characters, in bits for each."""
    counts = Counter(run).values()
    return -sum(count / len(run) * math.log2(count / len(run)) for count in counts)


def _looks_random(data: bytes, match: re.Match[bytes]) -> bool:
    run = match[0]
    if _is_alphabet(run):
        return False
    if _HEX.fullmatch(run):
        return entropy(run) > MIN_HEX_BITS and not _is_called_digest(data, match.start())
    has_all = any(c in run for c in b"0123456789") and run != run.lower() and run != run.upper()
    return (
        has_all
        and entropy(run.rstrip(b"=")) > MIN_BASE64_BITS
        and not _is_called_digest(data, match.start())
        and not _is_in_block(data, match)
    )


def _is_alphabet(run: bytes) -> bool:
    """Tell whether most characters are followed by the next one, as in the alphabet of base64."""
    return 2 * sum(after - before == 1 for before, after in itertools.pairwise(run)) > len(run)


def _is_called_digest(data: bytes, start: int) -> bool:
    line = data[max(0, start - _CONTEXT_BYTES) : start].rpartition(b"\n")[2]
    return _SAYS_DIGEST.search(line) is not None


def _is_in_block(data: bytes, match: re.Match[bytes]) -> bool:
    """Tell whether the line before or after has nothing but such a run either."""
    before = data[max(0, match.start() - MAX_BYTES) : match.start()]
    return bool(_LINE_BEFORE.search(before) or _LINE_AFTER.match(data, match.end(), match.end() + MAX_BYTES))
