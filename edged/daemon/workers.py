"""Start workers from bundles in the store."""

from edged.config.schema import WorkerConfig
from edged.daemon.served import Loadable
from edged.runtime.host import Template, Worker
from edged.runtime.specs import open_variant


class Workers:
    """Fulfils ``StartWorker`` with real processes.

    Args:
        template: Forks them.
        config: Their limits.
    """

    def __init__(self, template: Template, config: WorkerConfig) -> None:
        self._template = template
        self._config = config

    async def start(self, loadable: Loadable) -> Worker:
        """Start a worker for a variant; see ``Template.start_worker`` for what can go wrong."""
        bundle, variant = loadable.bundle, loadable.variant
        limit_bytes = self._config.memory_floor_bytes + variant.budget.memory_bytes
        with open_variant(
            bundle.directory, bundle.manifest, variant, memory_limit_bytes=limit_bytes
        ) as (spec, descriptors):  # fmt: skip
            return await self._template.start_worker(spec, descriptors, timeout_s=self._config.load_timeout_s)
