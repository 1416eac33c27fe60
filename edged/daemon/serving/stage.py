"""What is loaded of each model, and what of it answers: changed by those who decide that, without a request being lost.

A model has one version that answers, in one or more variants of which one answers unless another is asked for; perhaps a version before
it that stands by; and perhaps something that answers in its place. What answers no more finishes what it took and ends then.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Final, Self

from edged.config.schema import ServeConfig
from edged.daemon.serving.keeper import Loadable, StartWorker, Worker
from edged.daemon.serving.keepers import Keepers
from edged.daemon.serving.lineup import Lineup, MakeError
from edged.daemon.serving.names import Names
from edged.daemon.serving.poison import PoisonList
from edged.daemon.serving.served import Served
from edged.daemon.serving.stand_in import StandIn
from edged.daemon.serving.watcher import Watcher
from edged.errors import UnavailableError
from edged.ids import ModelName


class Stage:
    """The served variants of each model.

    An asynchronous context manager: it owns the tasks that keep workers alive, and ends them when it is left. What changes who answers
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
        self._keepers: Final = Keepers(longest_s=lambda: limits().request_timeout_s, let_go=self._let_go)
        self._watcher: Watcher | None = None
        self._mending: set[ModelName] = set()
        self._listeners: list[Callable[[ModelName], None]] = []
        self._stop_listeners: list[Callable[[ModelName, UnavailableError], None]] = []
        self._review: Callable[[ModelName], None] = lambda _model: None

    async def __aenter__(self) -> Self:
        await self._keepers.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._keepers.__aexit__(kind, error, trace)

    @property
    def served(self) -> Mapping[ModelName, Served]:
        """The variant of each model's active version that answers unless another is asked for."""
        return self._lineup.served

    def watch(self, watcher: Watcher) -> None:
        """Tell somebody about what changes, and wait for it before a worker is ended."""
        self._watcher = watcher

    def on_change(self, told: Callable[[ModelName], None]) -> None:
        """Have somebody told of every model for which something else answers, or could, before the supervisor is asked."""
        self._listeners.append(told)

    def on_stop(self, told: Callable[[ModelName, UnavailableError], None]) -> None:
        """Have somebody told of every model of which nothing may go on that has answered until now, and what callers are told."""
        self._stop_listeners.append(told)

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

    def stand_in(self, model: ModelName, stand_in: StandIn) -> None:
        """Have something else answer for a model, whether it is held or not, until ``stand_down``. Its worker is kept running here."""
        before = self._lineup.stand_ins.get(model)
        if stand_in.served is not None:
            self._keepers.keep(stand_in.served)
        self._names.take(model)
        self._lineup.stand_ins[model] = stand_in
        self._retire(None if before is None else before.served)
        self._tell_watcher(model)

    def stand_down(self, model: ModelName) -> None:
        """Have the model itself answer, if it can. What the stand-in has taken it finishes."""
        before = self._lineup.stand_ins.pop(model, None)
        if before is not None:
            self._retire(before.served)
            self._tell_watcher(model)

    def loaded(self, model: ModelName) -> Sequence[Served]:
        """Return everything of a model that has workers: what answers, stands by or in, or still finishes what it took."""
        return self._keepers.of(model)

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
        return self.employ(loadable, await self.start_worker(loadable), is_stand_in=is_stand_in)

    async def start_worker(self, loadable: Loadable) -> Worker:
        """Start a worker for a variant, with the memory of its model; the caller hands it to ``employ``, or closes it.

        Raises:
            EdgedError: As ``StartWorker``.
        """
        return await self._start_worker(loadable, self._names.take(loadable.bundle.manifest.model).memory)

    def employ(self, loadable: Loadable, worker: Worker | None, *, is_stand_in: bool = False) -> Served:
        """Have a worker serve; the caller hands what this returns to ``put``, ``stand_in``, ``add`` or ``give_way``, or closes it.

        Args:
            loadable: The variant.
            worker: With the variant loaded. None lets requests wait until ``Served.employ``.
            is_stand_in: As for ``load``.
        """
        model = loadable.bundle.manifest.model
        name = self._names.take(model)
        return Served(
            loadable,
            worker,
            start_worker=partial(self._start_worker, loadable, name.memory),
            parallel=self._parallel,
            limits=self._limits,
            stats=name.fallback_stats if is_stand_in else name.stats,
            poison=PoisonList(rest_s=self._poison_rest_s),
            changed=partial(self._note_change, model),
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
        self._keepers.keep(served)
        self.end_standby(model)
        before = self._answer_with(served)
        if keeps_before and before:
            self._standbys[model] = before.pop(0)
        self._retire(*before)

    def put_back(self, model: ModelName) -> bool:
        """Let the version that stands by answer again in place of the one that does; tells whether there was one with a worker.

        Nothing is loaded and nothing is waited for.
        """
        standby = self._standbys.pop(model, None)
        if standby is None or standby.worker is None:
            self._retire(standby)
            return False
        self._retire(*self._answer_with(standby))
        return True

    def end_standby(self, model: ModelName) -> None:
        """End the version that stands by, if there is one."""
        self._retire(self._standbys.pop(model, None))

    def variants(self, model: ModelName) -> Sequence[Served]:
        """Return the variants of the active version that are loaded, the one that answers unless another is asked for first."""
        return self._lineup.variants(model)

    def add(self, served: Served) -> None:
        """Have one more variant of the active version answer when it is asked for; owned from here on."""
        self._keepers.keep(served)
        self._lineup.add(served)
        self._note_change(served.loadable.bundle.manifest.model)

    def switch(self, served: Served) -> None:
        """Have one of ``variants`` answer from now on unless another is asked for; what was taken finishes where it is.

        Nothing is loaded and nothing is waited for.
        """
        served.demand.follow([self._lineup.switch(served).demand])
        self._note_change(served.loadable.bundle.manifest.model)

    def end(self, served: Served) -> None:
        """End one of ``variants`` that does not answer by itself; what was taken finishes."""
        self._lineup.drop(served)
        self._retire(served)

    async def gone(self, ended: Iterable[Served]) -> None:
        """Return once what was ended has finished what it took; its memory is free then."""
        await self._keepers.gone(ended)

    def mend(self, model: ModelName, *, is_under_way: bool) -> None:
        """Say whether another variant is about to take the place of one that has no worker: then nothing else has to."""
        if is_under_way == (model in self._mending):
            return
        if is_under_way:
            self._mending.add(model)
        else:
            self._mending.discard(model)
            self._review(model)

    def is_mending(self, model: ModelName) -> bool:
        """Tell whether another variant is about to take the place of one that has no worker."""
        return model in self._mending

    async def give_way(self, served: Served) -> None:
        """Have requests wait for another variant, and end all that are loaded; there is room for its worker when this returns.

        Args:
            served: It has no worker yet. Owned from here on.
        """
        self._keepers.keep(served)
        before = self._answer_with(served)
        self._retire(*before)
        await self._keepers.gone(before)

    def _answer_with(self, served: Served) -> list[Served]:
        """Serve this, and return what answered before and is to be ended now."""
        model = served.loadable.bundle.manifest.model
        before = [*self._lineup.put(served)]
        served.demand.follow(one.demand for one in before)
        self._note_change(model)
        return before

    def remove(self, model: ModelName) -> None:
        """Serve this model no longer; requests that were taken before finish."""
        self.end_standby(model)
        before = self._lineup.remove(model)
        self._names.leave(model)
        self._retire(*before)
        self._note_change(model)

    def _retire(self, *variants: Served | None) -> None:
        for served in variants:
            if served is not None:
                self._keepers.retire(served)

    def _stop(self, model: ModelName, error: UnavailableError) -> None:
        """End what is under way for a model."""
        stand_in = self._lineup.stand_ins.pop(model, None)
        if self._watcher is not None:
            self._watcher.stopped(model, error)
        # Also what versions and variants that were replaced have yet to finish.
        for served in self.loaded(model):
            served.abort(error)
        if stand_in is not None:
            self._retire(stand_in.served)
        for told in self._stop_listeners:
            told(model, error)
        self._tell_watcher(model)

    def _note_change(self, model: ModelName) -> None:
        for told in self._listeners:
            told(model)
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
