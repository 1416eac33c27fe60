"""Which of the loaded models answers when one is asked for by name, and what is said when none does. No tasks, no I/O.

In this order:

(1) stand-in    what answers in the model's place, whether it is held or not
(2) hold        its callers are refused, with the reason
(3) served      the active version
(4) loading     unavailable for now
(5) unknown
"""

from collections.abc import Callable
from typing import Final

from edged.api.ports import ModelView
from edged.daemon.serving.served import Served
from edged.daemon.serving.stand_in import ConstantAnswer, StandIn, view_of
from edged.errors import EdgedError, ModelUnknownError, UnavailableError
from edged.ids import ModelName

Answerer = Served | ConstantAnswer
MakeError = Callable[[], UnavailableError]


class Lineup:
    """What is loaded of each model, what may not answer, and what does so instead. Changed by ``edged.daemon.serving.serving`` alone."""

    def __init__(self) -> None:
        self.served: Final[dict[ModelName, Served]] = {}
        """The active version of each model."""
        self.loading: Final[set[ModelName]] = set()
        self.holds: Final[dict[ModelName, MakeError]] = {}
        """Models that may not answer, with what their callers are told."""
        self.stand_ins: Final[dict[ModelName, StandIn]] = {}
        self._views: dict[ModelName, tuple[ModelView, ModelView]] = {}
        """Of each served model: while it does not answer, and while it does."""

    @property
    def models(self) -> list[ModelName]:
        """Every model of which something is there, sorted by name."""
        return sorted(self.served.keys() | self.stand_ins.keys())

    def put(self, served: Served) -> Served | None:
        """Take the active version of a model; returns the one before."""
        model = served.loadable.bundle.manifest.model
        before = self.served.get(model)
        self.served[model] = served
        self._views[model] = (view_of(served, is_ready=False), view_of(served, is_ready=True))
        self.loading.discard(model)
        return before

    def remove(self, model: ModelName) -> Served | None:
        """Forget the active version of a model, and return it."""
        self.loading.discard(model)
        self._views.pop(model, None)
        return self.served.pop(model, None)

    def view(self, model: ModelName) -> ModelView:
        """Return how apps see one of ``models``."""
        stand_in = self.stand_ins.get(model)
        if stand_in is not None:
            return stand_in.view()
        return self._views[model][model not in self.holds and self.served[model].worker is not None]

    def answerer(self, model: ModelName) -> Answerer:
        """Return what answers for one of ``models``, held or not."""
        stand_in = self.stand_ins.get(model)
        return self.served[model] if stand_in is None else stand_in.answers

    def find(self, name: str, version: str | None) -> ModelName:
        """Return the model of a name, also while it is held.

        Raises:
            ModelUnknownError: It is not there, or not in that version.
            UnavailableError: It is being loaded.
            ModelStoppedError: It is held, and nothing of it is there.
        """
        model = ModelName(name)
        if model not in self.served and model not in self.stand_ins:
            raise self._missing(model)
        if version is not None and version != (active := str(self.view(model).version)):
            self._check_hold(model)
            raise ModelUnknownError(
                f"model {name} has no active version {version}",
                hint=f"Version {active} is active; leave the version out to ask whichever is.",
            )
        return model

    def find_answering(self, name: str, version: str | None) -> ModelName:
        """Return the model of a name whose requests are answered.

        Raises:
            EdgedError: As ``find``.
            ModelStoppedError: It is held, and nothing answers in its place.
        """
        model = self.find(name, version)
        if self.holds and model not in self.stand_ins:
            self._check_hold(model)
        return model

    def without_workers(self, model: ModelName) -> UnavailableError:
        """Say why a model has no workers although something answers: a constant does."""
        if model in self.holds:
            return self.holds[model]()
        return UnavailableError(f"a constant answers in the place of model {model}", hint="Ask over HTTP.")

    def _check_hold(self, model: ModelName) -> None:
        make_error = self.holds.get(model)
        if make_error is not None:
            raise make_error()

    def _missing(self, model: ModelName) -> EdgedError:
        if model in self.holds:
            return self.holds[model]()
        if model in self.loading:
            return UnavailableError(f"model {model} is being loaded", hint="Try again in a moment.")
        known = ", ".join(self.models) or "none"
        return ModelUnknownError(f"no model {model} is active on this device", hint=f"Active models: {known}.")
