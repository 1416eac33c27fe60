"""Models with fake workers, by policy: ``echo`` with its fp32 variant loaded, and what decides about requests for it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from edged.config.schema import CacheConfig, ServeConfig
from edged.daemon.cache.cache import Cache
from edged.daemon.decisions.decided_models import DecidedModels
from edged.daemon.decisions.decider import Decider
from edged.daemon.serving.serving import Serving
from tests.fakes.contexts import connected_device
from tests.fakes.decisions import FakeAccuracy, FakeEndpoint, FakeHolds, FakePolicies, TwoVariants
from tests.fakes.requests import Asked, request_of
from tests.fakes.served_workers import FakeWorker, HeldTime, Starter


class DecidedDevice:
    """What decides, and all that it depends on."""

    def __init__(self, time: HeldTime, serving: Serving, models: TwoVariants) -> None:
        self.time, self.serving, self.models = time, serving, models
        self.contexts, self.policies = connected_device(), FakePolicies()
        self.endpoint, self.holds = FakeEndpoint(), FakeHolds()
        self.rules = CacheConfig()
        variants = models.variants
        self.cache = Cache(
            serving,
            lambda: self.rules,
            usable=lambda model: len(variants.known(model)) - len(variants.unusable(model)),
        )
        self.decider = Decider(
            contexts=self.contexts,
            policies=self.policies,
            variants=variants,
            accuracy=FakeAccuracy(),
            endpoint=self.endpoint,
            noted=lambda *_: None,
        )
        self.decided = DecidedModels(
            serving=serving,
            variants=variants,
            decides=self.decider,
            endpoint=self.endpoint,
            holds=self.holds,
            run_s=lambda: 30.0,
            cache=self.cache,
        )
        self.fp32: FakeWorker

    def submit(self, data: bytes = b"0", **options):
        """Ask; returns what came of it so far, and what is said about it."""
        asked = Asked(request_of(data, deadline_s=self.time.now_s + 30.0, **options))
        return asked, self.decided.submit("echo", None, asked.call)


@asynccontextmanager
async def decided_device(
    monkeypatch: pytest.MonkeyPatch, make: Callable[..., DecidedDevice] = DecidedDevice, **options: object
) -> AsyncIterator[DecidedDevice]:
    """Such a device while this is entered; the options are for ``TwoVariants``."""
    time, starter = HeldTime(monkeypatch), Starter()
    serving = Serving(start_worker=starter, parallel=2, poison_rest_s=600.0, limits=lambda: ServeConfig(max_queued=2))
    async with serving:
        models = TwoVariants(serving, starter, **options)
        device = make(time, serving, models)
        device.fp32 = await models.load("fp32")
        yield device
        device.decider.close()
