"""What makes two requests the same question. Pure.

Two requests have the same answer if the same variant of the same bundle gets the same tensors, at the same scale, and the same outputs are
wanted. The steps before the model make the same of them whichever outputs are wanted, and whichever variant runs then, as long as it needs
the same tensors from there.

Whoever asks is part of it, too, unless the administrator says otherwise: how fast an answer comes would tell one app what another one has
asked.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from edged.pipeline.spec import TensorSpec
from edged.runtime.calls import Request

KEY_BYTES: Final = 20
"""Of a key: two different questions with one key are out of reach, also for somebody who looks for them (2**80 attempts)."""


class Question:
    """A request as far as it is the same as others.

    Args:
        request: Belongs to no sequence. Its inputs are read once, here.
        digest: Of the bundle's manifest.
        uid: Whose answers may be used; None is anybody's.
    """

    __slots__ = ("_contents", "_digest", "_outputs", "_scale", "_uid")

    def __init__(self, request: Request, *, digest: str, uid: int | None) -> None:
        self._digest, self._uid, self._scale, self._outputs = digest, uid, request.scale, tuple(request.outputs)
        heads = [(tensor.name, tensor.dtype, tensor.shape, memoryview(tensor.data).nbytes) for tensor in request.inputs]
        # It says where it ends, and how many bytes of each tensor follow: nothing else makes the same bytes.
        hashed = blake2b(msgspec.msgpack.encode(heads), digest_size=KEY_BYTES)
        for tensor in request.inputs:
            hashed.update(tensor.data)
        self._contents = hashed.digest()

    def result_key(self, variant: str) -> bytes:
        """Return the key of its answer by a variant."""
        return self._key("result", variant, self._outputs)

    def features_key(self, specs: Sequence[TensorSpec]) -> bytes:
        """Return the key of what the steps before the model make of it, for variants that need tensors of these types of them."""
        return self._key("features", [(spec.name, spec.dtype, spec.shape) for spec in specs])

    def _key(self, *of: object) -> bytes:
        said = msgspec.msgpack.encode((self._digest, self._uid, self._scale, self._contents, of))
        return blake2b(said, digest_size=KEY_BYTES).digest()
