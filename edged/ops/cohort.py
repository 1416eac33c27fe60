"""Which devices are among the first so many percent. Pure.

Each device finds out for itself, so nobody keeps a list: a hash of what is rolled out and of the device puts it into one of 10,000
buckets, evenly and differently for each rollout. A device that is in at 1 percent is in at 10, because its bucket does not move.
"""

from typing import Final

BUCKETS: Final = 10_000


def bucket(subject: str, device_id: str) -> int:
    """Return the bucket of a device, from 0 to 9,999: ``sha256(subject + device_id) mod 10000``, read as a big-endian number.

    Args:
        subject: What is rolled out: the ID of a rollout, or ``flag:NAME``.
        device_id: The device's.
    """
    # Imported here: it brings OpenSSL along, 0.8 MB that a process which only has these types does without.
    from hashlib import sha256  # noqa: PLC0415 - see above

    return int.from_bytes(sha256(f"{subject}{device_id}".encode()).digest()) % BUCKETS


def is_among(subject: str, device_id: str, *, percent: float) -> bool:
    """Tell whether a device is among the first ``percent`` of all, in steps of a hundredth; one without an ID is among all, or none."""
    if not device_id:  # several of these would all be in one bucket
        return percent >= 100
    return bucket(subject, device_id) < round(percent * BUCKETS / 100)
