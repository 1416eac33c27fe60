"""Golden cases of ``edged.pipeline.steps.sequence``."""

import numpy as np

from edged.pipeline.steps.sequence import CtcDecode
from tests.golden.pipeline.vectors import Tolerance, case

TOLERANCES = {"ctc_decode@1": Tolerance(relative=1e-6)}
"""Of the confidence; the text is the same everywhere."""

FILES = {"alphabet.txt": "-\na\nb\n \nß\n".encode()}
# a a - a, b, a space, a moment between b and ß, ß
CLASSES = [1, 1, 0, 1, 2, 3, 4]
SHARES = np.full((7, 5), 0.05, dtype=np.float32)
SHARES[range(7), CLASSES] = [0.8, 0.9, 0.6, 0.5, 0.7, 0.95, 0.4]
SHARES[6, 2] = 0.4


def decode(**keys):
    return CtcDecode(input="scores", output="text", file="alphabet.txt", **keys)


CASES = [
    case("text alone", decode(), {"scores": SHARES}, files=FILES),
    case("mean of probabilities", decode(confidence="sure"), {"scores": SHARES[np.newaxis]}, files=FILES),
    case(
        "least of logits",
        decode(scores="logits", confidence="sure", of="min"),
        {"scores": 5 * SHARES},
        files=FILES,
    ),
    case(
        "logarithms, and a blank elsewhere",
        decode(scores="log_probabilities", blank=4, confidence="sure"),
        {"scores": np.log(SHARES)},
        files=FILES,
    ),
    case("nothing but blanks", decode(confidence="sure"), {"scores": SHARES[2:3]}, files=FILES),
    case("no moments", decode(confidence="sure"), {"scores": SHARES[:0]}, files=FILES),
    case("NaN", decode(confidence="sure"), {"scores": np.full((2, 5), np.nan, dtype=np.float32)}, files=FILES),
]
