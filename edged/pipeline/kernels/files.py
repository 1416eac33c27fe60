"""What the steps of ``edged.pipeline.steps.files`` compute."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.pipeline.kernels.base import Compile, Kernel, Resources, single_file
from edged.pipeline.steps.files import BytesWindow

# What bytes.strip() drops; written out because answers must not follow the interpreter's idea of it.
WHITE_SPACE: Final = b" \t\n\r\x0b\x0c"


def bytes_window(data: bytes, step: BytesWindow) -> NDArray[np.int32]:
    """Return the first and last bytes of some data as INT32 [1, begin + end]."""
    first = data[: step.block].lstrip(WHITE_SPACE)[: step.begin]
    last = data[max(len(data) - step.block, 0) :].rstrip(WHITE_SPACE)
    last = last[max(len(last) - step.end, 0) :]
    window = np.full((1, step.begin + step.end), step.padding, dtype=np.int32)
    window[0, : len(first)] = np.frombuffer(first, dtype=np.uint8)
    window[0, step.begin + step.end - len(last) :] = np.frombuffer(last, dtype=np.uint8)
    return window


def _bytes_window(step: BytesWindow, _: Resources) -> Kernel:
    return lambda arrays: {
        step.output: bytes_window(bytes(single_file(arrays[step.input], "bytes_window@1", step.input)), step)
    }


KERNELS: Final[dict[type, Compile]] = {BytesWindow: _bytes_window}
