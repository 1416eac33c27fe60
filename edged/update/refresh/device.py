"""Who this device is, for what fleets say to some devices only, as the updater sees it."""

import logging
from collections.abc import Callable

from edged.config.schema import Config
from edged.errors import StoreError
from edged.ops.flags import STOP_SENSITIVE, evaluate
from edged.ops.identity import read_device
from edged.ops.segments import Device
from edged.store.layout import StoreLayout
from edged.update.refresh.documents import FLAGS, read_document

LOG = logging.getLogger(__name__)


def this_device(config: Config) -> Device:
    """Find out who this device is; one that has no ID of its own gets an empty one, and belongs to no part of a rollout but the whole."""
    from edged.select.machine import read_machine  # noqa: PLC0415 - slow to load, and stops do not need it

    arch, labels = read_machine().arch, config.device.labels
    try:
        return read_device(id_=config.device.id, arch=arch, labels=labels)
    except StoreError as exc:
        LOG.warning("%s", exc)
        return Device(id="", arch=arch, labels=labels)


def is_stop_sensitive(layout: StoreLayout, device: Callable[[], Device]) -> bool:
    """Tell whether a stop is expected at any moment here.

    Args:
        layout: The store, with the flags.
        device: Asked when there is such a flag.
    """
    flags = read_document(layout, FLAGS)
    return flags is not None and STOP_SENSITIVE in flags.flags and evaluate(flags, device())[STOP_SENSITIVE] is True
