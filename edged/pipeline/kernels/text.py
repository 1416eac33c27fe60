"""What the steps of ``edged.pipeline.steps.text`` compute."""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from edged.errors import BundleError, TensorError
from edged.pipeline.kernels.base import Array, Arrays, Compile, Kernel, Resources, ScalableKernel, single_file
from edged.pipeline.steps.text import Bpe, CleanText, Tokenize, WordPiece, WordPieceVocabulary
from edged.pipeline.tokenizers import document
from edged.pipeline.tokenizers.tokenizer import Tokenizer, cut, tokenizer_of, tokenizer_of_vocabulary
from edged.pipeline.tokenizers.unicode import WHITE_SPACE, characters, lower, normalize_14, replace

Errors = Literal["strict", "replace"]
"""What becomes of bytes that are no UTF-8."""


def cleaner_of(step: CleanText) -> Callable[[str], str]:
    """Return what cleans a text as the step says, from its second part on."""
    parts: list[Callable[[str], str]] = []
    forms = [] if step.form == "none" else [partial(normalize_14, step.form)]
    if step.drop_controls:
        parts.append(replace(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+", ""))
    if step.drop_formats:
        parts.append(replace(f"[{characters('Cf')}]+", ""))
    parts += forms
    if step.strip_accents:
        parts += (
            partial(normalize_14, "NFD"),
            replace(f"[{characters('Mn')}]+", ""),
            partial(normalize_14, "NFC"),
        )
    if step.lowercase:
        parts.append(lower)
    parts += forms
    if step.white_space == "collapse":
        parts += (replace(f"[{WHITE_SPACE}]+", " "), lambda text: text.strip(" "))
    return lambda text: reduce(lambda changed, part: part(changed), parts, text)


def _clean_text(step: CleanText, _: Resources) -> Kernel:
    clean = cleaner_of(step)
    errors: Errors = "strict" if step.invalid == "refuse" else "replace"

    def kernel(arrays: Arrays) -> Arrays:
        output = np.empty(1, dtype=object)
        output[0] = clean(_text(arrays[step.input], "clean_text@1", step, errors=errors)).encode()
        return {step.output: output}

    return kernel


def _tokenizer_file(step: WordPiece | Bpe, resources: Resources) -> Kernel:
    op, model = ("bpe@1", document.Bpe) if isinstance(step, Bpe) else ("wordpiece@1", document.WordPiece)
    found = document.read_tokenizer(resources.file(op, step.file), step.file)
    if not isinstance(found.model, model):
        raise BundleError(
            f"{step.file}: /model/type: the step {op} has the model {model.__name__}, the file has another",
            hint="Use wordpiece@1 for WordPiece and bpe@1 for BPE.",
        )
    tokenizer = tokenizer_of(found, step.file)
    return ScalableKernel(step, lambda sized: _tokenize(sized, op, tokenizer))


def _vocabulary(step: WordPieceVocabulary, resources: Resources) -> Kernel:
    op = "wordpiece_vocabulary@1"
    tokenizer = tokenizer_of_vocabulary(
        resources.file(op, step.file), step.file, lowercase=step.lowercase, strip_accents=step.strip_accents
    )
    return ScalableKernel(step, lambda sized: _tokenize(sized, op, tokenizer))


def _tokenize(step: Tokenize, op: str, tokenizer: Tokenizer) -> Kernel:
    room = tokenizer.room(step.max_length)
    pad_id, pad_type = (0, 0) if step.pad == "none" else tokenizer.filling(step.pad_token)

    def kernel(arrays: Arrays) -> Arrays:
        tokens = tokenizer.tokens(_text(arrays[step.input], op, step))
        if step.truncate == "refuse":
            kept = cut(tokens, room + 1, side="right")
            if len(kept) > room:
                raise TensorError(f"step {op} takes texts of at most {room} tokens, {step.input} has more")
        else:
            kept = cut(tokens, room, side=step.truncate)
        row = tokenizer.row(kept)
        columns = (
            (step.ids, row.ids, pad_id),
            (step.attention_mask, row.mask, 0),
            (step.token_type_ids, row.types, pad_type),
        )
        return {name: _filled(values, step, fill) for name, values, fill in columns if name is not None}

    return kernel


def _filled(values: Sequence[int], step: Tokenize, fill: int) -> NDArray[np.int64]:
    """Return numbers as one row, filled up as the step says."""
    if step.pad == "none":
        return np.array([values], dtype=np.int64)
    row = np.full((1, step.max_length), fill, dtype=np.int64)
    start = 0 if step.pad == "right" else step.max_length - len(values)
    row[0, start : start + len(values)] = values
    return row


def _text(array: Array, op: str, step: CleanText | Tokenize, *, errors: Errors = "strict") -> str:
    """Return the one text of BYTES [1].

    Raises:
        TensorError: It is something else, has too many bytes, or is not UTF-8.
    """
    data = single_file(array, op, step.input)
    if len(data) > step.max_bytes:
        raise TensorError(f"step {op} takes at most {step.max_bytes} bytes, {step.input} has {len(data)}")
    try:
        return str(data, "utf-8", errors)
    except UnicodeDecodeError as exc:
        raise TensorError(f"step {op} takes UTF-8, byte {exc.start} of {step.input} is not") from exc


KERNELS: Final[dict[type, Compile]] = {
    CleanText: _clean_text,
    WordPiece: _tokenizer_file,
    WordPieceVocabulary: _vocabulary,
    Bpe: _tokenizer_file,
}
