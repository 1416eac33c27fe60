"""What bodies of the Open Inference Protocol are made of: the types that are read, written and described.

Names are those of the specification and of Triton's extensions. Every type refuses members it does not have, so what is described is
all there is; only ``parameters`` are open, as ``edged.api.oip.parameters`` says. Counts of requests have types of their own in
``edged.api.oip.statistics``, edged's own endpoints in ``edged.api.documents``. Pure.
"""

from typing import Annotated, Any, Final, Literal

import msgspec

from edged.api.oip.parameters import MAX_ID_LENGTH, Parameters
from edged.codec import Document
from edged.pipeline.spec import Datatype
from edged.runtime.calls import RequestClass

Shape = tuple[Annotated[int, msgspec.Meta(ge=0, le=1 << 48)], ...]
DataType = Annotated[str, msgspec.Meta(pattern=r"^TYPE_[A-Z0-9]+$(?!\n)")]
IndexState = Literal["READY", "LOADING", "UNAVAILABLE"]
SpecShape = tuple[Annotated[int, msgspec.Meta(ge=-1)], ...]

# What the parameters that are known may hold. As JSON Schema, because a struct would refuse the unknown ones or forget them.
_COUNT: Final = {"type": "integer", "minimum": 0, "maximum": (1 << 63) - 1}
_CLAIM: Final = {"type": "boolean"}
REQUEST_PARAMETERS: Final = {
    "timeout": _COUNT | {"description": "Microseconds until the answer is worth nothing; 0 leaves it to the server."},
    "priority": _COUNT | {"description": "1 is the most urgent; 0 is no wish."},
    "request_class": {
        "enum": [item.value for item in RequestClass],
        "description": "Whether somebody waits for the answer.",
    },
    "offload": _CLAIM
    | {
        "description": "The inputs may leave the device for the model's cloud endpoint, if there is one and the policy wants that."
    },
    "sequence_id": {
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": (1 << 64) - 1},
            {"type": "string", "maxLength": MAX_ID_LENGTH},
        ],
        "description": "Chosen by the caller, for models with a state; 0 and the empty text are no sequence.",
    },
    "sequence_start": _CLAIM | {"description": "Forget what the sequence had."},
    "sequence_end": _CLAIM | {"description": "Forget the sequence after this request."},
    "binary_data_output": _CLAIM | {"description": "Outputs that do not say otherwise come as bytes after the JSON."},
}
INPUT_PARAMETERS: Final = {
    "binary_data_size": _COUNT | {"description": "Bytes of this input after the JSON, in place of data."},
}
OUTPUT_PARAMETERS: Final = {"binary_data": _CLAIM | {"description": "This output comes as bytes after the JSON."}}


class InferInput(Document, frozen=True, kw_only=True):
    """An input: with its data, or with the number of its bytes after the JSON, which are in the order of the inputs."""

    name: str
    shape: Shape
    datatype: Datatype
    parameters: Annotated[Parameters, msgspec.Meta(extra_json_schema={"properties": INPUT_PARAMETERS})] = msgspec.field(
        default_factory=dict
    )
    data: Annotated[
        msgspec.Raw,
        msgspec.Meta(
            description="Flat, or nested as deep as the shape. BYTES as UTF-8 texts.",
            extra_json_schema={"type": "array"},
        ),
    ] = msgspec.field(default_factory=msgspec.Raw)


class RequestedOutput(Document, frozen=True, kw_only=True):
    """An output to give back."""

    name: str
    parameters: Annotated[Parameters, msgspec.Meta(extra_json_schema={"properties": OUTPUT_PARAMETERS})] = (
        msgspec.field(default_factory=dict)
    )


class InferRequest(Document, frozen=True, kw_only=True):
    """A request for an inference. Without outputs, all of them are asked for."""

    inputs: tuple[InferInput, ...]
    outputs: tuple[RequestedOutput, ...] = ()
    id: Annotated[str, msgspec.Meta(description="Comes back in the answer.")] = ""
    model_name: Annotated[str, msgspec.Meta(description="As in the path, where it is there at all.")] = ""
    """KServe's client says it twice."""
    parameters: Annotated[Parameters, msgspec.Meta(extra_json_schema={"properties": REQUEST_PARAMETERS})] = (
        msgspec.field(default_factory=dict)
    )


