"""What there is to know about the variants of one version while it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from edged.bundle.manifest import Variant
from edged.bundle.read import InstalledBundle
from edged.daemon.serving.served import Served
from edged.select.decision import Measured
from edged.select.machine import Machine
from edged.select.matcher import misfits, usable_variants
from edged.select.warm import Loaded, targets_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What somebody wants of a model."""

    variants: tuple[str, ...]
    """Best first."""
    rule: str
    since_s: float
    """Monotonic; when the first became another one."""


NOTHING: Want = Want(variants=(), rule="", since_s=0.0)


@dataclass(slots=True, kw_only=True)
class Line:
    """The variants of one version."""

    bundle: InstalledBundle
    home: str
    """The variant that the version was activated with, or that a restart began with."""
    known: tuple[Variant, ...]
    """All of the manifest, best for this machine first."""
    misfits: Mapping[str, tuple[str, ...]]
    """Why some of them can never run here."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why some of them could not be loaded; they rest."""
    unwanted_since_s: dict[str, float] = field(default_factory=dict)
    loading: str = ""
    is_cold: bool = False
    """Nothing answers while it is loaded; requests wait."""
    answers_since_s: float = 0.0

    @classmethod
    def of(cls, served: Served, machine: Machine, *, now_s: float) -> Self:
        """Begin with the variant that a version was activated with.

        Args:
            served: That one.
            machine: What variants have to fit.
            now_s: Monotonic.
        """
        bundle = served.loadable.bundle
        usable = usable_variants(bundle.manifest, machine)
        others = [variant for variant in bundle.manifest.variants if variant not in usable]
        home = served.loadable.variant.id
        # What is loaded runs here, whatever the manifest thinks of a machine that may not be the one that it was chosen for any more.
        reasons = {variant.id: misfits(variant, machine) for variant in others if variant.id != home}
        absent = {v.id: ("its files are not on this device",) for v in usable if v not in bundle.variants}
        return cls(
            bundle=bundle,
            home=home,
            known=(*usable, *others),
            misfits=reasons | absent,
            answers_since_s=now_s,
        )

    def variant(self, id_: str) -> Variant:
        """Return one of ``known``."""
        return next(variant for variant in self.known if variant.id == id_)

    def needs_bytes(self, measured: Mapping[str, Measured]) -> Mapping[str, int]:
        """Return how much memory each variant needs: as it was seen here, or else as its manifest says."""
        seen = {id_: figures.memory_bytes for id_, figures in measured.items()}
        return {variant.id: seen.get(variant.id) or variant.budget.memory_bytes for variant in self.known}

    def unusable(self, loaded: Sequence[Served]) -> Mapping[str, tuple[str, ...]]:
        """Return those that cannot run now, with every reason."""
        broken = {
            s.loadable.variant.id: f"its worker cannot be started: {s.start_error}" for s in loaded if s.start_error
        }
        passing = {id_: (reason,) for id_, reason in (self.failures | broken).items()}
        return {**self.misfits, **passing}

    def targets(self, want: Want, loaded: Sequence[Served]) -> list[str]:
        """Return what is to be loaded, best first."""
        unusable = self.unusable(loaded)
        usable = [variant.id for variant in self.known if variant.id not in unusable]
        return targets_of(self.wanted(want), usable)

    def wanted(self, want: Want) -> tuple[str, ...]:
        """Return what is wanted of this version, usable or not."""
        ids = {variant.id for variant in self.known}
        return tuple(id_ for id_ in want.variants if id_ in ids) or (self.home,)

    def loaded(self, want: Want, loaded: Sequence[Served], *, now_s: float) -> list[Loaded]:
        """Return what is loaded, and for how long nobody has wanted it."""
        wanted = self.wanted(want)
        # What answers is needed, whoever wants it.
        ids = {served.loadable.variant.id for served in loaded[1:]}
        self.unwanted_since_s = {id_: self.unwanted_since_s.get(id_, now_s) for id_ in ids if id_ not in wanted}
        return [
            Loaded(
                id=served.loadable.variant.id,
                is_working=not served.start_error,
                unwanted_s=now_s - self.unwanted_since_s.get(served.loadable.variant.id, now_s),
            )
            for served in loaded
        ]
