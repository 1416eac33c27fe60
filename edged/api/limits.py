"""The limits in force."""

from dataclasses import dataclass, field

from edged.config.schema import BackgroundConfig, CacheConfig, LimitsConfig, ServeConfig


@dataclass(slots=True)
class LiveLimits:
    """The limits in force. A reload puts new, complete, immutable values here; nobody keeps a copy across an await."""

    current: ServeConfig
    callers: LimitsConfig = field(default_factory=LimitsConfig)
    background: BackgroundConfig = field(default_factory=BackgroundConfig)
    cache: CacheConfig = field(default_factory=CacheConfig)
