"""Every error edged raises on purpose, split by who has to act on it.

The API maps these classes to HTTP status codes in ``edged.api.http.problems`` and the command line maps them to exit codes in
``edged.cli.exits``; a test walks this tree and finds every class in both. A message says what is wrong and where; ``hint`` says
what to do about it. Facts travel as attributes, so that a journal entry or a problem body can carry them without parsing text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in a document: where it is, what was expected there, what was found."""

    pointer: str
    """JSON pointer (RFC 6901) for JSON documents, dotted key for TOML."""
    expected: str
    found: str = ""

    def __str__(self) -> str:
        found = f", got {self.found}" if self.found else ""
        return f"{self.pointer or '/'}: {self.expected}{found}"


class EdgedError(Exception):
    """Base of everything edged raises on purpose.

    Args:
        message: One sentence: what is wrong, and where.
        hint: One sentence: what the reader can do. Empty when nothing useful can be said.
        facts: What a program may want to know; becomes members of problem bodies and fields of journal entries.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str = "", **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts


class DocumentError(EdgedError):
    """A document could not be read; carries every problem found in it at once."""

    code = "document-invalid"

    def __init__(self, source: str, problems: Sequence[Problem], *, hint: str = "") -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("; ".join(self.lines), hint=hint, source=source)

    @property
    def lines(self) -> tuple[str, ...]:
        """The message, a problem each."""
        return tuple(f"{self.source}: {problem}" for problem in self.problems)


# --- the operator acts ---------------------------------------------------------------------------------------------


class ConfigError(DocumentError):
    """A configuration file has a wrong key or value."""

    code = "config-invalid"


class PolicyError(DocumentError):
    """A policy has a wrong rule, or one of its own tests fails."""

    code = "policy-invalid"


class UsageError(EdgedError):
    """A command was called in a way it cannot be."""

    code = "usage"


# --- the publisher acts --------------------------------------------------------------------------------------------


class BundleError(EdgedError):
    """A bundle cannot be used as it is."""

    code = "bundle-invalid"


class ManifestError(DocumentError, BundleError):
    """A manifest, kit or recipe does not follow its schema."""

    code = "manifest-invalid"


class UnsafeModelError(BundleError):
    """A model file asks for something no model may do (external data, unknown operators, absurd sizes)."""

    code = "model-unsafe"


class SecretFoundError(BundleError):
    """A file of a bundle has something in it that looks like a secret."""

    code = "secret-found"


class ValidationFailedError(BundleError):
    """A model ran but its answers differ from the golden outputs, or it broke its budget."""

    code = "validation-failed"


class ShadowFailedError(BundleError):
    """A candidate did worse than the active version with the same requests."""

    code = "shadow-failed"


class IncompatibleError(BundleError):
    """No variant of a bundle fits this machine."""

    code = "bundle-incompatible"


class BelowFloorError(BundleError):
    """A version is lower than its publisher allows by now (``min_version``)."""

    code = "below-floor"


class TrustError(EdgedError):
    """Something fetched is not what was signed. Never retried with the same bytes."""

    code = "trust-failed"


class SignatureInvalidError(TrustError):
    """Metadata is not signed by enough of the keys that were trusted."""

    code = "signature-invalid"


class MetadataExpiredError(TrustError):
    """Signed metadata is older than its expiry date; the publisher has to sign again."""

    code = "metadata-expired"


class MetadataRollbackError(TrustError):
    """Metadata with a lower version than one already seen was offered."""

    code = "metadata-rollback"


class DigestMismatchError(TrustError):
    """Bytes do not hash to the digest that was signed for them."""

    code = "digest-mismatch"


# --- the network; worth retrying -----------------------------------------------------------------------------------


class FetchError(EdgedError):
    """Something could not be fetched this time."""

    code = "fetch-failed"


class HostUnreachableError(FetchError):
    """The repository's host did not answer."""

    code = "host-unreachable"


class NameUnresolvedError(HostUnreachableError):
    """The name of the repository's host has no address here."""

    code = "name-unresolved"


class TlsError(HostUnreachableError):
    """There is no secure connection with the repository's host, or somebody else answers in its place."""

    code = "tls-failed"


class PortalError(FetchError):
    """A page for people came in place of a file: a captive portal, a login page, or another web site."""

    code = "captive-portal"


