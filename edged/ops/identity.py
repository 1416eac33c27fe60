"""Who this device is: an ID that is its own, and the labels that its owner gave it."""

import hashlib
import hmac
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edged.errors import StoreError
from edged.files import read_limited
from edged.ops.segments import Device

APPLICATION: Final = uuid.UUID("5a3f6c4e-3a0b-4f0e-9d25-7f1b4a2c8e61")
"""Made once with ``systemd-id128 new``; never changes, or every device would move to another bucket of every rollout."""
MACHINE_ID: Final = Path("/etc/machine-id")


def derived_id(machine_id: bytes) -> str:
    """Derive the device's ID from its machine ID, which is to be kept confidential (machine-id(5)).

    The same as ``systemd-id128 machine-id --app-specific=5a3f6c4e...`` prints: HMAC-SHA256 of the application's ID, keyed with the
    machine's, cut to 16 bytes and marked as a random UUID (sd_id128_get_machine_app_specific(3)).

    Args:
        machine_id: 16 bytes.

    Returns:
        32 lower-case hexadecimal digits.
    """
    digest = hmac.new(machine_id, APPLICATION.bytes, hashlib.sha256).digest()[:16]
    return uuid.UUID(bytes=digest, version=4).hex


def read_device(*, id_: str, arch: str, labels: Mapping[str, str], machine_id: Path = MACHINE_ID) -> Device:
    """Find out who this device is.

    Args:
        id_: As configured; empty derives it from the machine ID.
        arch: In Debian's words.
        labels: As configured.
        machine_id: The file.

    Raises:
        StoreError: No ID is configured, and this machine has none.
    """
    return Device(id=id_ or _read_id(machine_id), arch=arch, labels=labels)


def _read_id(path: Path) -> str:
    try:
        machine_id = bytes.fromhex(read_limited(path, max_bytes=64).decode("ascii").strip())
    except (OSError, ValueError, StoreError) as exc:
        raise _no_id(path, str(exc)) from exc
    if len(machine_id) != 16 or not any(machine_id):
        raise _no_id(path, "it holds no ID")
    return derived_id(machine_id)


def _no_id(path: Path, why: str) -> StoreError:
    return StoreError(
        f"this device has no ID of its own: {path}: {why}", hint="Run systemd-machine-id-setup, or set device.id."
    )
