"""The models that answer: what the API asks, by name."""

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from edged.api.ports import Answer, ModelView
from edged.daemon.served import Served
from edged.errors import ModelUnknownError, UnavailableError
from edged.ids import ModelName, Version
from edged.runtime.tensors import Tensor

_RETIRE_WITHIN_S: Final = 30.0


class Serving:
    """The served variant of each model; fulfils ``edged.api.ports.Models``.

    An asynchronous context manager: it owns the tasks that keep workers alive, and ends them when it is left. ``put`` and ``remove``
    may be called only inside it.
    """

    def __init__(self) -> None:
        self._served: dict[ModelName, Served] = {}
        self._loading: set[ModelName] = set()
        self._keepers: dict[Served, asyncio.Task[None]] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (*self._keepers.values(), *self._retiring):
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

    def announce(self, model: ModelName) -> None:
        """Say that a model is being loaded, so that it is unavailable rather than unknown until then."""
        self._loading.add(model)

    def put(self, served: Served) -> None:
        """Serve this from now on in place of what its model had; requests under way finish where they began."""
        model = served.loadable.bundle.manifest.model
        before = self._served.get(model)
        self._keepers[served] = self._group.create_task(served.keep_running(), name=f"worker {model}")
        self._served[model] = served
        self._loading.discard(model)
        self._retire(model, before)

    def remove(self, model: ModelName) -> None:
        """Serve this model no longer; requests under way finish."""
        self._loading.discard(model)
        before = self._served.pop(model, None)
        self._retire(model, before)

    def _retire(self, model: ModelName, served: Served | None) -> None:
        if served is None:
            return
        task = self._group.create_task(self._drain_and_end(served), name=f"retire {model}")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _drain_and_end(self, served: Served) -> None:
        await served.drain(timeout_s=_RETIRE_WITHIN_S)
        self._keepers.pop(served).cancel()

    def views(self) -> Sequence[ModelView]:
        """Return every served model, sorted by name."""
        return [_view(served) for _, served in sorted(self._served.items())]

    def view(self, name: str, version: str | None) -> ModelView:
        """Return one model.

        Raises:
            ModelUnknownError: It is not served, or not in that version.
            UnavailableError: It is being loaded.
        """
        return _view(self._find(name, version))

    async def infer(
        self, name: str, version: str | None, inputs: Sequence[Tensor], outputs: Sequence[str], *, timeout_s: float
    ) -> Answer:
        """Run one request on the model that is active now; see ``edged.api.ports.Models.infer``."""
        served = self._find(name, version)
        result = await served.infer(inputs, outputs, timeout_s=timeout_s)
        return Answer(result=result, model=_view(served))

    def _find(self, name: str, version: str | None) -> Served:
        served = self._served.get(ModelName(name))
        if served is None:
            if name in self._loading:
                raise UnavailableError(f"model {name} is being loaded", hint="Try again in a moment.")
            known = ", ".join(sorted(self._served)) or "none"
            raise ModelUnknownError(f"no model {name} is active on this device", hint=f"Active models: {known}.")
        active = served.loadable.bundle.manifest.version
        if version is not None and version != active:
            raise ModelUnknownError(
                f"model {name} has no active version {version}",
                hint=f"Version {active} is active; leave the version out to ask whichever is.",
            )
        return served


def _view(served: Served) -> ModelView:
    manifest, variant = served.loadable.bundle.manifest, served.loadable.variant
    return ModelView(
        name=manifest.model,
        version=Version.parse(manifest.version),
        variant=variant.id,
        platform=f"{variant.runtime.name}_{variant.format}",
        inputs=manifest.pipeline.inputs,
        raw_inputs=variant.inputs,
        outputs=manifest.pipeline.outputs,
        is_ready=served.worker_pid is not None,
    )
