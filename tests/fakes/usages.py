"""What models did and do, made up."""

from collections.abc import Sequence
from dataclasses import replace

from edged.api.ports import ModelUsage, ModelView
from edged.ids import ModelName
from edged.telemetry.serving import ServingStats
from tests.fakes.fake_models import ECHO


def usage_of(name: str = ECHO.name, *, stats: ServingStats | None = None, view: ModelView = ECHO, **now) -> ModelUsage:
    """Return a model's usage; ``now`` says what it does at the moment."""
    facts = {"worker_pid": None, "waiting": 0, "running": 0, "shared_memory_bytes": 0} | now
    return ModelUsage(view=replace(view, name=ModelName(name)), stats=stats or ServingStats(), **facts)


class FakeUsage:
    """Fulfils ``UsageSource``."""

    def __init__(self, *models: ModelUsage) -> None:
        self.models = models

    def usage(self) -> Sequence[ModelUsage]:
        return self.models

    def stats(self, name: str) -> ServingStats | None:
        return next((model.stats for model in self.models if model.view.name == name), None)
