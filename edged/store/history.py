"""What happened to models on this device, as kept in ``state.db`` and shown by ``edgectl update history``. Pure."""

from enum import StrEnum

from edged.codec import Document


class Happening(StrEnum):
    """Every change of state that is kept; each has an event in the journal, too.

    What the updater removes from the store is in the journal alone: it cannot write what is the daemon's.
    """

    SLOT_MOVED = "slot-moved"
    """``reason`` names the event of ``edged.store.slots`` first."""
    REFUSED = "refused"
    REFUSAL_LIFTED = "refusal-lifted"
    SHADOW_BEGAN = "shadow-began"
    SHADOW_PASSED = "shadow-passed"
    SHADOW_FAILED = "shadow-failed"
    SHADOW_SKIPPED = "shadow-skipped"
    """A shadow run was asked for, and there was none, or not to its end: the candidate went on without."""
    STOPPED = "stopped"
    STOP_LIFTED = "stop-lifted"
    LEASE_EXPIRED = "lease-expired"
    LEASE_RENEWED = "lease-renewed"
    FELL_BACK = "fell-back"
    """A rule of the manifest answers in the model's place."""
    ANSWERS_AGAIN = "answers-again"
    FLAG_CHANGED = "flag-changed"
    DOCUMENT_TAKEN = "document-taken"
    DOCUMENT_REFUSED = "document-refused"
    WINDOW_OPENED = "window-opened"
    """By an operator, before its conditions held."""
    ROLLED_BACK = "rolled-back"
    POLICY_OVERRIDDEN = "policy-overridden"
    """By an operator, for a while."""
    POLICY_OVERRIDE_ENDED = "policy-override-ended"


class Entry(Document, frozen=True, kw_only=True, omit_defaults=True):
    """One change, newest last by ``id``."""

    id: int = 0
    """Given when it is kept."""
    at: float
    """Unix seconds on the wall clock, which may have been wrong."""
    what: Happening
    model: str = ""
    """Empty when it concerns the device as a whole."""
    version: str = ""
    slot: str = ""
    cause: str
    """Who or what: ``rollout 3f9c0d2e`` (first digits of a document's digest), ``operator alice``, ``boot``, ``trial``, ``disk``."""
    reason: str = ""


class History(Document, frozen=True, kw_only=True):
    """``/edged/v1/history``, newest first."""

    schema: int = 1
    entries: tuple[Entry, ...]
