"""What edged's errors are among the statuses of HTTP: one table, for every way in which a request can come."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from edged import errors
from edged.errors import EdgedError

STATUSES: Final[Mapping[type[EdgedError], HTTPStatus]] = {
    EdgedError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.DocumentError: HTTPStatus.INTERNAL_SERVER_ERROR,
    # The operator acts.
    errors.ConfigError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.PolicyError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UsageError: HTTPStatus.BAD_REQUEST,
    # The publisher acts.
    errors.BundleError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ManifestError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UnsafeModelError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.SecretFoundError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ValidationFailedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ShadowFailedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.IncompatibleError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.BelowFloorError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TrustError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.SignatureInvalidError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.MetadataExpiredError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.MetadataRollbackError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.DigestMismatchError: HTTPStatus.UNPROCESSABLE_ENTITY,
    # The network.
    errors.FetchError: HTTPStatus.BAD_GATEWAY,
    errors.HostUnreachableError: HTTPStatus.BAD_GATEWAY,
    errors.NameUnresolvedError: HTTPStatus.BAD_GATEWAY,
    errors.TlsError: HTTPStatus.BAD_GATEWAY,
    errors.PortalError: HTTPStatus.BAD_GATEWAY,
    errors.ProxyError: HTTPStatus.BAD_GATEWAY,
    errors.FileMissingError: HTTPStatus.BAD_GATEWAY,
    errors.GateRefusedError: HTTPStatus.BAD_GATEWAY,
    # The device.
    errors.StoreError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.DiskFullError: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.BackendError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.ModelLoadError: HTTPStatus.INTERNAL_SERVER_ERROR,
    # Not 503: a request that ends workers is not to be sent again by a client that obeys Retry-After.
    errors.WorkerLostError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.DeadlineError: HTTPStatus.GATEWAY_TIMEOUT,
    errors.UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DeferredError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.PolicyLimitError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ModelStoppedError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.OffloadError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.NothingToDoError: HTTPStatus.CONFLICT,
    errors.QuotaError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.DaemonUnreachableError: HTTPStatus.BAD_GATEWAY,
    # The caller.
    errors.RequestError: HTTPStatus.BAD_REQUEST,
    errors.TensorError: HTTPStatus.BAD_REQUEST,
    errors.BodyTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.ModelUnknownError: HTTPStatus.NOT_FOUND,
    errors.FlagUnknownError: HTTPStatus.NOT_FOUND,
    errors.PathUnknownError: HTTPStatus.NOT_FOUND,
    errors.ModelChangedError: HTTPStatus.CONFLICT,
    errors.SequenceError: HTTPStatus.CONFLICT,
    errors.PoisonError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotPermittedError: HTTPStatus.FORBIDDEN,
    errors.PolicyDeniedError: HTTPStatus.FORBIDDEN,
}


def status_of(error: EdgedError) -> HTTPStatus:
    """Return the status of an error: that of the nearest class in its method resolution order."""
    return next(STATUSES[cls] for cls in type(error).__mro__ if cls in STATUSES)
