"""The settings in force: those that a reload may change, and the reload itself.

A configuration or a policy with a mistake changes nothing, which the status says until a reload succeeds. What needs a restart is said in
the journal.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final

from edged.api.documents.status import RefusedReload
from edged.api.limits import LiveLimits
from edged.clock import Clock
from edged.config.load import load_config
from edged.config.schema import Config
from edged.daemon.decisions.policies import PoliciesInForce
from edged.daemon.descriptors import allow_descriptors, descriptors_wanted
from edged.daemon.lifecycle.live_rules import LiveRules
from edged.daemon.unit_rules import report_hidden_units
from edged.errors import ConfigError, DocumentError, PolicyError
from edged.notify import Notifier

LOG = logging.getLogger(__name__)

TAKEN_AT_START: Final[Mapping[str, tuple[str, ...]]] = {
    "paths": ("edged", "edged-update", "edged-egress", "edged-offload", "edged-presence"),
    "device": ("edged", "edged-update"),
    "repository": ("edged", "edged-update"),
    "update": ("edged-update",),
    "egress": ("edged-egress",),
    "offload": ("edged", "edged-egress", "edged-offload"),
    "worker": ("edged",),
    "sense.sysfs": ("edged",),
    "sense.procfs": ("edged",),
}
"""What counts from one start of a service to the next, and of which: whole tables, and single settings of tables that a reload takes up."""


class Settings:
    """What the parts of the daemon go by; they ask for it whenever they need it.

    Args:
        config: That the daemon was started with.
        paths: The files that it was read from.
        clock: For when a reload was refused.
    """

    def __init__(self, config: Config, paths: Sequence[Path], clock: Clock) -> None:
        self._started_with = config
        self._paths = paths
        self._clock = clock
        self.refused: RefusedReload | None = None
        """The last reload, where it was refused."""
        self.limits: Final = LiveLimits(config.serve, config.limits, config.background, config.cache)
        self.rules: Final = LiveRules(
            window=config.window, shadow=config.shadow, trial=config.trial, sense=config.sense, warm=config.variants
        )
        _prepare(config)

    async def run(self, asked: asyncio.Event, policies: PoliciesInForce, notifier: Notifier) -> None:
        """Read everything again whenever that is asked for.

        Args:
            asked: Set by whoever asks.
            policies: Change with the settings, or not at all.
            notifier: Told when a reload begins and when it is over.
        """
        while True:
            await asked.wait()
            asked.clear()
            notifier.reloading()
            try:
                config = await asyncio.to_thread(load_config, self._paths)
                files = await asyncio.to_thread(policies.read, config.policy)
            except PolicyError as exc:
                self._refuse(exc)
                policies.refuse(exc)
            except ConfigError as exc:
                self._refuse(exc)
                LOG.error("Reload refused, settings unchanged: %s", exc)  # noqa: TRY400 - the operator needs the sentence
            else:
                self._apply(config)
                policies.apply(files, config.regulatory)
                self.refused = None
                LOG.info("Settings reloaded")
            notifier.ready()

    def _refuse(self, why: DocumentError) -> None:
        self.refused = RefusedReload(at=self._clock.unix_s(), problems=why.lines)

    def _apply(self, config: Config) -> None:
        limits, rules = self.limits, self.rules
        limits.current, limits.callers = config.serve, config.limits
        limits.background, limits.cache = config.background, config.cache
        rules.window, rules.shadow, rules.trial = config.window, config.shadow, config.trial
        rules.sense, rules.warm = config.sense, config.variants
        _prepare(config)
        for services, names in _changed(self._started_with, config).items():
            LOG.warning("Changes to %s take effect after a restart of %s", ", ".join(names), ", ".join(services))


def _changed(before: Config, after: Config) -> Mapping[tuple[str, ...], Sequence[str]]:
    """Return what has changed of ``TAKEN_AT_START``, as it is written in files, by the services that need a restart."""
    found = defaultdict[tuple[str, ...], list[str]](list)
    for name, services in TAKEN_AT_START.items():
        if attrgetter(name)(before) != attrgetter(name)(after):
            table, _, key = name.partition(".")
            found[services].append(f"[{table}] {key}".rstrip())
    return found


def _prepare(config: Config) -> None:
    """Do what settings ask of the process as a whole, and say what this device cannot do of them."""
    allow_descriptors(descriptors_wanted(config.serve))
    report_hidden_units(config.limits)
