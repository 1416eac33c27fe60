"""What the post-processors of a ``tokenizer.json`` put around the ids of a text."""

from dataclasses import dataclass

from edged.pipeline.tokenizers.document import (
    BertProcessing,
    ByteLevel,
    Processor,
    Processors,
    RobertaProcessing,
    TemplateProcessing,
    unsupported,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Special tokens around a text: pairs of an id and its type."""

    before: tuple[tuple[int, int], ...] = ()
    type_id: int = 0
    """Of the text's own tokens."""
    after: tuple[tuple[int, int], ...] = ()

    @property
    def size(self) -> int:
        """How many tokens it adds."""
        return len(self.before) + len(self.after)


def template_of(document: Processor | None, path: str, pointer: str = "/post_processor") -> Template:
    """Return what a post-processor adds; None adds nothing.

    Args:
        document: The post-processor.
        path: Of its file, for errors.
        pointer: Of its place there.

    Raises:
        BundleError: It does not have the text exactly once, names an unknown token, or is one of several that add tokens.
    """
    match document:
        case None | ByteLevel():
            return Template()
        case BertProcessing() | RobertaProcessing():
            return Template(before=((document.cls[1], 0),), after=((document.sep[1], 0),))
        case TemplateProcessing():
            return _template(document, path, pointer)
        case Processors():
            parts = enumerate(document.processors)
            templates = [template_of(part, path, f"{pointer}/processors/{i}") for i, part in parts]
            adding = [template for template in templates if template != Template()]
            if len(adding) > 1:
                raise unsupported(path, f"{pointer}/processors", "expected at most one that adds tokens")
            return adding[0] if adding else Template()


def _template(document: TemplateProcessing, path: str, pointer: str) -> Template:
    around: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    type_ids: list[int] = []
    for i, piece in enumerate(document.single):
        where = f"{pointer}/single/{i}"
        if (token := piece.special_token) is not None and piece.sequence is None:
            if token.id not in document.special_tokens:
                raise unsupported(path, f"{where}/SpecialToken/id", f"expected one of special_tokens, got {token.id}")
            around[bool(type_ids)].extend((number, token.type_id) for number in document.special_tokens[token.id].ids)
        elif piece.special_token is None and piece.sequence is not None and piece.sequence.id == "A":
            type_ids.append(piece.sequence.type_id)
        else:
            raise unsupported(path, where, "expected a SpecialToken or the Sequence A")
    if len(type_ids) != 1:
        raise unsupported(path, f"{pointer}/single", f"expected the Sequence A once, got it {len(type_ids)} times")
    return Template(before=tuple(around[0]), type_id=type_ids[0], after=tuple(around[1]))
