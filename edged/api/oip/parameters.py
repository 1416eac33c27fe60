"""The ``parameters`` objects of Open Inference Protocol requests: which are refused, and what those known here may hold. Pure.

The specification gives parameters to clients and extensions as open key-value pairs (and Triton's "parameters" extension passes
custom ones to models), so keys unknown here are ignored, as other servers ignore them. Two groups are refused because ignoring them
would answer another question than was asked: shared memory and classification, extensions that the server's metadata does not list.

Parameters of a request that edged acts on:

- ``timeout``, microseconds, and ``priority``, 1 for the most urgent: Triton's schedule policy extension; 0 is no wish in both;
- ``request_class``, ``interactive`` or ``background``: edged's own;
- ``offload``, true where the inputs may leave the device for the model's cloud endpoint, if the device's policy wants that: likewise;
- ``cache``, false where neither this request may be answered with what is known already, nor another one with its answer: likewise;
- ``sequence_id``, ``sequence_start``, ``sequence_end``: Triton's sequence extension, for models with a state. An identifier of 0 or
  of no characters means no sequence, which is what clients send that have none.
"""

from dataclasses import dataclass
from typing import Final

from edged.errors import RequestError
from edged.runtime.calls import RequestClass, SequenceStep

EXTENSIONS: Final = ("binary_tensor_data", "model_configuration", "schedule_policy", "sequence", "statistics")
"""What the server's metadata lists, by Triton's names; only what is here in full."""
MAX_ID_LENGTH: Final = 128
"""Most characters of a sequence's identifier."""

Parameters = dict[str, bool | int | float | str]

_REFUSED: Final = frozenset(
    {"shared_memory_region", "shared_memory_offset", "shared_memory_byte_size", "classification"}
)
_CLASSES: Final = {item.value: item for item in RequestClass}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the parameters of a request ask for."""

    is_binary: bool = False
    """Outputs that do not say otherwise are wanted as bytes."""
    timeout_s: float | None = None
    """None leaves it to the server."""
    priority: int = 0
    """1 is the most urgent; 0 is no wish."""
    request_class: RequestClass = RequestClass.INTERACTIVE
    sequence: SequenceStep | None = None
    has_consent: bool = False
    """The inputs may leave the device."""
    may_cache: bool = True
    """An answer may be one that is known already."""


NO_WISHES: Final = Wishes()
_BINARY: Final = Wishes(is_binary=True)


def read_wishes(parameters: Parameters, *, has_state: bool) -> Wishes:
    """Read the parameters of a request.

    Args:
        parameters: Of the request itself.
        has_state: The model keeps a state between the requests of a sequence.

    Raises:
        RequestError: One is refused, or does not hold what it should.
    """
    if not parameters:
        return NO_WISHES
    check_parameters(parameters)
    is_binary = boolean(parameters, "binary_data_output", default=False)
    if len(parameters) == 1 and "binary_data_output" in parameters:  # what most clients send
        return _BINARY if is_binary else NO_WISHES
    timeout_us = integer(parameters, "timeout")
    return Wishes(
        is_binary=is_binary,
        timeout_s=timeout_us / 1e6 if timeout_us else None,
        priority=integer(parameters, "priority"),
        request_class=_request_class(parameters),
        sequence=_sequence(parameters, has_state=has_state),
        has_consent=boolean(parameters, "offload", default=False),
        may_cache=boolean(parameters, "cache", default=True),
    )


def check_parameters(parameters: Parameters, pointer: str = "") -> None:
    """Refuse the parameters of extensions this server does not have.

    Args:
        parameters: Of a request, an input or an output.
        pointer: Where the object that has them is.

    Raises:
        RequestError: There is one.
    """
    if not _REFUSED.isdisjoint(parameters):
        refused = min(_REFUSED & parameters.keys())
        raise RequestError(
            f"Parameter {refused} belongs to an extension this server does not have.",
            pointer=f"{pointer}/parameters/{refused}",
            hint=f"Extensions here: {', '.join(EXTENSIONS)}.",
        )


def integer(parameters: Parameters, key: str, pointer: str = "") -> int:
    """Return a parameter that counts something; 0 when it is not there.

    Raises:
        RequestError: It is something else.
    """
    value = parameters.get(key, 0)
    whole = _whole(value)
    if whole is None or not 0 <= whole < 1 << 63:
        raise _not(key, "an integer from 0", value, pointer)
    return whole


def boolean(parameters: Parameters, key: str, pointer: str = "", *, default: bool) -> bool:
    """Return a parameter that is a claim.

    Raises:
        RequestError: It is something else.
    """
    value = parameters.get(key, default)
    if not isinstance(value, bool):
        raise _not(key, "true or false", value, pointer)
    return value


def _request_class(parameters: Parameters) -> RequestClass:
    value = parameters.get("request_class", RequestClass.INTERACTIVE.value)
    known = _CLASSES.get(value) if isinstance(value, str) else None
    if known is None:
        raise _not("request_class", " or ".join(_CLASSES), value)
    return known


def _sequence(parameters: Parameters, *, has_state: bool) -> SequenceStep | None:
    sequence_id = _sequence_id(parameters)
    is_start = boolean(parameters, "sequence_start", default=False)
    is_end = boolean(parameters, "sequence_end", default=False)
    if sequence_id is None:
        if is_start or is_end:
            key = "sequence_start" if is_start else "sequence_end"
            raise RequestError(
                f"Parameter {key} is about a sequence, and the request names none.",
                pointer=f"/parameters/{key}",
                hint="sequence_id names it.",
            )
        return None
    if not has_state:
        raise RequestError(
            "This model keeps no state between requests, so it takes no sequences.",
            pointer="/parameters/sequence_id",
            hint="Leave sequence_id, sequence_start and sequence_end out.",
        )
    return SequenceStep(id=sequence_id, is_start=is_start, is_end=is_end)


def _sequence_id(parameters: Parameters) -> int | str | None:
    value = parameters.get("sequence_id", 0)
    if isinstance(value, str) and len(value) <= MAX_ID_LENGTH:
        return value or None
    whole = _whole(value)
    # 64 bits without a sign, as Triton has it.
    if whole is not None and 0 <= whole < 1 << 64:
        return whole or None
    raise _not("sequence_id", f"an integer from 0 or a text of at most {MAX_ID_LENGTH} characters", value)


def _whole(value: object) -> int | None:
    """Return an integer, also one that is written like 1.0, since JSON has one kind of number; None for anything else."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    # The type itself: True is an int to isinstance.
    return value if type(value) is int else None


def _not(key: str, what: str, value: object, pointer: str = "") -> RequestError:
    return RequestError(f"Parameter {key} is {what}, not {str(value)[:32]!r}.", pointer=f"{pointer}/parameters/{key}")
