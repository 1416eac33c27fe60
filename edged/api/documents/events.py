"""What happens on this device, as it is told, ``/edged/v1/events``: of which types, and in which form. Pure."""

from typing import Final, Literal, get_args

EVENTS_PATH: Final = "/edged/v1/events"
CONTENT_TYPE: Final = "text/event-stream"
LAST_EVENT_ID: Final = "Last-Event-ID"

EventType = Literal["context", "decision", "slot", "history", "update"]
"""``context``: a word of the device's context is another one; ``decision``: requests of some kind are decided otherwise; ``slot``: a slot
of a model moved; ``history``: anything else that is kept in the device's history; ``update``: the updater does something else."""
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)
