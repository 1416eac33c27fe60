"""The rows of ``state.db`` as values and back. Pure; a row that nobody of edged's wrote is a ``ValueError``."""

from typing import Final, cast

import msgspec

from edged.ids import Digest, ModelName, SlotName, Version
from edged.store.history import Entry, Happening
from edged.store.kept import Counts, KeptDocument, KeptTrial, KeptVariant, Place, Record, Refused
from edged.store.slots import Content, Slot, Slots, SlotState

Row = tuple[object, ...]

SLOTS: Final = """
SELECT model, slot, state, is_active, version, digest, variant, reason, changed_unix_s FROM slots ORDER BY model, slot
"""
REFUSALS: Final = "SELECT digest, model, version, reason, at_unix_s FROM refusals ORDER BY at_unix_s"
TRIALS: Final = """
SELECT model, slot, version, digest, began_unix_s, watched_s, daemon_starts, has_ended_cleanly, baseline, seen FROM trials
"""
VARIANTS: Final = "SELECT digest, variant, has_passed, runs, memory_bytes FROM variants"
DOCUMENTS: Final = "SELECT name, digest, data, taken_unix_s FROM documents ORDER BY name"
NEWEST_ENTRIES: Final = """
SELECT id, at_unix_s, what, model, version, slot, cause, reason FROM history WHERE ?1 IN ('', model) ORDER BY id DESC LIMIT ?2
"""


def of_slot(model: ModelName, name: SlotName, slots: Slots) -> Row:
    """Return the row of one slot."""
    slot = slots[name]
    content = slot.content
    what = (None, None, None) if content is None else (str(content.version), content.digest, content.variant)
    return (model, name, str(slot.state), int(slots.active == name), *what, slot.reason, slot.changed_unix_s)


def to_slot(row: Row) -> tuple[ModelName, SlotName, bool, Slot]:
    """Return the model, the slot's name, whether it is active, and the slot."""
    model, name, state, is_active, version, digest, variant, reason, changed = cast(
        "tuple[str, SlotName, str, int, str, str | None, str, str, float]", row
    )
    content = None
    if digest is not None:
        content = Content(version=Version.parse(version), digest=Digest(digest), variant=variant)
    slot = Slot(state=SlotState(state), content=content, reason=reason, changed_unix_s=changed)
    return ModelName(model), name, bool(is_active), slot


def of_refusal(refused: Refused) -> Row:
    """Return the row of a refusal."""
    return (refused.digest, refused.model, str(refused.version), refused.reason, refused.at_unix_s)


def to_refusal(row: Row) -> Refused:
    """Return a refusal."""
    digest, model, version, reason, at_unix_s = cast("tuple[str, str, str, str, float]", row)
    return Refused(
        model=ModelName(model),
        version=Version.parse(version),
        digest=Digest(digest),
        reason=reason,
        at_unix_s=at_unix_s,
    )


def of_trial(place: Place, trial: KeptTrial) -> Row:
    """Return the row of a candidate or trial."""
    baseline, seen = (msgspec.json.encode(record).decode() for record in (trial.baseline, trial.seen))
    counts = (trial.watched_s, trial.daemon_starts, int(trial.has_ended_cleanly))
    return (*place, str(trial.version), trial.digest, trial.began_unix_s, *counts, baseline, seen)


def to_trial(row: Row) -> tuple[Place, KeptTrial]:
    """Return a slot and its candidate or trial."""
    model, slot, version, digest, began, watched_s, starts, has_ended_cleanly, baseline, seen = cast(
        "tuple[str, SlotName, str, str, float, float, int, int, str, str]", row
    )
    try:
        record, counts = msgspec.json.decode(baseline, type=Record | None), msgspec.json.decode(seen, type=Counts)
    except msgspec.DecodeError as exc:
        raise ValueError(f"what is kept of the trial of {model} is no record: {exc}") from exc
    return (ModelName(model), slot), KeptTrial(
        version=Version.parse(version),
        digest=Digest(digest),
        began_unix_s=began,
        watched_s=watched_s,
        daemon_starts=starts,
        has_ended_cleanly=bool(has_ended_cleanly),
        baseline=record,
        seen=counts,
    )


def of_variant(variant: KeptVariant) -> Row:
    """Return the row of a variant."""
    runs = msgspec.json.encode(variant.runs).decode()
    return (variant.digest, variant.id, int(variant.has_passed), runs, variant.memory_bytes)


def to_variant(row: Row) -> KeptVariant:
    """Return what is known about a variant."""
    digest, id_, has_passed, runs, memory_bytes = cast("tuple[str, str, int, str, int | None]", row)
    try:
        counts = msgspec.json.decode(runs, type=tuple[int, ...])
    except msgspec.DecodeError as exc:
        raise ValueError(f"what is kept of the variant {id_} is no record: {exc}") from exc
    return KeptVariant(
        digest=Digest(digest), id=id_, has_passed=bool(has_passed), runs=counts, memory_bytes=memory_bytes
    )


def of_document(document: KeptDocument) -> Row:
    """Return the row of a document."""
    return (document.name, document.digest, document.data, document.taken_unix_s)


def to_document(row: Row) -> KeptDocument:
    """Return a document."""
    name, digest, data, taken = cast("tuple[str, str, bytes, float]", row)
    return KeptDocument(name=name, digest=Digest(digest), data=data, taken_unix_s=taken)


def of_entry(entry: Entry) -> Row:
    """Return the row of something that happened; its ID is given by the database."""
    where = (entry.model, entry.version, entry.slot)
    return (None, entry.at, str(entry.what), *where, entry.cause, entry.reason)


def to_entry(row: Row) -> Entry:
    """Return something that happened."""
    id_, at, what, model, version, slot, cause, reason = cast("tuple[int, float, str, str, str, str, str, str]", row)
    return Entry(
        id=id_,
        at=at,
        what=Happening(what),
        model=model,
        version=version,
        slot=slot,
        cause=cause,
        reason=reason,
    )
