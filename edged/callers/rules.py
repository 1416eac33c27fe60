"""Which limits hold for which caller: those of a rule for its unit, else of a rule for its user, else everybody's. Pure."""

from dataclasses import dataclass
from typing import Final

from edged.callers.caller import Caller
from edged.config.schema import CallerLimits, LimitsConfig

Key = str | int
"""What is counted together: a unit by its name, a user by its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The limits of one key, and what to call it and them before people."""

    limits: CallerLimits
    subject: str
    """``Unit kiosk.service`` or ``User www-data``."""
    place: str
    """Where the limits are set, as an ending of ``limits.burst``."""


class Rules:
    """The rules of one configuration."""

    def __init__(self, config: LimitsConfig) -> None:
        self.config: Final = config
        self._units = {rule.unit: rule.limits for rule in config.callers if rule.unit}
        self._users = {rule.user: rule.limits for rule in config.callers if rule.user}

    def key_of(self, caller: Caller) -> Key:
        """Tell with whom a caller shares limits. Its unit is not even asked for where no rule names any."""
        if self._units and caller.unit in self._units:
            return caller.unit
        return caller.uid

    def terms_of(self, caller: Caller) -> Terms:
        """Find the limits of a caller."""
        key = self.key_of(caller)
        if isinstance(key, str):
            return Terms(limits=self._units[key], subject=f"Unit {key}", place=f" of the rule for unit {key}")
        for name in (caller.user, str(caller.uid)):
            if name in self._users:
                return Terms(
                    limits=self._users[name], subject=f"User {caller.user}", place=f" of the rule for user {name}"
                )
        return Terms(limits=self.config.default, subject=f"User {caller.user}", place=" of everybody (limits.default)")
