"""``edge-publish verify``: check whole published repositories as a device would read them."""

import argparse
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from edged.cli.exits import Exit
from edged.errors import StoreError, UsageError
from edged.files import read_limited
from edged.publish.commands.options.expiry import add_expiry, read_expiry
from edged.publish.commands.options.printing import add_json, print_json, print_line, report
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.root.pending import MAX_ROOT_BYTES
from edged.publish.verify.check import verify_place
from edged.publish.verify.findings import Report, compare_mirrors
from edged.publish.verify.places import open_place
from edged.quantities import bytes_text

TEXT = """\
Check a published repository as a device would read it, on this disk or where it is served: signatures and expiry of every role, every
document and manifest, every file by its size (with --deep by its bytes), whether what is rolled out is published and not below its floor.
Everything that is wrong is named at once, with what to do about it. Needs no keys.

Of several places, mirrors of each other, those are found that are behind the newest.

Exit code 10 says that devices would refuse something.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = add_verb(
        verbs,
        "verify",
        summary="check a published repository as a device would",
        text=TEXT,
        example="edge-publish verify https://models.example.com/ --root root.json",
    )
    parser.add_argument("places", nargs="+", metavar="URL_OR_DIR", help="the repository, and its mirrors")
    parser.add_argument(
        "--root", type=Path, required=True, metavar="FILE", help="the root metadata that devices start from"
    )
    parser.add_argument("--deep", action="store_true", help="read and hash every byte of every file")
    add_json(parser)
    add_expiry(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Check every place."""
    root = _read_root(args.root)
    expiry, now = read_expiry(args), datetime.now(UTC)
    reports = []
    for place in [open_place(text) for text in args.places]:
        try:
            reports.append(verify_place(place, root, now=now, expiry=expiry, is_deep=args.deep, tell=report))
        finally:
            place.close()
    compare_mirrors(reports)
    is_good = all(found.is_good for found in reports)
    if args.json:
        print_json({"schema": 1, "good": is_good, "places": [_document(found) for found in reports]})
    else:
        for found in reports:
            _print(found)
    return Exit.OK if is_good else Exit.VERIFICATION_FAILED


def _read_root(path: Path) -> bytes:
    try:
        return read_limited(path, max_bytes=MAX_ROOT_BYTES, may_wait=True)
    except (OSError, StoreError) as exc:
        hint = "It is the publisher's 1.root.json, as devices have it."
        raise UsageError(f"the root {path} cannot be read: {exc}", hint=hint) from exc


def _document(found: Report) -> dict[str, object]:
    return {"good": found.is_good, **asdict(found)}


def _print(found: Report) -> None:
    if found.timestamp_version is not None:
        counts = found.counts
        how = "every byte" if counts.is_deep else "by size"
        print_line(
            f"{found.place}: timestamp {found.timestamp_version}, {counts.roles} roles, {counts.versions} versions, "
            f"{counts.files} files ({bytes_text(counts.file_bytes)}) checked {how}"
        )
    else:
        print_line(f"{found.place}: cannot be trusted")
    for finding in found.findings:
        print_line(f"  {finding.severity}: {finding.where}: {finding.what}")
        if finding.advice:
            print_line(f"    {finding.advice}")
    errors = sum(finding.severity == "error" for finding in found.findings)
    print_line("  good" if found.is_good else f"  {errors} {'error' if errors == 1 else 'errors'}")
