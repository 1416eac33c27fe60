"""Answers requests with what is known already, and learns what background requests are answered.

Where the answer is not known, there may be features: what the steps before the model make of the same inputs. A worker that is given them
begins behind those steps (``edged.daemon.cache.features``).

1. Only background requests fill it: an app that knows what will be asked has it computed when the device has time. So a model that nobody
   asks in the background costs its requests nothing: their inputs are not even hashed.
2. Any request may be answered from it, also a background one; not one that says ``cache: false``, that belongs to a sequence, or whose
   inputs are larger than is allowed; and none of a model that keeps a state.
3. What is known of a model ends with the version that said it, and with a stop. A model that may not answer does not answer from here.
4. An answer counts for the version that is active when it comes and was when it was asked for; any other is not kept.
5. All of this goes for features as it does for results. They are of use where more than one variant of the version can run here: one
   that always answers is asked for results only.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from edged.api.metrics.cache import CacheSizes
from edged.api.ports import ModelView
from edged.config.schema import CacheConfig
from edged.daemon.cache.features import borrowed_beside, enters_before, has_features, least_bytes
from edged.daemon.cache.kept import Bounds, Kept
from edged.daemon.cache.keys import Question
from edged.daemon.serving.served import Served
from edged.daemon.serving.serving import Serving
from edged.ids import ModelName
from edged.runtime.calls import Call, Features, Outcome, Request, RequestClass
from edged.runtime.tensors import InferResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What became of a request for which something may be known."""

    view: ModelView | None = None
    """What has answered it; None: it is still to be taken."""
    learn: Callable[[Outcome], None] | None = None
    """To be shown how it is finished, once it was taken; None where nothing is to be learned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    digest: str
    result: bytes
    features: bytes | None


class Cache:
    """What is known already. Made and used on one event loop.

    Args:
        serving: Has the models.
        rules: Called for the limits in force.
        usable: Called for how many variants of the active version of a model can run here.
    """

    def __init__(self, serving: Serving, rules: Callable[[], CacheConfig], usable: Callable[[str], int]) -> None:
        self._serving = serving
        self._rules = rules
        self._usable = usable
        self._loop = asyncio.get_running_loop()
        self._kept = Kept()
        self._digests: dict[str, str] = {}
        """Of the bundles of which something is known, by model."""
        serving.on_change(self._look)
        serving.on_stop(lambda model, _error: self._look(model))

    @property
    def sizes(self) -> CacheSizes:
        """How much is kept."""
        kept = self._kept
        return CacheSizes(
            results=len(kept.results),
            results_bytes=kept.results.size_bytes,
            features=len(kept.features),
            features_bytes=kept.features.size_bytes,
        )

    def may_know(self, model: str, request: Request) -> bool:
        """Tell whether it is worth looking for the answer to a request, or noting it; costs next to nothing."""
        rules = self._rules()
        if self._kept.size_bytes > rules.max_bytes or len(self._kept) > rules.max_entries:
            self._kept.shrink(_bounds(rules))
        return (
            rules.max_bytes > 0
            and (request.request_class is RequestClass.BACKGROUND or self._kept.has(model))
            and request.may_cache
            and request.sequence is None
            and request.size_bytes <= rules.max_input_bytes
        )

    def answer(self, model: str, version: str | None, variant: str, call: Call) -> Found:
        """Answer a request if its answer is known; otherwise have it go on with the features that are known, or bring them.

        Args:
            model: Its name; it is there, and may answer.
            version: None means the active one.
            variant: That would answer, by its id.
            call: One of ``may_know``. Finished soon if the answer is known, but not before this returns.

        Raises:
            EdgedError: As ``edged.daemon.serving.serving.Serving.answering``.
        """
        began_s, request = self._loop.time(), call.request
        view, served = self._serving.answering(model, version, variant)
        if served.loadable.variant.state:
            return Found()
        digest = served.loadable.bundle.digest
        question = Question(request, digest=digest, uid=None if self._rules().shared else request.uid)
        result_key = question.result_key(view.variant)
        result = self._kept.results.find(result_key)
        if result is not None:
            now_s = self._loop.time()
            served.demand.note_known(request, now_s=now_s)
            served.stats.was_known(now_s - began_s)
            self._loop.call_soon(call.finish, result)
            return Found(view=view)
        served.stats.misses += 1
        features, features_key = self._features(model, served, request, question)
        if features is not request.features:
            call.request = replace(request, features=features)
        if request.request_class is not RequestClass.BACKGROUND:
            return Found()
        keys = _Keys(digest=digest, result=result_key, features=features_key)
        return Found(learn=partial(self._learn, model, keys, call))

    def _features(
        self, model: str, served: Served, request: Request, question: Question
    ) -> tuple[Features | None, bytes | None]:
        """Return what is known of a request's features, or that they are wanted; and their key, None where they are of no use."""
        loadable = served.loadable
        pipeline, variant = loadable.bundle.manifest.pipeline, loadable.variant
        if not (has_features(pipeline, variant) and enters_before(request, pipeline) and self._usable(model) > 1):
            return None, None
        features = Features(
            digest=loadable.bundle.digest,
            takes=variant.inputs,
            gives=variant.outputs,
            borrowed=borrowed_beside(variant, pipeline, request.scale),
            scale=request.scale,
            most_bytes=self._kept.room_for_features(_bounds(self._rules())),
        )
        key = question.features_key(features.specs)
        tensors = self._kept.features.find(key)
        served.stats.looked_for_features(found=tensors is not None)
        if tensors is not None:
            return replace(features, tensors=tensors), key
        is_wanted = (
            request.request_class is RequestClass.BACKGROUND and least_bytes(features.specs) <= features.most_bytes
        )
        return (features if is_wanted else None), key

    def _learn(self, model: str, keys: _Keys, call: Call, outcome: Outcome) -> None:
        if not isinstance(outcome, InferResult) or call.instead or self._digest_of(model) != keys.digest:
            return
        bounds = _bounds(self._rules())
        self._digests[model] = keys.digest
        result = replace(outcome, run_s=0.0, batch=1, features=None, had_features=False)
        self._kept.keep_result(model, keys.result, result, bounds)
        if keys.features is not None and outcome.features is not None:
            self._kept.keep_features(model, keys.features, outcome.features, bounds)

    def _look(self, model: ModelName) -> None:
        if model in self._digests and self._digest_of(model) != self._digests[model]:
            del self._digests[model]
            self._kept.forget(model)

    def _digest_of(self, model: str) -> str | None:
        """Return the digest of the bundle that answers; None where it may not."""
        name = ModelName(model)
        served = self._serving.served.get(name)
        if served is None or name in self._serving.stand_ins or self._serving.is_held(name):
            return None
        return served.loadable.bundle.digest


def _bounds(rules: CacheConfig) -> Bounds:
    return Bounds(max_bytes=rules.max_bytes, max_entries=rules.max_entries)
