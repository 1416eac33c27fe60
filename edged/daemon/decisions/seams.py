"""What the parts that decide and act ask of each other: the seams between context, policy, variants and what is done with requests."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from edged.api.ports import ModelView
from edged.bundle.manifest import Variant
from edged.policy.ask import Ask
from edged.policy.ranked import RankedRule
from edged.runtime.calls import Call
from edged.select.decision import Decision, Measured, Regulatory
from edged.sense.context import Context
from edged.sense.reading import Reading

GoOn = Callable[[Call], None]
"""Does with a call what is decided then; see ``Holds.keep``."""


class Contexts(Protocol):
    """The device as it is now (``edged.daemon.senses``)."""

    @property
    def current(self) -> Context:
        """The newest context; the same object until something in it changes."""
        ...

    def on_change(self, told: Callable[[Context], None]) -> None:
        """Have somebody told of every new context, on the event loop."""
        ...


class Policies(Protocol):
    """The rules in force, in the order in which they are asked."""

    @property
    def rules(self) -> Sequence[RankedRule]:
        """Never empty: the last one always applies."""
        ...

    @property
    def regulatory(self) -> Regulatory:
        """The administrator's mode."""
        ...

    def on_change(self, told: Callable[[], None]) -> None:
        """Have somebody told when the rules are others, on the event loop."""
        ...


class Variants(Protocol):
    """The variants of the active version of each model: which could run here, and which are loaded."""

    def models(self) -> Sequence[str]:
        """Return every model with an active version."""
        ...

    def known(self, model: str) -> Sequence[Variant]:
        """Return all variants of the active version, best for this machine first; empty while no version is active."""
        ...

    def unusable(self, model: str) -> Mapping[str, tuple[str, ...]]:
        """Return those that cannot run here, by id, with every reason."""
        ...

    def measured(self, model: str) -> Mapping[str, Measured]:
        """Return what each was seen to need on this device, by id."""
        ...

    def want(self, model: str, variants: Sequence[str], *, rule: str = "") -> None:
        """Have the first of these loaded as soon as it can be, next to what is loaded where memory allows for both.

        Nothing is waited for; until it is loaded, the one that answers goes on. What none of the kinds of requests wants any more is
        unloaded after a while.

        Args:
            model: Its name.
            variants: Ids, best first, each variant that any kind of request wants now. The first of these that is loaded answers
                requests that name no variant.
            rule: That brought the first of them; for the journal.
        """
        ...

    def loaded(self, model: str) -> Sequence[str]:
        """Return the ids of those that could answer at once, the one that answers requests which name none first."""
        ...

    def on_change(self, told: Callable[[str], None]) -> None:
        """Have somebody told of every model of which something else than before is known, usable, measured or loaded.

        What was measured counts as something else when it differs by more than a tenth.
        """
        ...

    def submit(self, model: str, version: str | None, variant: str, call: Call) -> ModelView:
        """Take a request for one of ``loaded``, and return what answers: a stand-in goes before any variant.

        Raises:
            EdgedError: As ``edged.api.ports.Models.submit``.
        """
        ...


class Accuracy(Protocol):
    """What apps say about a model's answers."""

    def of(self, model: str) -> Reading[str]:
        """Return ``ok`` or ``degraded``."""
        ...

    def on_change(self, told: Callable[[], None]) -> None:
        """Have somebody told when something else is said, on the event loop."""
        ...


class Endpoint(Protocol):
    """Cloud endpoints of models, reached through the gate."""

    def has(self, model: str) -> bool:
        """Tell whether a model has one."""
        ...

    def submit(self, model: str, call: Call) -> None:
        """Take a request; the call is finished as any other, with the endpoint's answer or an error."""
        ...


class Decides(Protocol):
    """Decides about kinds of requests, and keeps what it decided until something it depends on changes."""

    def decide(self, ask: Ask) -> Decision:
        """Return what becomes of requests of this kind now. What the ask says about accuracy is not looked at: that is known here."""
        ...

    def on_change(self, told: Callable[[], None]) -> None:
        """Have somebody told when decisions may be others than before, on the event loop."""
        ...


class Holds(Protocol):
    """Keeps background work until decisions let it run (``edged.daemon.decisions.holding``)."""

    def has(self, ask: Ask) -> bool:
        """Tell whether requests of a kind are kept, behind which new ones have to wait."""
        ...

    def keep(self, ask: Ask, call: Call, *, go_on: GoOn) -> None:
        """Take a call, to be finished at its deadline, when its caller leaves, or with what becomes of it in the end.

        Args:
            ask: What it is.
            call: The request.
            go_on: Does with a call of the same request what is decided then; called at once, and again whenever that may be otherwise.
                While it raises ``UnavailableError`` the request is kept, unless its model is stopped; any other error is what it is to be
                finished with. So it is with what that call is finished with.

        Raises:
            UnavailableError: Too much is kept already.
            EdgedError: What ``go_on`` raised at once, where that is final.
        """
        ...
