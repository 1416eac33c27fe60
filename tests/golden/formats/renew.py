"""Makes ``tiny.mlpackage`` anew: a model of one operator, written by Core ML's own tools (``pip install coremltools``, 9.0 here)."""

import sys
from pathlib import Path

import coremltools
from coremltools.converters.mil import Builder


@Builder.program(input_specs=[Builder.TensorSpec(shape=(1, 4)), Builder.TensorSpec(shape=(2,))])
def program(x, y):
    return Builder.relu(x=x, name="out")


if __name__ == "__main__":
    package = coremltools.convert(program, convert_to="mlprogram")
    package.save(str(Path(sys.argv[0]).parent / "tiny.mlpackage"))
