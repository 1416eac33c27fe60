"""The named, versioned steps a bundle may put before and after its model, as data.

A step reads tensors by name and writes tensors by name. What a step computes is in ``edged.pipeline.ops``; the number after ``@``
changes whenever the same input could give a different output, and old numbers stay, so a bundle's answers never drift.
"""

from typing import Annotated

import msgspec

from edged.codec import Document

TensorName = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]


class BytesWindow(Document, frozen=True, kw_only=True, tag_field="op", tag="bytes_window@1"):
    """The first and last bytes of a file as one row of integers.

    ``input`` is BYTES [1]; ``output`` is INT32 [1, begin + end]. At most ``block`` bytes are read from either side. White space (as
    Python's ``bytes.strip``) is dropped from the start of the first block and from the end of the last one; what is left is cut to
    ``begin`` (its first bytes) and ``end`` (its last bytes); what is short is filled with ``padding``, after the first part and
    before the last part.
    """

    input: TensorName
    output: TensorName
    begin: Count
    end: Count
    block: Count
    padding: Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]


class Softmax(Document, frozen=True, kw_only=True, tag_field="op", tag="softmax@1"):
    """Exponentials of the last axis, divided by their sum; FP32 in and out, same shape."""

    input: TensorName
    output: TensorName


class TopK(Document, frozen=True, kw_only=True, tag_field="op", tag="top_k@1"):
    """The ``k`` largest values of the last axis, largest first; the smaller index first among equals.

    ``input`` is FP32 [..., n]; ``values`` is FP32 [..., k]; ``indices`` is INT64 [..., k].
    """

    input: TensorName
    values: TensorName
    indices: TensorName
    k: Count


class Labels(Document, frozen=True, kw_only=True, tag_field="op", tag="labels@1"):
    """The line of a text file for each index; INT64 in, BYTES out, same shape. ``file`` is UTF-8, one label a line."""

    input: TensorName
    output: TensorName
    file: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


PreStep = BytesWindow
PostStep = Softmax | TopK | Labels
Step = BytesWindow | Softmax | TopK | Labels
