"""Every route of the API in one table: what it takes, what it gives, and how it can fail. Pure.

A test compares the table with the routes that are really there, and ``edged.api.description.openapi`` makes the description of the API
from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from edged.api.documents.accuracy import ACCURACY_PATH, AccuracyHint, AccuracyTaken
from edged.api.documents.budget import BUDGET_PATH, BudgetDocument
from edged.api.documents.context import CONTEXT_PATH, ContextDocument
from edged.api.documents.decisions import DECISIONS_PATH, DecisionsDocument
from edged.api.documents.events import CONTENT_TYPE as EVENT_STREAM
from edged.api.documents.events import EVENTS_PATH, LAST_EVENT_ID
from edged.api.documents.flags import FLAGS_PATH, FlagDocument, FlagsDocument
from edged.api.documents.models import ModelList
from edged.api.documents.policy import (
    CLEAR_PATH,
    EXPLAIN_PATH,
    OVERRIDE_PATH,
    POLICY_PATH,
    ClearRequest,
    ExplainRequest,
    ExplanationDocument,
    OverrideRequest,
    OverridesDocument,
    OverrideStatus,
    PolicyDocument,
)
from edged.api.documents.status import STATUS_PATH, Status
from edged.api.documents.updates import APPLY_PATH, HISTORY_PATH, ROLLBACK_PATH, Apply, Rollback, Switched
from edged.api.oip import schemas
from edged.api.oip.decision_summary import DECISION
from edged.api.oip.infer import FALLBACK
from edged.api.oip.request import HEADER_LENGTH
from edged.api.oip.statistics import StatisticsDocument
from edged.errors import (
    BodyTooLargeError,
    DeadlineError,
    DeferredError,
    EdgedError,
    FlagUnknownError,
    ModelStoppedError,
    ModelUnknownError,
    NothingToDoError,
    NotPermittedError,
    PoisonError,
    PolicyDeniedError,
    QuotaError,
    RequestError,
    SequenceError,
    StoreError,
    TensorError,
    UnavailableError,
    WorkerLostError,
)
from edged.store.history import History

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
    query: tuple[str, ...] = ()
    """Parameters of the query, by their names in ``edged.api.description.openapi``."""
    is_for_admins: bool = False
    """Only the administrators' socket has it."""
    answers: Bodies
    gives: tuple[str, ...] = ()
    """Headers of the answer that matter."""
    says_unchanged: bool = False
    """Answered 304 when the caller's If-None-Match has the ETag of what it would get."""
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
            gives=(HEADER_LENGTH, "Edged-Model-Version", "Edged-Variant", FALLBACK, DECISION),
            raises=(
                *_UNKNOWN,
                ModelStoppedError,
                DeferredError,
                PolicyDeniedError,
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
    Operation(id="status", summary="What the device does", path=STATUS_PATH, answers={JSON: Status}),
    Operation(id="models", summary="The models that answer", path="/edged/v1/models", answers={JSON: ModelList}),
    Operation(
        id="decisions",
        summary="What policy decides about requests, and what of that has changed lately",
        path=DECISIONS_PATH,
        answers={JSON: DecisionsDocument},
    ),
    Operation(
        id="flags",
        summary="The feature flags of the fleet, with their values on this device",
        path=FLAGS_PATH,
        header="If-None-Match",
        answers={JSON: FlagsDocument},
        gives=("ETag",),
        says_unchanged=True,
    ),
    Operation(
        id="flag",
        summary="One feature flag",
        path=f"{FLAGS_PATH}/{{flag}}",
        header="If-None-Match",
        answers={JSON: FlagDocument},
        gives=("ETag",),
        says_unchanged=True,
        raises=(FlagUnknownError,),
    ),
    Operation(
        id="context",
        summary="What the device knows of itself, as policies are judged by it",
        path=CONTEXT_PATH,
        answers={JSON: ContextDocument},
    ),
    Operation(
        id="budget",
        summary="Bytes, energy and thermal levels of the last days, by model",
        path=BUDGET_PATH,
        answers={JSON: BudgetDocument},
    ),
    Operation(
        id="events",
        summary="What happens on the device as it happens, as server-sent events",
        path=EVENTS_PATH,
        query=("types", "follow"),
        header=LAST_EVENT_ID,
        answers={EVENT_STREAM: str},
        raises=(RequestError, QuotaError),
    ),
    Operation(
        id="accuracy",
        summary="Say how a model's answers do, for policies that ask about it",
        path=ACCURACY_PATH,
        method="post",
        takes={JSON: AccuracyHint},
        answers={JSON: AccuracyTaken},
        raises=(*_UNKNOWN, ModelStoppedError, RequestError),
    ),
    Operation(
        id="policy",
        summary="The rules that decide about requests, and what they decide now",
        path=POLICY_PATH,
        answers={JSON: PolicyDocument},
    ),
    Operation(
        id="explainPolicy",
        summary="What would be decided if something were otherwise, and why",
        path=EXPLAIN_PATH,
        method="post",
        takes={JSON: ExplainRequest},
        answers={JSON: ExplanationDocument},
        raises=(RequestError, ModelUnknownError),
    ),
    Operation(
        id="metrics", summary="What edged counted, in Prometheus' text format", path="/metrics", answers={TEXT: str}
    ),
    Operation(id="openapi", summary="This document", path="/openapi.json", answers={JSON: dict[str, Any]}),
)

_STEERING: Final = (
    Operation(
        id="history",
        summary="What happened to models, newest first",
        path=HISTORY_PATH,
        query=("of", "limit"),
        is_for_admins=True,
        answers={JSON: History},
        raises=(RequestError,),
    ),
    Operation(
        id="rollback",
        summary="Turn a model's active version down and go back to the one before",
        path=ROLLBACK_PATH,
        method="post",
        is_for_admins=True,
        takes={JSON: Rollback},
        answers={JSON: Switched},
        raises=(RequestError, ModelUnknownError, NothingToDoError, StoreError),
    ),
    Operation(
        id="apply",
        summary="Let a model's candidate go on at once",
        path=APPLY_PATH,
        method="post",
        is_for_admins=True,
        takes={JSON: Apply},
        answers={JSON: Switched},
        raises=(RequestError, ModelUnknownError, NothingToDoError, NotPermittedError, StoreError),
    ),
    Operation(
        id="overridePolicy",
        summary="Decide about a model in the policy's place, for a while",
        path=OVERRIDE_PATH,
        method="post",
        is_for_admins=True,
        takes={JSON: OverrideRequest},
        answers={JSON: OverrideStatus},
        raises=(RequestError, ModelUnknownError, StoreError),
    ),
    Operation(
        id="clearPolicyOverrides",
        summary="End overrides of the policy before their time",
        path=CLEAR_PATH,
        method="post",
        is_for_admins=True,
        takes={JSON: ClearRequest},
        answers={JSON: OverridesDocument},
        raises=(RequestError, NothingToDoError, StoreError),
    ),
)

OPERATIONS: Final[Sequence[Operation]] = (*_HEALTH, *_MODELS, *_INFERENCE, *_DEVICE, *_STEERING)
"""Of both sockets, but for those that are only for administrators. HEAD is there wherever GET is, and says the same without a body."""
