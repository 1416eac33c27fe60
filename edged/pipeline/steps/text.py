"""Steps on text: from the bytes that an app sends to clean text, and to the numbers of a language model's vocabulary."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import msgspec

from edged.pipeline.spec import TensorName, TensorSpec
from edged.pipeline.steps.base import Count, MisfitError, OneToOne, StepBase, StepPath, StepRole
from edged.pipeline.steps.files import file_of
from edged.pipeline.steps.scaling import Scaling

Length = Annotated[int, msgspec.Meta(ge=1, le=1 << 16)]


class CleanText(OneToOne, frozen=True, kw_only=True, tag="clean_text@1"):
    """One text as all texts should look. ``input`` and ``output`` are BYTES [1], UTF-8.

    What is done, in this order, each part if its key asks for it:

    1. More than ``max_bytes`` bytes are refused. What is no UTF-8 is refused, or each maximal subpart of it (Unicode 3.9, table 3-8)
       becomes U+FFFD.
    2. ``drop_controls``: characters of category Cc go, but for tab, line feed and carriage return.
    3. ``drop_formats``: characters of category Cf go; that takes joiners, too, which emoji and some scripts need.
    4. ``form``: the text is normalized.
    5. ``strip_accents``: canonically decomposed, without characters of category Mn, and canonically composed.
    6. ``lowercase``: each character by itself becomes its lower case (SpecialCasing.txt without conditions).
    7. ``form`` once more, for what the two steps before made.
    8. ``white_space`` collapse: each run of characters with the property White_Space becomes one space; none is left at either end.

    All properties are those of Unicode 14: to a character that is newer, nothing is done and nothing combines with it.
    """

    invalid: Literal["refuse", "replace"] = "refuse"
    form: Literal["none", "NFC", "NFD", "NFKC", "NFKD"] = "NFC"
    lowercase: bool = False
    strip_accents: bool = False
    drop_controls: bool = True
    drop_formats: bool = False
    white_space: Literal["keep", "collapse"] = "collapse"
    max_bytes: Count = 1 << 20

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """BYTES [1]."""
        file_of(known, self.input)
        return (TensorSpec(name=self.output, dtype="BYTES", shape=(1,)),)


class Tokenize(StepBase, frozen=True, kw_only=True):
    """What all tokenizers have: from one text to the ids of its tokens, and two rows of the same length if they are named.

    ``input`` is BYTES [1], UTF-8; what is no UTF-8, or has more than ``max_bytes`` bytes, is refused. ``ids`` is INT64 [1, n];
    ``attention_mask`` INT64 [1, n]: 1 for a token, 0 for what fills up; ``token_type_ids`` INT64 [1, n]: as the file's template says.
    With ``pad`` n is ``max_length``, else it is the number of tokens, at most ``max_length``.

    The text's tokens are cut on the side that ``truncate`` names until they and the special tokens around them are ``max_length``;
    ``refuse`` refuses a text that has more. ``pad`` names the side that is filled up: with ``pad_token`` and type 0, or if none is
    named, with id and type of the file's ``padding``, or else with ``[PAD]`` or ``<pad>`` and type 0. The file's own ``truncation`` and
    side of padding are not used. A special token that a text spells out becomes that token.

    With ``scaling``, ``max_length`` is smaller where the device's policy asks for less.

    ``version`` is for people: which tokenizer it is.
    """

    FILES: ClassVar[Mapping[str, StepRole]] = {"file": "tokenizer"}
    SIZES: ClassVar[Sequence[str]] = ("max_length",)

    input: TensorName
    ids: TensorName
    attention_mask: TensorName | None = None
    token_type_ids: TensorName | None = None
    file: StepPath
    max_length: Length
    truncate: Literal["right", "left", "refuse"] = "right"
    pad: Literal["none", "right", "left"] = "none"
    pad_token: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    max_bytes: Count = 1 << 20
    version: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None
    scaling: Scaling | None = None

    @property
    def reads(self) -> tuple[TensorName, ...]:
        """``input``."""
        return (self.input,)

    @property
    def writes(self) -> tuple[TensorName, ...]:
        """``ids``, and the others that are named."""
        return tuple(name for name in (self.ids, self.attention_mask, self.token_type_ids) if name is not None)

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """INT64 [1, max_length], or of any length without padding."""
        file_of(known, self.input)
        if self.pad == "none" and self.pad_token is not None:
            raise MisfitError("pad_token", expected="no token, as nothing is filled up", found=self.pad_token)
        if twice := [name for i, name in enumerate(self.writes) if name in self.writes[:i]]:
            raise MisfitError("ids", expected="tensors of different names", found=f"{twice[0]} twice")
        shape = (1, -1 if self.pad == "none" else self.max_length)
        return tuple(TensorSpec(name=name, dtype="INT64", shape=shape) for name in self.writes)


class WordPiece(Tokenize, frozen=True, kw_only=True, tag="wordpiece@1"):
    """``Tokenize`` with a ``tokenizer.json`` of Hugging Face whose model is WordPiece.

    The file is read strictly: ``edged/pipeline/tokenizers/document.py`` lists what may be in it, and anything else is an error. In order:
    added tokens that are not normalized are found in the text; what lies between is normalized; the other added tokens are found in
    it; what lies between them is divided into words; and each word becomes pieces: the longest beginning in the vocabulary, then, after
    the prefix of continuations, the longest beginning of the rest, and so on. A word with a rest that has none, or with too many
    characters, is the unknown token. Ids are those of ``tokenizers`` 0.23 for all text in characters of Unicode 14.
    """


class WordPieceVocabulary(Tokenize, frozen=True, kw_only=True, tag="wordpiece_vocabulary@1"):
    """``Tokenize`` as BERT does it, with a ``vocab.txt``: UTF-8, one token a line, the first with id 0.

    The same as ``wordpiece@1`` with a file of: BertNormalizer (clean_text, handle_chinese_chars, ``lowercase``, ``strip_accents``),
    BertPreTokenizer, WordPiece (``[UNK]``, ``##``, at most 100 characters a word), BertProcessing (``[CLS]``, ``[SEP]``), and these
    special tokens, ``[PAD]`` and, if it is there, ``[MASK]`` as added tokens that are not normalized.
    """

    lowercase: bool
    strip_accents: bool


class Bpe(Tokenize, frozen=True, kw_only=True, tag="bpe@1"):
    """``Tokenize`` with a ``tokenizer.json`` of Hugging Face whose model is BPE.

    As ``wordpiece@1``, but each word begins as the ids of its characters. Then of all neighbours that the file's ``merges`` have, the
    pair that comes first there becomes one, the leftmost among equals, until there is none. A character that the vocabulary lacks is
    its bytes (``byte_fallback``), or the unknown token (once for several in a row with ``fuse_unk``), or nothing if there is none;
    with ``ignore_merges`` a word that is in the vocabulary as a whole is that token.
    """
