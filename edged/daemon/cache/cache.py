"""Answers requests with what is known already, and learns what background requests are answered.

1. Only background requests fill it: an app that knows what will be asked has it computed when the device has time. So a model that nobody
   asks in the background costs its requests nothing: their inputs are not even hashed.
2. Any request may be answered from it, also a background one; not one that says ``cache: false``, that belongs to a sequence, or whose
   inputs are larger than is allowed; and none of a model that keeps a state.
3. What is known of a model ends with the version that said it, and with a stop. A model that may not answer does not answer from here.
4. An answer counts for the version that is active when it comes and was when it was asked for; any other is not kept.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from edged.api.ports import ModelView
from edged.config.schema import CacheConfig
from edged.daemon.cache.keys import key_of
from edged.daemon.cache.results import Results
from edged.daemon.serving.serving import Serving
from edged.ids import ModelName
from edged.runtime.calls import Call, Outcome, Request, RequestClass
from edged.runtime.tensors import InferResult


class Cache:
    """What is known already. Made and used on one event loop.

    Args:
        serving: Has the models.
        rules: Called for the limits in force.
    """

    def __init__(self, serving: Serving, rules: Callable[[], CacheConfig]) -> None:
        self._serving = serving
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self._results = Results()
        self._digests: dict[str, str] = {}
        """Of the bundles whose answers are known, by model."""
        serving.on_change(self._look)
        serving.on_stop(lambda model, _error: self._look(model))

    @property
    def size_bytes(self) -> int:
        """Of all that is kept."""
        return self._results.size_bytes

    @property
    def entries(self) -> int:
        """Results that are kept."""
        return len(self._results)

    def may_know(self, model: str, request: Request) -> bool:
        """Tell whether it is worth looking for the answer to a request, or noting it; costs next to nothing."""
        rules = self._rules()
        if self._results.size_bytes > rules.max_bytes:
            self._results.shrink(max_bytes=rules.max_bytes, max_entries=rules.max_entries)
        return (
            rules.max_bytes > 0
            and (request.request_class is RequestClass.BACKGROUND or self._results.has(model))
            and request.may_cache
            and request.sequence is None
            and request.size_bytes <= rules.max_input_bytes
        )

    def answer(self, model: str, version: str | None, variant: str, call: Call) -> ModelView | None:
        """Answer a request if its answer is known; otherwise note the answer that it gets, if it is one to be noted.

        Args:
            model: Its name; it is there, and may answer.
            version: None means the active one.
            variant: That would answer, by its id.
            call: One of ``may_know``. Finished soon if the answer is known, but not before this returns.

        Returns:
            What has answered, or None: the request is still to be taken.

        Raises:
            EdgedError: As ``edged.daemon.serving.serving.Serving.answering``.
        """
        began_s, request = self._loop.time(), call.request
        view, served = self._serving.answering(model, version, variant)
        if served.loadable.variant.state:
            return None
        digest = served.loadable.bundle.digest
        uid = None if self._rules().shared else request.uid
        key = key_of(request, digest=digest, variant=view.variant, uid=uid)
        result = self._results.find(key)
        if result is None:
            served.stats.misses += 1
            if request.request_class is RequestClass.BACKGROUND:
                call.show(partial(self._learn, model, digest, key, call))
            return None
        now_s = self._loop.time()
        served.demand.note_known(request, now_s=now_s)
        served.stats.was_known(now_s - began_s)
        self._loop.call_soon(call.finish, result)
        return view

    def _learn(self, model: str, digest: str, key: bytes, call: Call, outcome: Outcome) -> None:
        if not isinstance(outcome, InferResult) or call.instead or self._digest_of(model) != digest:
            return
        rules = self._rules()
        self._digests[model] = digest
        self._results.keep(
            model, key, replace(outcome, run_s=0.0, batch=1), max_bytes=rules.max_bytes, max_entries=rules.max_entries
        )

    def _look(self, model: ModelName) -> None:
        if model in self._digests and self._digest_of(model) != self._digests[model]:
            del self._digests[model]
            self._results.forget(model)

    def _digest_of(self, model: str) -> str | None:
        """Return the digest of the bundle that answers; None where it may not."""
        name = ModelName(model)
        served = self._serving.served.get(name)
        if served is None or name in self._serving.stand_ins or self._serving.is_held(name):
            return None
        return served.loadable.bundle.digest
