"""Scans the files of a bundle for secrets, in bounded memory.

1. What is scanned: the manifest, and every file it lists; a file that is not listed does not leave the publisher's machine with the bundle.
2. A file is text when its beginning is UTF-8 without control characters, or marked as UTF-16. Text is searched for every rule and for
   what looks random; in all other files only runs of printable characters are searched, for the certain forms. So the weights of a model
   cost little time and their digits never look random.
3. Archives are looked into, one level.
4. Digests that the manifest itself names are expected wherever they stand. A signature is random by its nature: only certain forms
   count there.
"""

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec import to_builtins

from edged.bundle.manifest import MANIFEST_NAME, Manifest
from edged.errors import BundleError, SecretFoundError
from edged.files import hash_file
from edged.ids import Digest
from edged.publish.secrets.archives import ClosedArchiveError, Read, is_archive, open_members
from edged.publish.secrets.finding import Finding
from edged.publish.secrets.randomness import entropy, find_random
from edged.publish.secrets.rules import MAX_MATCH_BYTES, RULES

Report = Callable[[str], None]
BLOCK_BYTES: Final = 1 << 20
OVERLAP_BYTES: Final = 2 * MAX_MATCH_BYTES
MAX_FINDINGS: Final = 1000
"""Of one bundle; a scan ends there."""
SHOWN_FINDINGS: Final = 20
"""In the text of an error."""
MAX_PREFIX: Final = 40

_TEXT_PROBE_BYTES: Final = 1 << 16
_MIN_RUN: Final = 16
_ASCII: Final = bytes(c if c < 0x80 else 0x3F for c in range(256))
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_CONTROLS: Final = bytes(c for c in range(32) if c not in b"\t\n\r\f\x1b") + b"\x7f"
_PRINTABLE: Final = bytes(1 if 32 <= c < 127 or c in b"\t\n\r" else 0 for c in range(256))
_HINT: Final = (
    "Take it out, and change the secret if it ever left this machine. If it is none, say so: --allow-secret FINGERPRINT=REASON, with the "
    "fingerprint in brackets."
)


@dataclass(frozen=True, slots=True)
class _Hit:
    """A match in a window of a file."""

    rule: str
    what: str
    start: int
    end: int
    secret_start: int
    secret_end: int


def scan_directory(directory: Path, manifest: Manifest) -> list[Finding]:
    """Look for secrets in the files of a bundle.

    Args:
        directory: Holds the manifest and the files it lists.
        manifest: Of the bundle.

    Returns:
        What was found, by file and place; not more than ``MAX_FINDINGS``.

    Raises:
        BundleError: A file cannot be read.
    """
    known = frozenset(_digests(to_builtins(manifest)))
    digest, _ = hash_file(directory / MANIFEST_NAME)
    files = [(MANIFEST_NAME, digest, False)]
    files += [(entry.path, entry.digest, entry.role == "signature") for entry in manifest.files_for(manifest.variants)]
    found = itertools.chain.from_iterable(
        _scan_file(directory, path, digest, known, is_signature=is_signature)
        for path, digest, is_signature in sorted(files)
    )
    return list(itertools.islice(found, MAX_FINDINGS))


def refuse_secrets(directory: Path, manifest: Manifest, *, report: Report, allowed: Mapping[str, str]) -> None:
    """Refuse a bundle in which something looks like a secret.

    Args:
        directory: Holds the manifest and the files it lists.
        manifest: Of the bundle.
        report: Told one line for each finding that is allowed.
        allowed: Reasons by the fingerprints of findings that are no secrets.

    Raises:
        SecretFoundError: With all findings that are not allowed.
        BundleError: A file cannot be read, or a fingerprint is of no finding.
    """
    name = f"{manifest.name} {manifest.version}"
    judge(scan_directory(directory, manifest), name=name, report=report, allowed=allowed)


def judge(findings: Sequence[Finding], *, name: str, report: Report, allowed: Mapping[str, str]) -> None:
    """Accept findings when every one of them is allowed, and everything that is allowed was found.

    Args:
        findings: Of a scan.
        name: The bundle's, for errors.
        report: As for ``refuse_secrets``.
        allowed: As for ``refuse_secrets``.

    Raises:
        SecretFoundError: With all findings that are not allowed.
        BundleError: A fingerprint is of no finding.
    """
    if refused := [f"{finding} [{finding.fingerprint}]" for finding in findings if finding.fingerprint not in allowed]:
        more = f"; and {len(refused) - SHOWN_FINDINGS} more" if len(refused) > SHOWN_FINDINGS else ""
        what = "a secret" if len(refused) == 1 else f"{len(refused)} secrets"
        raise SecretFoundError(
            f"{name} has what looks like {what}: {'; '.join(refused[:SHOWN_FINDINGS])}{more}",
            hint=_HINT,
            findings=refused,
        )
    if idle := sorted(set(allowed) - {finding.fingerprint for finding in findings}):
        raise BundleError(
            f"{', '.join(idle)}: allowed, but no finding has this fingerprint",
            hint="The file has changed, or the finding is gone: look again with edge-publish bundle scan.",
        )
    for finding in findings:
        report(f"allowed, {allowed[finding.fingerprint]}: {finding}")


def _digests(value: object, key: str = "") -> Iterator[bytes]:
    """Go through the digests a manifest names."""
    match value:
        case dict():
            for name, child in value.items():
                yield from _digests(child, name)
        case list() | tuple():
            for child in value:
                yield from _digests(child, key)
        case str() if key.endswith("sha256") or key in {"index", "made_from"}:
            yield value.encode()
        case _:
            pass


