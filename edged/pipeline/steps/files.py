"""Steps on whole files."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps.base import Count, MisfitError, OneToOne, wanted


class BytesWindow(OneToOne, frozen=True, kw_only=True, tag="bytes_window@1"):
    """The first and last bytes of a file as one row of integers.

    ``input`` is BYTES [1]; ``output`` is INT32 [1, begin + end]. At most ``block`` bytes are read from either side. White space (as
    Python's ``bytes.strip``) is dropped from the start of the first block and from the end of the last one; what is left is cut to
    ``begin`` (its first bytes) and ``end`` (its last bytes); what is short is filled with ``padding``, after the first part and
    before the last part.
    """

    begin: Count
    end: Count
    block: Count
    padding: Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """INT32 [1, begin + end]."""
        file_of(known, self.input)
        return (TensorSpec(name=self.output, dtype="INT32", shape=(1, self.begin + self.end)),)


def file_of(known: Mapping[str, TensorSpec], name: str) -> TensorSpec:
    """Return the type of a tensor that is one file: BYTES [1].

    Raises:
        MisfitError: It is something else.
    """
    spec = wanted(known, name, "BYTES", rank=1)
    if spec.shape not in {(1,), (-1,)}:
        raise MisfitError("input", expected="BYTES [1]", found=f"{name}, which is {spec}")
    return spec
