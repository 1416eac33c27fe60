"""Whose fault it is when a version cannot be loaded, or does not do what it should. Pure, but for the journal."""

import logging
from typing import Final

from edged.errors import BundleError, DeadlineError, EdgedError, ModelLoadError, TrustError, WorkerLostError

LOG = logging.getLogger(__name__)

_CANDIDATES_FAULT: Final = (BundleError, TrustError, ModelLoadError, WorkerLostError, DeadlineError)
"""What a model does to the worker that loads and runs it; anything else is the device's trouble."""
_ACTIVE_MODELS_FAULT: Final = (BundleError, TrustError, WorkerLostError)
"""Of an active model less is: it stands in line with the apps' requests, so it can be late through no fault of its own."""


def is_candidates_fault(why: Exception) -> bool:
    """Tell whether a candidate is to blame that was alone in a worker."""
    return _is_models_fault(why, _CANDIDATES_FAULT)


def is_active_models_fault(why: Exception) -> bool:
    """Tell whether a version is to blame that answers apps as well."""
    return _is_models_fault(why, _ACTIVE_MODELS_FAULT)


def is_damage(why: Exception) -> bool:
    """Tell whether the store no longer holds a version whole."""
    return isinstance(why, BundleError | TrustError)


def _is_models_fault(why: Exception, faults: tuple[type[EdgedError], ...]) -> bool:
    """What nobody foresaw counts, because it came with this model and would come again."""
    if isinstance(why, EdgedError | OSError):
        return isinstance(why, faults)
    LOG.error("Model failed in an unforeseen way", exc_info=why)
    return True