class InferOutput(Document, frozen=True, kw_only=True):
    """An output: with its data, flat, or with ``binary_data_size``, the number of its bytes after the JSON."""

    name: str
    datatype: Datatype
    shape: Shape
    parameters: Parameters | msgspec.UnsetType = msgspec.UNSET
    data: list[Any] | msgspec.UnsetType = msgspec.UNSET


class InferResponse(Document, frozen=True, kw_only=True):
    """The answer to a request for an inference.

    ``parameters`` has the ``variant`` of the model that gave it; ``fallback`` where something else answered in the model's place;
    otherwise ``decision``, with the text of the header Edged-Decision; ``offloaded`` (true) where the model's cloud endpoint answered;
    ``cached`` (true) where the answer was known already, and ``features_cached`` (true) where it was known what the steps before the model
    make of the inputs; ``scale`` where a rule asked for less than the full size: the share that was used.
    """

    model_name: str
    model_version: str
    id: str | msgspec.UnsetType = msgspec.UNSET
    parameters: Parameters
    outputs: tuple[InferOutput, ...]


class ServerMetadata(Document, frozen=True, kw_only=True):
    """What this server is, and which of Triton's extensions it has."""

    name: str
    version: str
    extensions: tuple[str, ...]


class Liveness(Document, frozen=True, kw_only=True):
    """Whether this process answers."""

    live: bool


class Readiness(Document, frozen=True, kw_only=True):
    """Whether every active model answers."""

    ready: bool
    live: bool


class ModelReadiness(Document, frozen=True, kw_only=True):
    """Whether one model answers."""

    name: str
    ready: bool


class TensorMetadata(Document, frozen=True, kw_only=True):
    """A tensor that a model takes or gives; -1 marks an axis of any size."""

    name: str
    datatype: Datatype
    shape: SpecShape


class ModelParameters(Document, frozen=True, kw_only=True):
    """What else there is to know of a model that can be asked for less than its full size."""

    least_scale: Annotated[
        float, msgspec.Meta(gt=0, lt=1, description="Smallest share of the full size that its inputs may have.")
    ]


class ModelMetadata(Document, frozen=True, kw_only=True):
    """What a model takes and gives."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]
    parameters: ModelParameters | msgspec.UnsetType = msgspec.UNSET


class ConfigTensor(Document, frozen=True, kw_only=True):
    """A tensor as Triton's model configuration names it."""

    name: str
    data_type: DataType
    dims: SpecShape


class SpecificVersions(Document, frozen=True, kw_only=True):
    """The versions that answer."""

    versions: tuple[str, ...]


class VersionPolicy(Document, frozen=True, kw_only=True):
    """Which versions answer: those that are named."""

    specific: SpecificVersions


class ConfigParameter(Document, frozen=True, kw_only=True):
    """A value of a model's configuration."""

    string_value: str


class ConfigState(Document, frozen=True, kw_only=True):
    """An input that the server fills in within a sequence."""

    input_name: str
    data_type: DataType
    dims: SpecShape


class SequenceBatching(Document, frozen=True, kw_only=True):
    """How sequences are served."""

    state: tuple[ConfigState, ...]


class ModelConfig(Document, frozen=True, kw_only=True):
    """A model in the form of Triton's model configuration extension, which load generators read."""

    name: str
    platform: str
    backend: str
    version_policy: VersionPolicy
    max_batch_size: Annotated[int, msgspec.Meta(ge=0)]
    input: tuple[ConfigTensor, ...]
    output: tuple[ConfigTensor, ...]
    sequence_batching: SequenceBatching | msgspec.UnsetType = msgspec.UNSET
    parameters: dict[str, ConfigParameter]


class IndexRequest(Document, frozen=True, kw_only=True):
    """Which models to list."""

    ready: Annotated[bool, msgspec.Meta(description="Only those that answer.")] = False


class IndexEntry(Document, frozen=True, kw_only=True):
    """A model that the device knows."""

    name: str
    version: str
    state: IndexState
    reason: str
