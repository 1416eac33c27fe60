"""The fast path's protocol: a binary one on a socket of its own, about tensors in memory that the app shares.

docs/tensor-socket.md specifies it. Nothing but the standard library is imported, so that apps can use it without what edged needs.
"""

from edged.tensor_socket.layout import ProtocolError, VersionError
from edged.tensor_socket.messages import (
    Datatype,
    Error,
    Infer,
    Kind,
    Notice,
    Open,
    Opened,
    Placed,
    Result,
    Room,
    TensorEntry,
)
from edged.tensor_socket.reading import decode_to_client, decode_to_server
from edged.tensor_socket.writing import encode

__all__ = [
    "Datatype",
    "Error",
    "Infer",
    "Kind",
    "Notice",
    "Open",
    "Opened",
    "Placed",
    "ProtocolError",
    "Result",
    "Room",
    "TensorEntry",
    "VersionError",
    "decode_to_client",
    "decode_to_server",
    "encode",
]
