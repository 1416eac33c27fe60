"""Every route of the API in one table: what it takes, what it gives, and how it can fail. Pure.

A test compares the table with the routes that are really there, and ``edged.api.openapi`` makes the description of the API from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from edged.api import schemas
from edged.api.documents import ModelList
from edged.api.oip import HEADER_LENGTH
from edged.api.stats import StatisticsDocument
from edged.api.status import Status
from edged.errors import (
    BodyTooLargeError,
    DeadlineError,
    EdgedError,
    ModelUnknownError,
    PoisonError,
    QuotaError,
    RequestError,
    SequenceError,
    TensorError,
    UnavailableError,
    WorkerLostError,
)

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"
TEXT: Final = "text/plain"

Bodies = Mapping[str, Any]
"""Media types and the types of what is in them; None is for bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path."""

    id: str
    summary: str
    path: str
    method: Literal["get", "post"] = "get"
    takes: Bodies = field(default_factory=dict)
    header: str = ""
    """A request header that matters."""
    answers: Bodies
    gives: tuple[str, ...] = ()
    """Headers of the answer that matter."""
    says_unready: bool = False
    """Answers come with the status 503, too; their body then says what is not ready."""
    raises: tuple[type[EdgedError], ...] = ()
    """Beside what every request can end with."""


def _of_model(operation: Operation) -> Iterator[Operation]:
    """Give an operation on whichever version of a model is active, and the same on a version that is named."""
    yield operation
    yield replace(
        operation,
        id=f"{operation.id}OfVersion",
        summary=f"{operation.summary}, if this version is active",
        path=operation.path.replace("{model}", "{model}/versions/{version}"),
    )


_MODEL: Final = "/v2/models/{model}"
_UNKNOWN: Final = (ModelUnknownError, UnavailableError)

_HEALTH: Final = (
    Operation(id="server", summary="What this server is", path="/v2", answers={JSON: schemas.ServerMetadata}),
    Operation(
        id="live", summary="Whether this process answers", path="/v2/health/live", answers={JSON: schemas.Liveness}
    ),
    Operation(
        id="ready",
        summary="Whether every active model answers",
        path="/v2/health/ready",
        answers={JSON: schemas.Readiness},
        says_unready=True,
    ),
)

_MODELS: Final = (
    *_of_model(
        Operation(
            id="model",
            summary="What a model takes and gives",
            path=_MODEL,
            answers={JSON: schemas.ModelMetadata},
            raises=_UNKNOWN,
        )
    ),
    *_of_model(
        Operation(
            id="modelReady",
            summary="Whether a model answers",
            path=f"{_MODEL}/ready",
            answers={JSON: schemas.ModelReadiness},
            says_unready=True,
            raises=_UNKNOWN,
        )
    ),
    *_of_model(
        Operation(
            id="modelConfig",
            summary="A model in the form of Triton's model configuration",
            path=f"{_MODEL}/config",
            answers={JSON: schemas.ModelConfig},
            raises=_UNKNOWN,
        )
    ),
    *_of_model(
        Operation(
            id="modelStats",
            summary="What a model did since the daemon started",
            path=f"{_MODEL}/stats",
            answers={JSON: StatisticsDocument},
            raises=_UNKNOWN,
        )
    ),
    Operation(
        id="stats",
        summary="What every model did since the daemon started",
        path="/v2/models/stats",
        answers={JSON: StatisticsDocument},
    ),
    Operation(
        id="index",
        summary="The models that the device knows",
        path="/v2/repository/index",
        method="post",
        takes={JSON: schemas.IndexRequest},
        answers={JSON: list[schemas.IndexEntry]},
        raises=(RequestError,),
    ),
)

_INFERENCE: Final = tuple(
    _of_model(
        Operation(
            id="infer",
            summary="Run a model",
            path=f"{_MODEL}/infer",
            method="post",
            takes={JSON: schemas.InferRequest, BYTES: None},
            header=HEADER_LENGTH,
            answers={JSON: schemas.InferResponse, BYTES: None},
            gives=(HEADER_LENGTH, "Edged-Model-Version", "Edged-Variant"),
            raises=(
                *_UNKNOWN,
                RequestError,
                TensorError,
                BodyTooLargeError,
                SequenceError,
                PoisonError,
                QuotaError,
                DeadlineError,
                WorkerLostError,
            ),
        )
    )
)

_DEVICE: Final = (
    Operation(id="status", summary="What the device does", path="/edged/v1/status", answers={JSON: Status}),
    Operation(id="models", summary="The models that answer", path="/edged/v1/models", answers={JSON: ModelList}),
    Operation(
        id="metrics", summary="What edged counted, in Prometheus' text format", path="/metrics", answers={TEXT: str}
    ),
    Operation(id="openapi", summary="This document", path="/openapi.json", answers={JSON: dict[str, Any]}),
)

OPERATIONS: Final[Sequence[Operation]] = (*_HEALTH, *_MODELS, *_INFERENCE, *_DEVICE)
"""Of both sockets. HEAD is there wherever GET is, and says the same without a body."""