class ProxyError(FetchError):
    """A proxy between here and the host wants to be asked otherwise, or does not reach the host."""

    code = "proxy-refused"


class FileMissingError(FetchError):
    """The host answered that it has no such file."""

    code = "file-missing"


class GateRefusedError(FetchError):
    """The egress gate does not allow the destination."""

    code = "egress-refused"


# --- the device ----------------------------------------------------------------------------------------------------


class StoreError(EdgedError):
    """The bundle store on disk cannot be read or written."""

    code = "store-failed"


class DiskFullError(StoreError):
    """Not enough free disk for what has to be written, with the configured reserve kept."""

    code = "disk-full"


class BackendError(EdgedError):
    """The runtime that executes models failed."""

    code = "backend-failed"


class ModelLoadError(BackendError):
    """The runtime could not load a model."""

    code = "model-load-failed"


class WorkerLostError(BackendError):
    """A worker process ended while it had work; the request is lost, the worker is replaced."""

    code = "worker-lost"


class DeadlineError(BackendError):
    """A request did not finish before its deadline."""

    code = "deadline-exceeded"


class UnavailableError(EdgedError):
    """The device cannot answer now and may later (loading, full queue, switched off)."""

    code = "unavailable"

    def __init__(self, message: str, *, hint: str = "", retry_after_s: int = 1, **facts: object) -> None:
        super().__init__(message, hint=hint, **facts)
        self.retry_after_s = retry_after_s


class DeferredError(UnavailableError):
    """A rule of the policy lets nothing run now. ``rule`` among the facts names it."""

    code = "deferred"


class PolicyLimitError(UnavailableError):
    """A rule of the policy lets no more requests begin now, whoever sends them. ``rule`` among the facts names it."""

    code = "policy-limited"


class ModelStoppedError(UnavailableError):
    """The publisher stopped this model; it answers again when that is lifted."""

    code = "model-stopped"


class OffloadError(UnavailableError):
    """The model's endpoint outside of this device gave no usable answer. ``trouble`` among the facts says which kind it is."""

    code = "offload-failed"


class NothingToDoError(EdgedError):
    """What was asked for is so already, or there is nothing to do it with."""

    code = "nothing-to-do"


class QuotaError(EdgedError):
    """The caller asks for more than it may; others are served. ``limit`` among the facts names the setting that was hit."""

    code = "quota-exceeded"

    def __init__(self, message: str, *, limit: str, hint: str = "", retry_after_s: int = 1, **facts: object) -> None:
        super().__init__(message, hint=hint, limit=limit, **facts)
        self.limit = limit
        self.retry_after_s = retry_after_s


class DaemonUnreachableError(EdgedError):
    """The daemon's socket does not answer."""

    code = "daemon-unreachable"


# --- the caller ----------------------------------------------------------------------------------------------------


class RequestError(EdgedError):
    """A request is not well formed; ``pointer`` names the place where it is JSON."""

    code = "request-invalid"

    def __init__(self, message: str, *, pointer: str = "", hint: str = "", **facts: object) -> None:
        super().__init__(message, hint=hint, **facts)
        self.pointer = pointer


class TensorError(RequestError):
    """A tensor has the wrong name, shape, datatype or number of bytes."""

    code = "tensor-invalid"


class BodyTooLargeError(RequestError):
    """A request body is larger than the configured limit."""

    code = "body-too-large"


class ModelUnknownError(RequestError):
    """No model of that name, or not that version of it, is here: on this device, or in this repository."""

    code = "model-unknown"


class FlagUnknownError(RequestError):
    """No feature flag of that name is in force on this device."""

    code = "flag-unknown"


class PathUnknownError(RequestError):
    """The daemon has nothing at this path of its API, or not on this socket."""

    code = "path-unknown"


class ModelChangedError(RequestError):
    """The model was replaced by one with other tensors than those the caller was told."""

    code = "model-changed"


class SequenceError(RequestError):
    """A sequence is not known (it was never begun, was idle too long, or its model was replaced), or there are too many."""

    code = "sequence-unknown"


class PoisonError(RequestError):
    """This very request ended two workers; it is not run again for a while."""

    code = "request-poisonous"


class NotPermittedError(EdgedError):
    """The caller's user or groups do not allow this."""

    code = "not-permitted"


class PolicyDeniedError(NotPermittedError):
    """A rule of the policy denies requests of this kind. ``rule`` among the facts names it."""

    code = "policy-denied"
