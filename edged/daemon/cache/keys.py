"""What makes two requests the same question. Pure.

Two requests have the same answer if the same variant of the same bundle gets the same tensors, at the same scale, and the same outputs are
wanted. Whoever asks is part of it, too, unless the administrator says otherwise: how fast an answer comes would tell one app what another
one has asked.
"""

from hashlib import blake2b
from typing import Final

import msgspec

from edged.runtime.calls import Request

KEY_BYTES: Final = 20
"""Of a key: two different questions with one key are out of reach, also for somebody who looks for them (2**80 attempts)."""


def key_of(request: Request, *, digest: str, variant: str, uid: int | None) -> bytes:
    """Return the key of a question; its inputs are read once.

    Args:
        request: Belongs to no sequence.
        digest: Of the bundle's manifest.
        variant: That answers, by its id.
        uid: Whose answers may be used; None is anybody's.
    """
    heads = [(tensor.name, tensor.dtype, tensor.shape, memoryview(tensor.data).nbytes) for tensor in request.inputs]
    hashed = blake2b(digest_size=KEY_BYTES)
    # It says where it ends, and how many bytes of each tensor follow: nothing else makes the same bytes.
    said = msgspec.msgpack.encode((digest, variant, uid, request.scale, tuple(request.outputs), heads))
    hashed.update(said)
    for tensor in request.inputs:
        hashed.update(tensor.data)
    return hashed.digest()
