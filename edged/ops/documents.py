"""The documents that a fleet's operators send to all devices: what each is called, how large it may be, how it is read. Pure."""

from dataclasses import dataclass
from typing import Final, Literal

from edged.codec import Document, decode_json
from edged.ops.flags import MAX_FLAGS_BYTES, Flags
from edged.ops.policy import MAX_POLICY_BYTES, Policy
from edged.ops.rollout import MAX_ROLLOUT_BYTES, Rollout
from edged.ops.standing import MAX_STANDING_BYTES, Standing
from edged.ops.stop import MAX_STOP_BYTES, Stops

DocumentName = Literal["stop", "flags", "policy", "rollout", "standing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One of them."""

    name: DocumentName
    type: type[Document]
    max_bytes: int

    @property
    def file(self) -> str:
        """Its name in the ``ops`` directory of the store."""
        return f"{self.name}.json"

    def parse(self, data: bytes, *, source: str) -> Document:
        """Read one; rules in it are what their own tests say.

        Raises:
            DocumentError: It does not follow its type, or has a rule with a mistake.
        """
        document = decode_json(self.type, data, source=source)
        if isinstance(document, Policy) and document.rules is not None:
            from edged.select.check import check_policy  # noqa: PLC0415 - a stop must not wait until it is loaded

            check_policy(document.rules, source=source)
        return document


KINDS: Final = (
    Kind(name="stop", type=Stops, max_bytes=MAX_STOP_BYTES),
    Kind(name="flags", type=Flags, max_bytes=MAX_FLAGS_BYTES),
    Kind(name="policy", type=Policy, max_bytes=MAX_POLICY_BYTES),
    Kind(name="standing", type=Standing, max_bytes=MAX_STANDING_BYTES),
    Kind(name="rollout", type=Rollout, max_bytes=MAX_ROLLOUT_BYTES),
)
"""In the order in which they are looked at: what stops a model comes first, and what a rollout depends on before it."""


def is_newer(new: Document, old: Document | None) -> bool:
    """Tell whether a document may replace the one in force.

    A stop document has a serial, and only a higher one replaces it: what lifts a stop must have been signed after it. The others
    come in the order of the repository's snapshots, which never go back.
    """
    return not (isinstance(new, Stops) and isinstance(old, Stops)) or new.serial > old.serial


def merged(new: Document, old: Document | None) -> Document:
    """Return what is in force from now on: ``new``, but for floors, which never become lower."""
    if not (isinstance(new, Standing) and isinstance(old, Standing)):
        return new
    return new.above(old)
