"""What the files of a model in any format are, and which tensors it takes and gives as far as they say so themselves.

Only ONNX is loaded by its runtime. The others are alternates, which this machine may have no runtime for: their files are looked at,
as little as it takes to tell a file of another kind and to read the names, datatypes and shapes of tensors.
"""

from edged.publish.formats.describe import describe
from edged.publish.formats.described import Described, ModelFile

__all__ = ["Described", "ModelFile", "describe"]
