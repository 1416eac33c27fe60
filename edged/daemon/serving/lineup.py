"""Which of the loaded models answers when one is asked for by name, and what is said when none does. No tasks, no I/O.

In this order:

(1) stand-in    what answers in the model's place, whether it is held or not
(2) hold        its callers are refused, with the reason
(3) served      the active version, in the variant that is asked for where that is loaded, else in the one that answers by itself
(4) loading     unavailable for now
(5) unknown
"""

from collections.abc import Callable, Sequence
from typing import Final

from edged.api.ports import ModelView
from edged.daemon.serving.served import Served
from edged.daemon.serving.stand_in import ConstantAnswer, StandIn, view_of
from edged.errors import EdgedError, ModelUnknownError, UnavailableError
from edged.ids import ModelName

Answerer = Served | ConstantAnswer
MakeError = Callable[[], UnavailableError]


class Lineup:
    """What is loaded of each model, what may not answer, and what does so instead. Changed by ``edged.daemon.serving.stage`` alone."""

    def __init__(self) -> None:
        self.served: Final[dict[ModelName, Served]] = {}
        """The active version of each model, in the variant that answers unless another is asked for."""
        self.loading: Final[set[ModelName]] = set()
        self.holds: Final[dict[ModelName, MakeError]] = {}
        """Models that may not answer, with what their callers are told."""
        self.stand_ins: Final[dict[ModelName, StandIn]] = {}
        self._others: dict[ModelName, dict[str, Served]] = {}
        """Further variants of the active version that are loaded, by id; of models that have any."""
        self._views: dict[Served, tuple[ModelView, ModelView]] = {}
        """Of each variant: while it does not answer, and while it does."""

    @property
    def models(self) -> list[ModelName]:
        """Every model of which something is there, sorted by name."""
        return sorted(self.served.keys() | self.stand_ins.keys())

    def variants(self, model: ModelName) -> Sequence[Served]:
        """Return the loaded variants of the active version, the one that answers first; empty where nothing is loaded."""
        served = self.served.get(model)
        return [] if served is None else [served, *self._others.get(model, {}).values()]

    def put(self, served: Served) -> Sequence[Served]:
        """Take the active version of a model, in one variant; returns what there was of the model before, what answered first."""
        model = served.loadable.bundle.manifest.model
        before = self.remove(model)
        self.served[model] = served
        self._note_views(served)
        return before

    def add(self, served: Served) -> None:
        """Take one more variant of the version that is active."""
        model, id_ = served.loadable.bundle.manifest.model, served.loadable.variant.id
        self._others.setdefault(model, {})[id_] = served
        self._note_views(served)

    def switch(self, served: Served) -> Served:
        """Have one of ``variants`` answer by itself from now on, and return the one that did until now, which stays."""
        model = served.loadable.bundle.manifest.model
        before = self.served[model]
        others = self._others[model]
        del others[served.loadable.variant.id]
        others[before.loadable.variant.id] = before
        self.served[model] = served
        return before

    def drop(self, served: Served) -> None:
        """Forget a variant that does not answer by itself."""
        model = served.loadable.bundle.manifest.model
        del self._others[model][served.loadable.variant.id]
        del self._views[served]
        if not self._others[model]:
            del self._others[model]

    def remove(self, model: ModelName) -> Sequence[Served]:
        """Forget the active version of a model, and return the variants of it that were there, what answered first."""
        self.loading.discard(model)
        before = self.variants(model)
        self.served.pop(model, None)
        self._others.pop(model, None)
        for served in before:
            del self._views[served]
        return before

    def view(self, model: ModelName, variant: str = "") -> ModelView:
        """Return how apps see one of ``models``.

        Args:
            model: Its name.
            variant: Seen as it would answer; see ``answerer``.
        """
        stand_in = self.stand_ins.get(model)
        if stand_in is not None:
            return stand_in.view()
        served = self._served(model, variant)
        return self._views[served][model not in self.holds and served.worker is not None]

    def answerer(self, model: ModelName, variant: str = "") -> Answerer:
        """Return what answers for one of ``models``, held or not.

        Args:
            model: Its name.
            variant: Asked for by its id; where it is not loaded, and where nothing is asked for, the one that answers by itself does.
        """
        stand_in = self.stand_ins.get(model)
        return self._served(model, variant) if stand_in is None else stand_in.answers

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

    def _served(self, model: ModelName, variant: str) -> Served:
        served = self.served[model]
        return self._others.get(model, {}).get(variant, served) if variant else served

    def _note_views(self, served: Served) -> None:
        self._views[served] = (view_of(served, is_ready=False), view_of(served, is_ready=True))

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
