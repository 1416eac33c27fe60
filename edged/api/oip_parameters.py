"""The ``parameters`` objects of Open Inference Protocol requests: which are refused, and what those known here may hold. Pure.

The specification gives parameters to clients and extensions as open key-value pairs (and Triton's "parameters" extension passes
custom ones to models), so keys unknown here are ignored, as other servers ignore them. Three groups are refused because ignoring them
would answer another question than was asked: sequences, shared memory and classification, extensions that the server's metadata does
not list.
"""

from typing import Final

from edged.errors import RequestError

EXTENSIONS: Final = ("binary_tensor_data",)
"""What the server's metadata lists."""

Parameters = dict[str, bool | int | float | str]

_REFUSED: Final = frozenset(
    {
        "sequence_id",
        "sequence_start",
        "sequence_end",
        "shared_memory_region",
        "shared_memory_offset",
        "shared_memory_byte_size",
        "classification",
    }
)


def check_parameters(parameters: Parameters, pointer: str = "") -> None:
    """Refuse the parameters of extensions this server does not have.

    Args:
        parameters: Of a request, an input or an output.
        pointer: Where the object that has them is.

    Raises:
        RequestError: There is one.
    """
    if refused := sorted(_REFUSED & parameters.keys()):
        raise RequestError(
            f"Parameter {refused[0]} belongs to an extension this server does not have.",
            pointer=f"{pointer}/parameters/{refused[0]}",
            hint=f"Extensions here: {', '.join(EXTENSIONS)}.",
        )


def integer(parameters: Parameters, key: str, pointer: str = "") -> int:
    """Return a parameter that counts something; 0 when it is not there.

    Raises:
        RequestError: It is something else.
    """
    value = parameters.get(key, 0)
    # The type itself: True is an int to isinstance.
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise RequestError(
            f"Parameter {key} is an integer from 0, not {str(value)[:32]!r}.", pointer=f"{pointer}/parameters/{key}"
        )
    return value


def boolean(parameters: Parameters, key: str, pointer: str = "", *, default: bool) -> bool:
    """Return a parameter that is a claim.

    Raises:
        RequestError: It is something else.
    """
    value = parameters.get(key, default)
    if not isinstance(value, bool):
        raise RequestError(
            f"Parameter {key} is true or false, not {str(value)[:32]!r}.", pointer=f"{pointer}/parameters/{key}"
        )
    return value
