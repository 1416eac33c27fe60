"""Start workers from bundles in the store."""

import os
from collections.abc import Callable
from typing import Final

from edged.config.schema import ServeConfig, WorkerConfig
from edged.daemon.serving.keeper import Loadable
from edged.host.template import Template, Worker
from edged.runtime.memory import SharedMemory
from edged.runtime.specs import open_variant
from edged.runtime.wire import SequenceLimits

MOST_BY_THEMSELVES: Final = 64
"""Runs at once where nothing is set: the stack of each one's thread counts against the worker's memory limit, which 256 use up."""


def parallel_of(config: WorkerConfig) -> int:
    """Return how many runs a worker takes at once: what is set, or one for each core that this process may use, within reason."""
    return config.parallel or min(len(os.sched_getaffinity(0)), MOST_BY_THEMSELVES)


class Workers:
    """Fulfils ``StartWorker`` with real processes.

    Args:
        template: Forks them.
        config: Their limits.
        limits: Called for those of sequences, which count from a worker's start.
    """

    def __init__(self, template: Template, config: WorkerConfig, limits: Callable[[], ServeConfig]) -> None:
        self._template = template
        self._config = config
        self._limits = limits

    async def start(self, loadable: Loadable, memory: SharedMemory | None) -> Worker:
        """Start a worker for a variant; see ``Template.start_worker`` for what can go wrong."""
        return await self._start(loadable, memory, parallel=parallel_of(self._config))

    async def start_in_background(self, loadable: Loadable, memory: SharedMemory | None) -> Worker:
        """Start a worker whose answers nobody waits for: it gives way to all others, and does one thing at a time."""
        return await self._start(loadable, memory, parallel=1, is_background=True)

    async def _start(
        self, loadable: Loadable, memory: SharedMemory | None, *, parallel: int, is_background: bool = False
    ) -> Worker:
        bundle, variant, config, limits = loadable.bundle, loadable.variant, self._config, self._limits()
        sequences = SequenceLimits(
            most=limits.max_sequences,
            most_per_caller=limits.max_sequences_per_caller,
            most_bytes=limits.max_sequence_bytes,
            idle_s=limits.sequence_idle_s,
        )
        with open_variant(
            bundle.directory,
            bundle.manifest,
            variant,
            memory_limit_bytes=config.memory_floor_bytes + variant.budget.memory_bytes,
            parallel=parallel,
            sequences=sequences,
            is_background=is_background,
        ) as (spec, descriptors):
            return await self._template.start_worker(
                spec, descriptors, timeout_s=config.load_timeout_s, memory=memory, stop_within_s=config.stop_within_s
            )
