"""Puts together whoever has a say in decisions: files, the fleet, operators; and what people are told of that."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from edged.api.endpoints.policy import OverrideRoutes, PolicyRoutes
from edged.clock import read_boot_id
from edged.config.schema import Config
from edged.daemon.decisions.overrides import Overrides
from edged.daemon.decisions.policies import PoliciesInForce
from edged.daemon.decisions.policy_report import Decisions, PolicyReport
from edged.daemon.decisions.seams import Accuracy, Contexts, Variants
from edged.daemon.fleet.diary import Diary
from edged.daemon.fleet.fleet import Fleet, boot_time_s


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPages:
    """The routes about the policy."""

    for_all: Sequence[web.RouteDef]
    for_admins: Sequence[web.RouteDef]


class Rulebook:
    """The parts. ``overrides.run`` is the caller's to run.

    Args:
        config: Paths, which policies, and the regulatory mode.
        fleet: Has the fleet's rules and a clock to be trusted.
        diary: Told what operators do.
    """

    def __init__(self, config: Config, *, fleet: Fleet, diary: Diary) -> None:
        state = Path(config.paths.state)
        self._fleet = fleet
        self.overrides = Overrides(
            directory=state, diary=diary, unix_s=fleet.trusted_unix_s, boot_s=boot_time_s, boot_id=read_boot_id()
        )
        self.policies = PoliciesInForce(
            config.policy, config.regulatory, state=state, fleet=fleet, overrides=self.overrides
        )

    def pages(self, *, contexts: Contexts, variants: Variants, accuracy: Accuracy, decisions: Decisions) -> PolicyPages:
        """Make the routes.

        Args:
            contexts: The device.
            variants: Of the models.
            accuracy: Of their answers.
            decisions: What is decided by the rules.
        """
        report = PolicyReport(
            policies=self.policies,
            overrides=self.overrides,
            contexts=contexts,
            variants=variants,
            accuracy=accuracy,
            decisions=decisions,
            now=lambda: (self._fleet.trusted_unix_s(), boot_time_s()),
        )
        for_all = PolicyRoutes(report).routes()
        return PolicyPages(for_all=for_all, for_admins=[*for_all, *OverrideRoutes(report).routes()])