def _scan_file(
    directory: Path, path: str, digest: Digest, known: Collection[bytes], *, is_signature: bool
) -> Iterator[Finding]:
    source = directory / path
    try:
        with source.open("rb") as file:
            start = file.read(_MIN_RUN)
            if not is_archive(start):
                file.seek(0)
                width = 2 if start.startswith(_UTF_16) else 1
                read = _low_bytes(file.read, begin=start[:2] == b"\xfe\xff") if width == 2 else file.read
                yield from _scan_stream(read, path, digest, known, is_signature=is_signature, width=width)
                return
    except OSError as exc:
        raise BundleError(f"cannot read {source}: {exc.strerror}", hint="Build the bundle again.") from exc
    name = path
    try:
        for member in open_members(source, start):
            name = f"{path}!{member.name}"
            yield from _scan_stream(member.read, name, digest, known, is_signature=is_signature)
    except ClosedArchiveError as exc:
        yield Finding(
            rule="closed-archive",
            what="an archive that cannot be looked through",
            path=name,
            offset=0,
            line=None,
            excerpt=str(exc),
            file_sha256=digest,
        )


def _scan_stream(
    read: Read, path: str, digest: Digest, known: Collection[bytes], *, is_signature: bool, width: int = 1
) -> Iterator[Finding]:
    """Go through a file in windows that overlap, so that a match is whole in one of them; ``width`` bytes are a character."""
    carried = b""
    base = 0  # where the window begins in the file
    lines = 1  # the line in which it begins
    is_text: bool | None = None
    block = read(BLOCK_BYTES)
    while block:
        following = read(BLOCK_BYTES)
        window = carried + block
        if is_text is None:
            is_text = _is_text(window)
        for hit in _hits(window, known, is_text=is_text, is_signature=is_signature):
            # What ends in the carried part was whole in the window before; what an edge may have cut is whole in the next.
            is_old = bool(base) and (hit.start == 0 or hit.end < len(carried))
            if not is_old and not (following and hit.end == len(window)):
                yield Finding(
                    rule=hit.rule,
                    what=hit.what,
                    path=path,
                    offset=(base + hit.start) * width,
                    line=lines + window.count(b"\n", 0, hit.start) if is_text else None,
                    excerpt=_excerpt(window, hit),
                    file_sha256=digest,
                )
        carried = window[-OVERLAP_BYTES:]
        if is_text:
            lines += window.count(b"\n", 0, len(window) - len(carried))
        base += len(window) - len(carried)
        block = following


def _low_bytes(read: Read, *, begin: int) -> Read:
    """Read a text in UTF-16 as its low bytes, which is what letters and digits are in ASCII."""
    return lambda size: read(2 * size)[begin::2].translate(_ASCII)


def _is_text(start: bytes) -> bool:
    probe = start[:_TEXT_PROBE_BYTES]
    if probe.translate(None, _CONTROLS) != probe:
        return False
    try:
        probe.decode()
    except UnicodeDecodeError as exc:
        # A character that the end of the probe cuts.
        return exc.start >= len(probe) - 3 and exc.reason == "unexpected end of data"
    return True


def _hits(window: bytes, known: Collection[bytes], *, is_text: bool, is_signature: bool) -> Iterator[_Hit]:
    if not is_text:
        for start, end in _runs(window):
            yield from _matches(window[start:end], start, is_text=False)
        return
    hits = list(_matches(window, 0, is_text=not is_signature))
    if not is_signature:
        taken = [(hit.start, hit.end) for hit in hits]
        hits += [
            _Hit("random", "a string that looks random", *match.span(), *match.span())
            for match in find_random(window, known)
            if not any(start < match.end() and match.start() < end for start, end in taken)
        ]
    yield from sorted(hits, key=lambda hit: hit.start)


def _matches(data: bytes, base: int, *, is_text: bool) -> Iterator[_Hit]:
    """Go through what the rules find; of two that find the same place, the first says what it is."""
    folded = data.lower()
    taken: list[tuple[int, int]] = []
    for rule in RULES:
        for match in rule.find(data, folded, is_text=is_text):
            start, end = match.span()
            if not any(before < end and start < after for before, after in taken):
                taken.append((start, end))
                yield _Hit(rule.name, rule.what, base + start, base + end, *(base + at for at in match.span("secret")))


def _runs(window: bytes) -> Iterator[tuple[int, int]]:
    """Go through the runs of printable characters that are long enough for a secret."""
    classes = window.translate(_PRINTABLE)
    at = classes.find(b"\1" * _MIN_RUN)
    while at >= 0:
        end = classes.find(b"\0", at)
        end = len(window) if end < 0 else end
        yield at, end
        at = classes.find(b"\1" * _MIN_RUN, end)


def _excerpt(window: bytes, hit: _Hit) -> str:
    """Return what stands before a secret within its match, and what can be said of the secret without saying it."""
    before = window[hit.start : hit.secret_start][:MAX_PREFIX].decode("ascii", "backslashreplace")
    secret = window[hit.secret_start : hit.secret_end]
    if not secret:
        return before
    bits = f", {entropy(secret):.1f} bits each" if hit.rule == "random" else ""
    return f"{before}[{len(secret)} characters{bits}]"
