"""The models that answer: what the API asks, by name."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, Protocol, Self

from edged.api.ports import ModelUsage, ModelView
from edged.config.schema import ServeConfig
from edged.daemon.keeper import Loadable, StartWorker
from edged.daemon.poison import PoisonList
from edged.daemon.served import Served
from edged.errors import EdgedError, ModelUnknownError, UnavailableError
from edged.ids import ModelName
from edged.runtime.calls import Call, Segment
from edged.runtime.memory import SharedMemory
from edged.telemetry.serving import ServingStats

BODIES_AT_ONCE: Final = 4
"""How many requests of the largest size one model may have in memory together."""
RETIRE_MARGIN_S: Final = 10.0
"""Beyond the longest time a request may take: for a run that does not stop when it is told to."""
TIDY_EVERY_S: Final = 60.0
"""A model that had no request for so long gives the memory for large ones back."""


class Watcher(Protocol):
    """Whoever uses workers beside the requests that are submitted here."""

    def changed(self, model: ModelName) -> None:
        """Take note that something else answers for a model now: another version, another worker, or nothing."""
        ...

    async def let_go(self, served: Served) -> None:
        """Return once nothing is under way in the worker of a version that answers no more."""
        ...

    def count(self) -> None:
        """Bring the statistics of the models up to date."""
        ...

    def running(self, served: Served) -> int:
        """Return how many requests it has under way in the workers of a version."""
        ...


class _Name:
    """What belongs to a model by its name, whatever versions of it come and go."""

    def __init__(self, *, max_bytes: Callable[[], int]) -> None:
        self.memory: Final = SharedMemory(max_bytes=max_bytes)
        self.stats: Final = ServingStats()
        self.is_gone = False
        """No version of it is served or loaded any more."""
        self.seen: object = None
        """What there was to see of its requests when ``tidy`` looked last."""


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
        self._served: dict[ModelName, Served] = {}
        self._views: dict[ModelName, tuple[ModelView, ModelView]] = {}
        """Of each served model: while it has no worker, and while it has one."""
        self._loading: set[ModelName] = set()
        self._names: dict[ModelName, _Name] = {}
        self._keepers: dict[Served, asyncio.Task[None]] = {}
        self._helpers: set[asyncio.Task[None]] = set()
        self._group = asyncio.TaskGroup()
        self._watcher: Watcher | None = None

    async def __aenter__(self) -> Self:
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
        return self._served

    def watch(self, watcher: Watcher) -> None:
        """Tell somebody about what changes, and wait for it before a worker is ended."""
        self._watcher = watcher

    def announce(self, model: ModelName) -> None:
        """Say that a model is being loaded, so that it is unavailable rather than unknown until then."""
        self._loading.add(model)
        self._name(model)

    async def load(self, loadable: Loadable) -> Served:
        """Start a worker for a variant; the caller hands what this returns to ``put``, or closes it.

        Raises:
            EdgedError: As ``StartWorker``.
        """
        name = self._name(loadable.bundle.manifest.model)
        start = partial(self._start_worker, loadable, name.memory)
        return Served(
            loadable,
            await start(),
            start_worker=start,
            parallel=self._parallel,
            limits=self._limits,
            stats=name.stats,
            poison=PoisonList(rest_s=self._poison_rest_s),
            changed=partial(self._note_change, loadable.bundle.manifest.model),
        )

    def put(self, served: Served) -> None:
        """Serve this from now on in place of what its model had; requests that were taken before finish where they are."""
        model = served.loadable.bundle.manifest.model
        before = self._served.get(model)
        self._keepers[served] = self._group.create_task(served.keep_running(), name=f"worker {model}")
        self._served[model] = served
        self._views[model] = (_view(served, is_ready=False), _view(served, is_ready=True))
        self._loading.discard(model)
        self._retire(model, before)
        self._note_change(model)

    def remove(self, model: ModelName) -> None:
        """Serve this model no longer; requests that were taken before finish."""
        self._loading.discard(model)
        before = self._served.pop(model, None)
        self._views.pop(model, None)
        if model in self._names:
            self._names[model].is_gone = True
        self._retire(model, before)
        self._note_change(model)

    def views(self) -> Sequence[ModelView]:
        """Return every served model, sorted by name."""
        return [self._view(served) for _, served in sorted(self._served.items())]

    def view(self, name: str, version: str | None) -> ModelView:
        """Return one model.

        Raises:
            ModelUnknownError: It is not served, or not in that version.
            UnavailableError: It is being loaded.
        """
        return self._view(self._find(name, version))

    def take_memory(self, name: str, size_bytes: int) -> Segment:
        """Take memory for the body of a request; see ``edged.api.ports.Models.take_memory``."""
        self._find(name, None)
        return self._name(ModelName(name)).memory.take(size_bytes)

    def submit(self, name: str, version: str | None, call: Call) -> ModelView:
        """Take a request for the model that is active now; see ``edged.api.ports.Models.submit``."""
        served = self._find(name, version)
        served.submit(call)
        return self._view(served)

    def running(self, served: Served) -> int:
        """Return how many requests the worker of a version has, whichever way they came."""
        return served.running + (0 if self._watcher is None else self._watcher.running(served))

    def usage(self) -> Sequence[ModelUsage]:
        """Return what each served model does, sorted by name."""
        if self._watcher is not None:
            self._watcher.count()
        return [
            ModelUsage(
                view=self._view(served),
                stats=served.stats,
                worker_pid=None if served.worker is None else served.worker.pid,
                waiting=served.queued,
                running=self.running(served),
                shared_memory_bytes=self._name(model).memory.used_bytes,
            )
            for model, served in sorted(self._served.items())
        ]

    def stats(self, name: str) -> ServingStats | None:
        """Return a model's counters; None when it is neither served nor loaded."""
        known = self._names.get(ModelName(name))
        if known is None or known.is_gone:
            return None
        if self._watcher is not None:
            self._watcher.count()
        return known.stats

    def tidy(self) -> None:
        """Give back the memory of models that had no request since the last call, and forget those that are gone."""
        for model, name in list(self._names.items()):
            served = self._served.get(model)
            seen = None if served is None else (served, served.requests)
            if seen == name.seen:
                name.memory.trim()
            name.seen = seen
            # A body that is still being received keeps it: its memory must find its way back.
            if name.is_gone and not name.memory.used_bytes:
                del self._names[model]

    def _name(self, model: ModelName) -> _Name:
        name = self._names.get(model)
        if name is None:
            name = self._names[model] = _Name(max_bytes=lambda: BODIES_AT_ONCE * self._limits().max_body_bytes)
        name.is_gone = False
        return name

    def _view(self, served: Served) -> ModelView:
        return self._views[served.loadable.bundle.manifest.model][served.worker is not None]

    def _find(self, name: str, version: str | None) -> Served:
        served = self._served.get(ModelName(name))
        if served is None:
            raise self._missing(ModelName(name))
        active = served.loadable.bundle.manifest.version
        if version is not None and version != active:
            raise ModelUnknownError(
                f"model {name} has no active version {version}",
                hint=f"Version {active} is active; leave the version out to ask whichever is.",
            )
        return served

    def _missing(self, model: ModelName) -> EdgedError:
        if model in self._loading:
            return UnavailableError(f"model {model} is being loaded", hint="Try again in a moment.")
        known = ", ".join(sorted(self._served)) or "none"
        return ModelUnknownError(f"no model {model} is active on this device", hint=f"Active models: {known}.")

    def _help(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = self._group.create_task(work, name=name)
        self._helpers.add(task)
        task.add_done_callback(self._helpers.discard)

    def _retire(self, model: ModelName, served: Served | None) -> None:
        if served is not None:
            self._help(self._drain_and_end(served), f"retire {model}")

    def _note_change(self, model: ModelName) -> None:
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


def _view(served: Served, *, is_ready: bool) -> ModelView:
    manifest, variant = served.loadable.bundle.manifest, served.loadable.variant
    return ModelView(
        name=manifest.model,
        version=manifest.semver,
        variant=variant.id,
        platform=f"{variant.runtime.name}_{variant.format}",
        inputs=manifest.pipeline.inputs,
        raw_inputs=variant.inputs,
        outputs=manifest.pipeline.outputs,
        is_ready=is_ready,
        state_inputs=frozenset(state.input for state in variant.state),
        max_rows=served.max_rows,
    )
