"""The models that answer: what the API asks, by name."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Self

from edged.api.ports import ModelUsage, ModelView
from edged.config.schema import ServeConfig
from edged.daemon.serving.keeper import StartWorker
from edged.daemon.serving.sequences import Sequences
from edged.daemon.serving.served import Served
from edged.daemon.serving.stage import Stage
from edged.errors import ModelStoppedError
from edged.ids import ModelName
from edged.runtime.calls import Call, Segment
from edged.telemetry.serving import ServingStats

TIDY_EVERY_S: Final = 60.0
"""A model that had no request for so long gives the memory for large ones back."""


class Serving(Stage):
    """What is asked of the models on the stage; fulfils ``UsageSource``, and ``edged.api.ports.Models`` but for policy.

    Args:
        start_worker: Makes the workers.
        parallel: Runs that each of them takes at once.
        poison_rest_s: How long a request that ended two workers is refused.
        limits: Called for the limits in force.
    """

    def __init__(
        self, *, start_worker: StartWorker, parallel: int, poison_rest_s: float, limits: Callable[[], ServeConfig]
    ) -> None:
        super().__init__(start_worker=start_worker, parallel=parallel, poison_rest_s=poison_rest_s, limits=limits)
        self._sequences: Final = Sequences()
        self._began_s = 0.0

    async def __aenter__(self) -> Self:
        """Begin to keep workers, and to give memory back."""
        self._began_s = asyncio.get_running_loop().time()
        await super().__aenter__()
        self._keepers.help(self._keep_tidy(), "tidy")
        return self

    def views(self) -> Sequence[ModelView]:
        """Return every model that is served or replaced, sorted by name."""
        return list(map(self._lineup.view, self._lineup.models))

    def view(self, name: str, version: str | None) -> ModelView:
        """Return one model, also while it is held.

        Raises:
            ModelUnknownError: It is not served, or not in that version.
            UnavailableError: It is being loaded.
            ModelStoppedError: It is held and not even loaded.
        """
        return self._lineup.view(self._lineup.find(name, version))

    def answering(self, name: str, version: str | None, variant: str = "") -> tuple[ModelView, Served]:
        """Return what answers for one model, with its workers; the variant is as for ``submit``.

        Raises:
            ModelUnknownError: It is not served, or not in that version.
            UnavailableError: It is being loaded; or a constant answers, which has none.
            ModelStoppedError: It is held.
        """
        model = self._lineup.find_answering(name, version)
        answerer = self._lineup.answerer(model, variant)
        if not isinstance(answerer, Served):
            raise self._lineup.without_workers(model)
        return self._lineup.view(model, variant), answerer

    def take_memory(self, name: str, size_bytes: int) -> Segment:
        """Take memory for the body of a request; see ``edged.api.ports.Models.take_memory``."""
        self._find_answering(name, None)
        return self._names.take(ModelName(name)).memory.take(size_bytes)

    def submit(self, name: str, version: str | None, call: Call, variant: str = "") -> ModelView:
        """Take a request for the model that is active now; see ``edged.api.ports.Models.submit``.

        Args:
            name: The model.
            version: None means the active one.
            call: What is asked.
            variant: Which of ``variants`` is to answer, by its id; any other, and an empty one, is the one that answers by itself. A
                sequence goes on where its state is (``edged.daemon.serving.sequences``).
        """
        model = self._find_answering(name, version)
        answerer = self._lineup.answerer(model, variant)
        if call.request.sequence is not None and isinstance(answerer, Served) and model not in self._lineup.stand_ins:
            answerer = self._sequences.place(model, call.request, answerer, self._lineup.variants(model))
            variant = answerer.loadable.variant.id
        answerer.submit(call)
        return self._lineup.view(model, variant)

    def running(self, served: Served) -> int:
        """Return how many requests the worker of a version has, whichever way they came."""
        return served.running + (0 if self._watcher is None else self._watcher.running(served))

    def usage(self) -> Sequence[ModelUsage]:
        """Return what each served model does, sorted by name."""
        if self._watcher is not None:
            self._watcher.count()
        return list(map(self._usage, self._lineup.models))

    def stats(self, name: str) -> ServingStats | None:
        """Return a model's counters; None when it is neither served nor loaded."""
        known = self._names.find(name)
        if known is None:
            return None
        if self._watcher is not None:
            self._watcher.count()
        return known.stats

    def fallback_stats(self, model: ModelName) -> ServingStats:
        """Return the counters of what answers in the place of a model."""
        return self._names.take(model).fallback_stats

    def idle_s(self) -> float:
        """Return for how long no app has asked any model; 0 while a request waits or runs. Nobody knows of times before the start."""
        if self._watcher is not None:
            self._watcher.count()
        asked = [served for model in self._lineup.models for served in self._askable(model)]
        if any(served.queued or self.running(served) for served in asked):
            return 0.0
        return asyncio.get_running_loop().time() - max([self._began_s, *(served.demand.asked_s for served in asked)])

    def unwanted_s(self) -> float:
        """Return for how long nobody has waited for an answer; as ``idle_s``, but background requests do not count."""
        if self._watcher is not None:
            self._watcher.count()
        asked = [served for model in self._lineup.models for served in self._askable(model)]
        if any(served.is_wanted or self._is_lent(served) for served in asked):
            return 0.0
        return asyncio.get_running_loop().time() - max([self._began_s, *(served.demand.wanted_s for served in asked)])

    def tidy(self) -> None:
        """Give back the memory of models that had no request since the last call, and forget those that are gone."""
        self._names.tidy(self.variants)
        self._sequences.tidy({served for model in self.served for served in self.variants(model)})

    def _find_answering(self, name: str, version: str | None) -> ModelName:
        try:
            return self._lineup.find_answering(name, version)
        except ModelStoppedError:
            if (known := self._names.find(name)) is not None:
                known.stats.rejected("stopped")
            raise

    def _is_lent(self, served: Served) -> bool:
        """Tell whether requests are under way on connections that were lent to its workers."""
        return self._watcher is not None and self._watcher.running(served) > 0

    def _askable(self, model: ModelName) -> Sequence[Served]:
        """Return everything that an app's request for a model may have gone to."""
        stand_in = self._lineup.stand_ins.get(model)
        others = [] if stand_in is None or stand_in.served is None else [stand_in.served]
        return [*others, *self._lineup.variants(model)]

    def _usage(self, model: ModelName) -> ModelUsage:
        answerer = self._lineup.answerer(model)
        first = answerer if isinstance(answerer, Served) else None
        stand_in = self._lineup.stand_ins.get(model)
        together = self._lineup.variants(model) if stand_in is None else [] if first is None else [first]
        name = self._names.take(model)
        return ModelUsage(
            view=self._lineup.view(model),
            stats=name.stats,
            worker_pid=None if first is None or first.worker is None else first.worker.pid,
            waiting=sum(served.queued for served in together),
            running=sum(self.running(served) for served in together),
            shared_memory_bytes=name.memory.used_bytes,
            is_held=self.is_held(model),
            fallback_stats=name.fallback_stats,
        )

    async def _keep_tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_EVERY_S)
            self.tidy()
