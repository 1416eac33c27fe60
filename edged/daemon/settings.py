"""The settings in force: those that a reload may change, and the reload itself.

A configuration or a policy with a mistake changes nothing. What needs a restart is said in the journal.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edged.api.limits import LiveLimits
from edged.config.load import load_config
from edged.config.schema import Config
from edged.daemon.decisions.policies import PoliciesInForce
from edged.daemon.descriptors import allow_descriptors, descriptors_wanted
from edged.daemon.lifecycle.live_rules import LiveRules
from edged.daemon.unit_rules import report_hidden_units
from edged.errors import ConfigError, PolicyError
from edged.notify import Notifier

LOG = logging.getLogger(__name__)

_LASTING: Final = ("paths", "device", "worker", "offload")
"""Tables that count from one start of the daemon to the next."""


class Settings:
    """What the parts of the daemon go by; they ask for it whenever they need it.

    Args:
        config: That the daemon was started with.
        paths: The files that it was read from.
    """

    def __init__(self, config: Config, paths: Sequence[Path]) -> None:
        self._started_with = config
        self._paths = paths
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
                policies.refuse(exc)
            except ConfigError as exc:
                LOG.error("Reload refused, settings unchanged: %s", exc)  # noqa: TRY400 - the operator needs the sentence
            else:
                self._apply(config)
                policies.apply(files, config.regulatory)
                LOG.info("Settings reloaded")
            notifier.ready()

    def _apply(self, config: Config) -> None:
        limits, rules = self.limits, self.rules
        limits.current, limits.callers = config.serve, config.limits
        limits.background, limits.cache = config.background, config.cache
        rules.window, rules.shadow, rules.trial = config.window, config.shadow, config.trial
        rules.sense, rules.warm = config.sense, config.variants
        _prepare(config)
        changed = [name for name in _LASTING if getattr(config, name) != getattr(self._started_with, name)]
        if changed:
            LOG.warning("Changes to %s take effect after a restart", ", ".join(f"[{name}]" for name in changed))


def _prepare(config: Config) -> None:
    """Do what settings ask of the process as a whole, and say what this device cannot do of them."""
    allow_descriptors(descriptors_wanted(config.serve))
    report_hidden_units(config.limits)
