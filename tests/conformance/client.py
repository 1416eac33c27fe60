"""Speaks the client protocol of the public TUF conformance suite, on the code by which edged updates.

    python -m tests.conformance.client --metadata-dir D init ROOT
    python -m tests.conformance.client --metadata-dir D --metadata-url U refresh
    python -m tests.conformance.client --metadata-dir D --metadata-url U --target-name N... --target-dir T --target-base-url B download

Exit code 0 when all of it succeeded, 1 when any of it failed. What decides is ``edged.update.trust``; what fetches is
``edged.update.origins.fetcher`` through a gate of its own, for which every name is this machine. README.md says how to run the suite.

It differs from a device in one thing: delegated roles may delegate further, which the suite asks for and a device refuses.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

from edged.clock import SystemClock
from edged.errors import EdgedError
from edged.files import replace_durably
from edged.update.origins.fetcher import Host
from edged.update.trust.trust import TrustedRepository, refresh_trust
from tests.fakes.gates import running_gate

TRUSTED_ROOT = "trusted-root"
"""Where ``init`` puts the root, as a device has it in /etc; none of the metadata files of the suite has this name."""
MAX_TARGET_BYTES = 1 << 26


def main(arguments: Sequence[str]) -> int:
    """Run one command of the protocol; return the exit code."""
    options = parse(arguments)
    try:
        match options.command:
            case "init":
                replace_durably(options.metadata_dir / TRUSTED_ROOT, options.trusted_root.read_bytes())
            case "refresh":
                with refreshed(options):
                    pass
            case "download":
                with refreshed(options) as repository:
                    for name in options.target_name:
                        download(repository, name, options.target_dir)
    except EdgedError as error:
        sys.stderr.write(f"{error.code}: {error.message}\n")
        return 1
    return 0


def parse(arguments: Sequence[str]) -> Namespace:
    """Read the command line; options come before the command."""
    parser = ArgumentParser(prog="client", description="TUF conformance client of edged")
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--metadata-url")
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("--target-dir", type=Path)
    parser.add_argument("--target-base-url")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("trusted_root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    options = parser.parse_args(arguments)
    if options.command != "init":
        options.url = repository_of(options.metadata_url or "", options.target_base_url)
        if not options.url:
            parser.error("metadata and targets have to be the directories metadata/ and targets/ of one repository")
    return options


def repository_of(metadata_url: str, targets_url: str | None) -> str:
    """Return the directory above both, with a slash at its end; empty when they are not where a repository of edged has them."""
    url, name, rest = metadata_url.removesuffix("/").rpartition("metadata")
    return url if name and not rest and targets_url in {None, f"{url}targets", f"{url}targets/"} else ""


@contextmanager
def refreshed(options: Namespace) -> Iterator[TrustedRepository]:
    """Refresh the top-level metadata; targets can be read while the context is open."""
    place, clock = urlsplit(options.url), SystemClock()
    # The gate takes names only, no addresses.
    here = f"localhost:{place.port or 80}"
    with (
        running_gate(allow_private=[here]) as gate,
        closing(Host(gate=gate.path, timeout_s=10.0, clock=clock)) as host,
    ):
        yield refresh_trust(
            directory=options.metadata_dir,
            url=place._replace(netloc=here).geturl(),
            root=(options.metadata_dir / TRUSTED_ROOT).read_bytes(),
            host=host,
            now_unix_s=clock.unix_s(),
            may_nest=True,
        )


def download(repository: TrustedRepository, name: str, directory: Path) -> None:
    """Bring one target into ``directory``; what is there and still signed is not fetched again."""
    file = directory / quote(name, "")
    known = file.read_bytes() if file.is_file() else b""
    data = repository.read_target(name, max_bytes=MAX_TARGET_BYTES, known=known).data
    if data != known or not file.is_file():
        file.write_bytes(data)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
