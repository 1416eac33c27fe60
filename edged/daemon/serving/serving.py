"""The models that answer: what the API asks, by name."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from edged.api.ports import ModelUsage, ModelView
from edged.config.schema import ServeConfig
from edged.daemon.serving.keeper import Loadable, StartWorker
from edged.daemon.serving.lineup import Lineup, MakeError
from edged.daemon.serving.names import Names
from edged.daemon.serving.poison import PoisonList
from edged.daemon.serving.served import Served
from edged.daemon.serving.stand_in import StandIn
from edged.daemon.serving.watcher import Watcher
from edged.errors import ModelStoppedError, UnavailableError
from edged.ids import ModelName
from edged.runtime.calls import Call, Segment
from edged.telemetry.serving import ServingStats

RETIRE_MARGIN_S: Final = 10.0
"""Beyond the longest time a request may take: for a run that does not stop when it is told to."""
TIDY_EVERY_S: Final = 60.0
"""A model that had no request for so long gives the memory for large ones back."""


class Serving:
    """The served variant of each model; fulfils ``edged.api.ports.Models`` and ``UsageSource``.

    An asynchronous context manager: it owns the tasks that keep workers alive, and ends them when it is left. ``put`` and ``remove``
    may be called only inside it.

    Args:
        start_worker: Makes the workers.
        parallel: Runs that each of them takes at once.
        poison_rest_s: How long a request that ended two workers is refused.
        limits: Called for the limits in force.
    """

    def __init__(
        self, *, start_worker: StartWorker, parallel: int, poison_rest_s: float, limits: Callable[[], ServeConfig]
    ) -> None:
        self._start_worker = start_worker
        self._parallel = parallel
        self._poison_rest_s = poison_rest_s
        self._limits = limits
        self._lineup: Final = Lineup()
        self._standbys: dict[ModelName, Served] = {}
        """The version before of a model whose version is on trial: loaded, and asked nothing."""
        self._names: Final = Names(limits)
        self._keepers: dict[Served, asyncio.Task[None]] = {}
        self._helpers: set[asyncio.Task[None]] = set()
        self._group = asyncio.TaskGroup()
        self._watcher: Watcher | None = None
        self._review: Callable[[ModelName], None] = lambda _model: None
        self._began_s = 0.0

    async def __aenter__(self) -> Self:
        self._began_s = asyncio.get_running_loop().time()
        await self._group.__aenter__()
        self._help(self._keep_tidy(), "tidy")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (*self._keepers.values(), *self._helpers):
            task.cancel()
        if isinstance(error, asyncio.CancelledError):
            await self._group.__aexit__(kind, error, trace)
        else:
            # What went wrong inside is not the tasks' error: it goes on as it is, in no exception group.
            await self._group.__aexit__(None, None, None)

    @property
    def served(self) -> Mapping[ModelName, Served]:
        """What is served now, by model."""
        return self._lineup.served

    def watch(self, watcher: Watcher) -> None:
        """Tell somebody about what changes, and wait for it before a worker is ended."""
        self._watcher = watcher

    def supervise(self, review: Callable[[ModelName], None]) -> None:
        """Ask somebody whenever something else would answer for a model, before it does: to hold or release it, or to have it replaced."""
        self._review = review

    def hold(self, model: ModelName, make_error: MakeError) -> None:
        """Have a model answer nothing from now on; it stays loaded. What is under way ends with the error, too."""
        is_new = model not in self._lineup.holds
        self._lineup.holds[model] = make_error
        if is_new:
            self._stop(model, make_error())

    def release(self, model: ModelName) -> None:
        """Have a model answer again. Nothing to do for one that is not held."""
        if self._lineup.holds.pop(model, None) is not None:
            self._tell_watcher(model)

    def is_held(self, model: ModelName) -> bool:
        """Tell whether a model may not answer."""
        return model in self._lineup.holds

    @property
    def stand_ins(self) -> Mapping[ModelName, StandIn]:
        """What answers in the place of models."""
        return self._lineup.stand_ins

    def fallback_stats(self, model: ModelName) -> ServingStats:
        """Return the counters of what answers in the place of a model."""
        return self._names.take(model).fallback_stats

    def stand_in(self, model: ModelName, stand_in: StandIn) -> None:
        """Have something else answer for a model, whether it is held or not, until ``stand_down``. Its worker is kept running here."""
        before = self._lineup.stand_ins.get(model)
        if stand_in.served is not None:
            keeper = stand_in.served.keep_running()
            self._keepers[stand_in.served] = self._group.create_task(keeper, name=f"worker for {model}")
        self._names.take(model)
        self._lineup.stand_ins[model] = stand_in
        self._retire(model, None if before is None else before.served)
        self._tell_watcher(model)

    def stand_down(self, model: ModelName) -> None:
        """Have the model itself answer, if it can. What the stand-in has taken it finishes."""
        before = self._lineup.stand_ins.pop(model, None)
        if before is not None:
            self._retire(model, before.served)
            self._tell_watcher(model)

    def loaded(self, model: ModelName) -> Sequence[Served]:
        """Return everything of a model that has workers: what answers, stands by or in, or still finishes what it took."""
        return [served for served in self._keepers if served.loadable.bundle.manifest.model == model]

    def announce(self, model: ModelName) -> None:
        """Say that a model is being loaded, so that it is unavailable rather than unknown until then."""
        self._lineup.loading.add(model)
        self._names.take(model)

    async def load(self, loadable: Loadable, *, is_stand_in: bool = False) -> Served:
        """Start a worker for a variant; the caller hands what this returns to ``put`` or ``stand_in``, or closes it.

        Args:
            loadable: The variant.
            is_stand_in: It is to answer in the model's place, and what it does is not counted as the model's.

        Raises:
            EdgedError: As ``StartWorker``.
        """
        name = self._names.take(loadable.bundle.manifest.model)
        start = partial(self._start_worker, loadable, name.memory)
        return Served(
            loadable,
            await start(),
            start_worker=start,
            parallel=self._parallel,
            limits=self._limits,
            stats=name.fallback_stats if is_stand_in else name.stats,
            poison=PoisonList(rest_s=self._poison_rest_s),
            changed=partial(self._note_change, loadable.bundle.manifest.model),
        )

    @property
    def standbys(self) -> Mapping[ModelName, Served]:
        """The loaded versions that ``put_back`` would let answer again, by model."""
        return self._standbys

    def put(self, served: Served, *, keeps_before: bool = False) -> None:
        """Serve this from now on in place of what its model had; requests that were taken before finish where they are.

        Args:
            served: Owned from here on.
            keeps_before: What the model had stands by, with its worker, until ``put_back`` or ``end_standby``.
        """
        model = served.loadable.bundle.manifest.model
        before = self.served.get(model)
        self._keepers[served] = self._group.create_task(served.keep_running(), name=f"worker {model}")
        self.end_standby(model)
        self._answer_with(model, served)
        if keeps_before and before is not None:
            self._standbys[model] = before
        else:
            self._retire(model, before)

    def put_back(self, model: ModelName) -> bool:
        """Let the version that stands by answer again in place of the one that does; tells whether there was one with a worker.

        Nothing is loaded and nothing is waited for.
        """
        standby, before = self._standbys.pop(model, None), self.served.get(model)
        if standby is None or standby.worker is None:
            self._retire(model, standby)
            return False
        self._answer_with(model, standby)
        self._retire(model, before)
        return True

    def end_standby(self, model: ModelName) -> None:
        """End the version that stands by, if there is one."""
        self._retire(model, self._standbys.pop(model, None))

    def _answer_with(self, model: ModelName, served: Served) -> None:
        before = self.served.get(model)
        if before is not None:
            served.asked_s = max(served.asked_s, before.asked_s)
        self._lineup.put(served)
        self._note_change(model)

    def remove(self, model: ModelName) -> None:
        """Serve this model no longer; requests that were taken before finish."""
        self.end_standby(model)
        before = self._lineup.remove(model)
        self._names.leave(model)
        self._retire(model, before)
        self._note_change(model)

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

    def answering(self, name: str, version: str | None) -> tuple[ModelView, Served]:
        """Return what answers for one model, with its workers.

        Raises:
            ModelUnknownError: It is not served, or not in that version.
            UnavailableError: It is being loaded; or a constant answers, which has none.
            ModelStoppedError: It is held.
        """
        model = self._lineup.find_answering(name, version)
        answerer = self._lineup.answerer(model)
        if not isinstance(answerer, Served):
            raise self._lineup.without_workers(model)
        return self._lineup.view(model), answerer

    def take_memory(self, name: str, size_bytes: int) -> Segment:
        """Take memory for the body of a request; see ``edged.api.ports.Models.take_memory``."""
        self._find_answering(name, None)
        return self._names.take(ModelName(name)).memory.take(size_bytes)

    def submit(self, name: str, version: str | None, call: Call) -> ModelView:
        """Take a request for the model that is active now; see ``edged.api.ports.Models.submit``."""
        model = self._find_answering(name, version)
        self._lineup.answerer(model).submit(call)
        return self._lineup.view(model)

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

    def idle_s(self) -> float:
        """Return for how long no app has asked any model; 0 while a request waits or runs. Nobody knows of times before the start."""
        if self._watcher is not None:
            self._watcher.count()
        stand_ins = (stand_in.served for stand_in in self._lineup.stand_ins.values())
        asked = [*self.served.values(), *(served for served in stand_ins if served is not None)]
        if any(served.queued or self.running(served) for served in asked):
            return 0.0
        return asyncio.get_running_loop().time() - max([self._began_s, *(served.asked_s for served in asked)])

    def tidy(self) -> None:
        """Give back the memory of models that had no request since the last call, and forget those that are gone."""
        self._names.tidy(self.served)

    def _find_answering(self, name: str, version: str | None) -> ModelName:
        try:
            return self._lineup.find_answering(name, version)
        except ModelStoppedError:
            if (known := self._names.find(name)) is not None:
                known.stats.rejected("stopped")
            raise

    def _usage(self, model: ModelName) -> ModelUsage:
        answerer = self._lineup.answerer(model)
        served = answerer if isinstance(answerer, Served) else None
        name = self._names.take(model)
        return ModelUsage(
            view=self._lineup.view(model),
            stats=name.stats,
            worker_pid=None if served is None or served.worker is None else served.worker.pid,
            waiting=0 if served is None else served.queued,
            running=0 if served is None else self.running(served),
            shared_memory_bytes=name.memory.used_bytes,
            is_held=self.is_held(model),
            fallback_stats=name.fallback_stats,
        )

    def _help(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = self._group.create_task(work, name=name)
        self._helpers.add(task)
        task.add_done_callback(self._helpers.discard)

    def _retire(self, model: ModelName, served: Served | None) -> None:
        if served is not None:
            self._help(self._drain_and_end(served), f"retire {model}")

    def _stop(self, model: ModelName, error: UnavailableError) -> None:
        """End what is under way for a model."""
        served, stand_in = self.served.get(model), self._lineup.stand_ins.pop(model, None)
        if self._watcher is not None:
            self._watcher.stopped(model, error)
        if served is not None:
            served.abort(error)
        if stand_in is not None and stand_in.served is not None:
            stand_in.served.abort(error)
            self._retire(model, stand_in.served)
        self._tell_watcher(model)

    def _note_change(self, model: ModelName) -> None:
        self._review(model)
        self._tell_watcher(model)

    def _tell_watcher(self, model: ModelName) -> None:
        if self._watcher is not None:
            self._watcher.changed(model)

    async def _let_go(self, served: Served, timeout_s: float) -> None:
        if self._watcher is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._watcher.let_go(served)

    async def _drain_and_end(self, served: Served) -> None:
        timeout_s = self._limits().request_timeout_s + RETIRE_MARGIN_S
        await asyncio.gather(served.drain(timeout_s=timeout_s), self._let_go(served, timeout_s))
        self._keepers.pop(served).cancel()

    async def _keep_tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_EVERY_S)
            self.tidy()
