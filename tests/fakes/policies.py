"""A device's policy with all its parts, on a directory of a test's own: files, a fleet that says what the test says, and two clocks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from edged.api.endpoints.policy import OverrideRoutes, PolicyRoutes
from edged.config.schema import PolicyConfig, RegulatoryConfig
from edged.daemon.decisions.decider import Decider
from edged.daemon.decisions.overrides import Overrides
from edged.daemon.decisions.policies import PoliciesInForce
from edged.daemon.decisions.policy_report import PolicyReport
from edged.policy.document import PolicyFile
from edged.policy.parse import parse_policy
from edged.select.check import made_up_variants
from tests.fakes.clocks import ManualClock
from tests.fakes.contexts import connected_device
from tests.fakes.decisions import FakeAccuracy, FakeEndpoint, FakeVariants

SITE = """
schema = 1
name = "site"

[[rule]]
name = "hot"
when = [{ thermal = ">= serious" }]
then = { variants = ["int8"] }

[[test]]
name = "hot: int8"
given = { thermal = "serious" }
expect = { rule = "hot", variant = "int8" }
"""
"""A policy whose tests pass."""


def policy_of(text: str = SITE, *, name: str = "site") -> PolicyFile:
    """Read a policy that a test has written."""
    return parse_policy(text.replace('"site"', f'"{name}"').encode(), source="test")


class FakeFleet:
    """Fulfils ``edged.daemon.decisions.policies.FleetRules``."""

    def __init__(self, rules: PolicyFile | None = None) -> None:
        self.rules = rules
        self.complaint: tuple[str, ...] = ()
        """What is wrong with rules that were not taken."""
        self._listeners: list[Callable[[], None]] = []

    def cause_of(self, _name: str) -> str:
        return "policy 3f9c0d2e"

    def refused(self, _name: str) -> Sequence[str]:
        return self.complaint

    def on_change(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def say(self, rules: PolicyFile | None) -> None:
        self.rules = rules
        for listener in self._listeners:
            listener()


class FakeDiary:
    """Remembers what was noted."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str, str, str]] = []

    def note(self, what: str, *, cause: str, model: str = "", reason: str = "") -> None:
        self.notes.append((what, model, cause, reason))


class PolicyWorld:
    """The parts, put together as the daemon does it; each test may start them again on the same directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = ManualClock()
        self.boot_id = "first"
        self.config = PolicyConfig(
            name="packaged", file=str(directory / "local.toml"), directory=str(directory / "packaged")
        )
        self.state = directory / "state"
        self.state.mkdir()
        (directory / "packaged").mkdir()
        self.write(name="packaged", place="packaged/packaged.toml")
        self.write()
        self.fleet = FakeFleet()
        self.diary = FakeDiary()
        self.contexts, self.variants = connected_device(), FakeVariants()
        self.accuracy, self.endpoint = FakeAccuracy(), FakeEndpoint()
        self.variants.become("echo", *made_up_variants(("fp32", "fp16", "int8"), model="echo"))

    def write(self, text: str = SITE, *, name: str = "site", place: str = "local.toml") -> None:
        """Write a policy's file."""
        (self.directory / place).write_text(text.replace('"site"', f'"{name}"'))

    def overrides(self) -> Overrides:
        return Overrides(
            directory=self.state,
            diary=self.diary,
            unix_s=self.clock.unix_s,
            boot_s=self.clock.monotonic_s,
            boot_id=self.boot_id,
        )

    def policies(self, overrides: Overrides | None = None) -> PoliciesInForce:
        return PoliciesInForce(
            self.config,
            RegulatoryConfig(),
            state=self.state,
            fleet=self.fleet,
            overrides=overrides or self.overrides(),
        )

    @contextmanager
    def report(self) -> Iterator[PolicyReport]:
        """Decide by the policy, and report on it."""
        overrides = self.overrides()
        policies = self.policies(overrides)
        decider = Decider(
            contexts=self.contexts,
            policies=policies,
            variants=self.variants,
            accuracy=self.accuracy,
            endpoint=self.endpoint,
            noted=lambda _ask, _before, _now: None,
        )
        with closing(decider):
            yield PolicyReport(
                policies=policies,
                overrides=overrides,
                contexts=self.contexts,
                variants=self.variants,
                accuracy=self.accuracy,
                decisions=decider,
                now=lambda: (self.clock.unix_s(), self.clock.monotonic_s()),
            )


def policy_routes(report: PolicyReport, *, is_for_admins: bool = True):
    """Return the routes of a socket."""
    return [*PolicyRoutes(report).routes(), *(OverrideRoutes(report).routes() if is_for_admins else ())]
