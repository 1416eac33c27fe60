"""Golden cases of ``edged.pipeline.steps.files``."""

from edged.pipeline.steps.files import BytesWindow
from tests.golden.pipeline.vectors import case, texts

STEP = BytesWindow(input="content", output="window", begin=4, end=3, block=8, padding=256)

CASES = [
    case("short and without white space", STEP, {"content": texts(b"ab")}),
    case("white space on both sides of both blocks", STEP, {"content": texts(b" \t ab\x00c" + b"x" * 9 + b"de \n")}),
    case("an empty file", STEP, {"content": texts(b"")}),
]
