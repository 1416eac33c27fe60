"""What decisions depend on, settable by hand, and what is done with them, remembered."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from edged.api.ports import ModelView
from edged.bundle.manifest import Variant
from edged.daemon.decisions.decided_models import DecidedModels
from edged.daemon.decisions.decider import Decider
from edged.daemon.serving.serving import Serving
from edged.errors import UnavailableError
from edged.ids import ModelName
from edged.pipeline.pipeline import Steps
from edged.runtime.calls import Call
from edged.select.decision import Regulatory
from edged.sense.reading import known, unknown
from tests.fakes.contexts import connected_device
from tests.fakes.requests import FAR_S
from tests.fakes.rules import RUN_BEST
from tests.fakes.served_workers import Starter, loadable_of


class FakePolicies:
    """Rules in force; the built-in one is always the last."""

    def __init__(self, *rules) -> None:
        self.rules = (*rules, RUN_BEST)
        self.regulatory = Regulatory()
        self._listeners = []

    def on_change(self, told) -> None:
        self._listeners.append(told)

    def become(self, *rules) -> None:
        self.rules = (*rules, RUN_BEST)
        for told in self._listeners:
            told()


class FakeAccuracy:
    """What apps say, by model."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}
        self._listeners = []

    def of(self, model: str):
        return known(self.said[model]) if model in self.said else unknown("nobody says anything")

    def on_change(self, told) -> None:
        self._listeners.append(told)

    def become(self, **said: str) -> None:
        self.said = said
        for told in self._listeners:
            told()


class FakeEndpoint:
    """Cloud endpoints of models; a test answers what they are asked."""

    def __init__(self, *models: str) -> None:
        self.models = set(models)
        self.calls: list[Call] = []
        self.trouble: Exception | None = None
        self.abandoned: list[Call] = []

    def has(self, model: str) -> bool:
        return model in self.models

    def submit(self, _model: str, call: Call) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.calls.append(call)
        call.abandoned = lambda: self.abandoned.append(call) or call.finish(UnavailableError("its caller left"))


class FakeHolds:
    """Keeps calls until a test has them go on."""

    def __init__(self) -> None:
        self.kept = []

    def has(self, ask) -> bool:
        return any(kept_ask == ask for kept_ask, _, _ in self.kept)

    def keep(self, ask, call, *, go_on) -> None:
        self.kept.append((ask, call, go_on))


class FakeVariants:
    """Variants of active versions that are as a test says; of those of ``serving``, if there is one, what it has loaded."""

    def __init__(self, serving: Serving | None = None) -> None:
        self.all: dict[str, Sequence[Variant]] = {}
        self.bad: dict[str, Mapping[str, tuple[str, ...]]] = {}
        self.seen: dict[str, dict] = {}
        self.wanted: list[tuple[str, tuple[str, ...], str]] = []
        self._serving = serving
        self._listeners: list[Callable[[str], None]] = []

    def models(self) -> Sequence[str]:
        return list(self.all)

    def known(self, model: str) -> Sequence[Variant]:
        return self.all.get(model, ())

    def unusable(self, model: str) -> Mapping[str, tuple[str, ...]]:
        return self.bad.get(model, {})

    def measured(self, model: str) -> Mapping:
        return self.seen.get(model, {})

    def want(self, model: str, variants: Sequence[str], *, rule: str = "") -> None:
        self.wanted.append((model, tuple(variants), rule))

    def loaded(self, model: str) -> Sequence[str]:
        return [served.loadable.variant.id for served in self._serving.variants(ModelName(model))]

    def on_change(self, told) -> None:
        self._listeners.append(told)

    def submit(self, model: str, version: str | None, variant: str, call: Call) -> ModelView:
        return self._serving.submit(model, version, call, variant)

    def become(self, model: str, *variants: Variant, unusable: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """Have a model's active version have these; none at all where there are none."""
        if variants:
            self.all[model] = variants
        else:
            self.all.pop(model, None)
        self.bad[model] = unusable or {}
        for told in self._listeners:
            told(model)


class TwoVariants:
    """A model, ``echo``, whose fp32 variant answers by itself; its int8 variant can be loaded next to it. With fake workers.

    Args:
        serving: Gets them.
        starter: Starts the workers.
        steps: Those before the model (``pre``) and after it (``post``).
    """

    def __init__(self, serving: Serving, starter: Starter, **steps: Steps) -> None:
        self.serving = serving
        self.starter = starter
        self.steps = steps
        self.variants = FakeVariants(serving)

    async def load(self, precision: str, *, version: str = "1.0.0"):
        """Load a variant; returns its worker."""
        loadable = self._loadable(precision, version)
        served = await self.serving.load(loadable)
        if loadable.bundle.manifest.model in self.serving.served and precision != "fp32":
            self.serving.add(served)
        else:
            self.serving.put(served)
        fp32, int8 = (self._loadable(each, version).variant for each in ("fp32", "int8"))
        self.variants.become("echo", fp32, int8)
        return self.starter.last

    def _loadable(self, precision: str, version: str):
        plain = loadable_of(version, **self.steps)
        variant = msgspec.structs.replace(plain.variant, id=f"echo-{precision}", precision=precision, tier="quality")
        return type(plain)(bundle=plain.bundle, variant=variant)


def undecided(serving: Serving) -> DecidedModels:
    """Models without any policy: whatever answers by itself does."""
    variants = FakeVariants(serving)
    decider = Decider(
        contexts=connected_device(),
        policies=FakePolicies(),
        variants=variants,
        accuracy=FakeAccuracy(),
        endpoint=FakeEndpoint(),
        noted=lambda *_: None,
    )
    for model, served in serving.served.items():
        variants.become(model, served.loadable.variant)
    return DecidedModels(
        serving=serving,
        variants=variants,
        decides=decider,
        endpoint=FakeEndpoint(),
        holds=FakeHolds(),
        run_s=lambda: FAR_S,
    )
