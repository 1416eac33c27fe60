"""``edged dev``: all processes of edged, unprivileged, with everything they write in one directory.

For developers and for the demonstration. Same code, same settings and same seams as the installed services; what systemd adds (users,
sandboxes, sockets that outlive a restart) is missing. The process that asks endpoints is started with the others, and only where the
settings have an endpoint: nobody else waits for it. Models of one's own, without keys or repository, are looked after here
(``edged.dev.local``). Ends when it is told to, when its terminal is closed, or when one of them ends.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import edged
from edged.cli.exits import run_command
from edged.config.load import load_config
from edged.config.schema import Config
from edged.dev.credentials import handed_over
from edged.dev.occupancy import occupied
from edged.dev.privileges import Privileges, choose_privileges, give
from edged.dev.settings import write_settings
from edged.dev.supervision import Running, interrupted_by_signals, supervise
from edged.errors import UsageError
from edged.offload import credentials
from edged.store.layout import StoreLayout

if TYPE_CHECKING:
    from edged.dev.local.attendance import Attendance

# In the order they start; they stop in the reverse order.
PROCESSES: Final = ("egress", "offload", "update", "run")
# A Unix socket's address holds 108 bytes with its final zero (unix(7)); the longest name used below the directory is this.
LONGEST_NAME: Final = "run/offload.sock"
MAX_ADDRESS_BYTES: Final = 107
# The daemon starts the interpreter once more, for its workers; what setpriv may execute, its children may not always.
PROBE: Final = "import os, sys; os.execv(sys.executable, [sys.executable, '-P', '-c', 'import edged.daemon.__main__'])"
LOCAL_DAEMON: Final = "edged.dev.local.daemon"
# -P: nothing is imported from where the developer happens to be, which may well have a directory of the name edged.
PYTHON: Final = (sys.executable, "-P")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the processes until SIGINT, SIGTERM or SIGHUP.

    Returns:
        0 when it was told to stop, 1 when one of the processes ended by itself, 2 when it could not start, 130 when it was told to stop
        while models were made before that; any other code is that of a model that could not be made.
    """
    parser = argparse.ArgumentParser(prog="edged dev", description="Run all of edged in a directory, unprivileged.")
    parser.add_argument("--dir", type=Path, default=Path("edged-dev"), help="where everything is kept (%(default)s)")
    parser.add_argument(
        "--model",
        type=_named,
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="serve an unsigned model of your own: an ONNX file, or a bundle that edge-publish has built; may be given again",
    )
    parser.add_argument("--repository", metavar="URL", help="static host to update from, ending in a slash")
    parser.add_argument("--root", type=Path, metavar="FILE", help="TUF root metadata to start the trust from")
    parser.add_argument(
        "--poll-interval",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="between two looks at the repository (%(default)s)",
    )
    parser.add_argument(
        "--trial", type=float, default=0.0, metavar="SECONDS", help="how long a new version is watched (%(default)s)"
    )
    parser.add_argument(
        "--device-id", default="", metavar="ID", help="what rollouts know the device by (that of this machine)"
    )
    parser.add_argument(
        "--label",
        type=_named,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a label of the device; may be given again",
    )
    parser.add_argument(
        "--config",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="further settings, over those of the directory; may be given again",
    )
    parser.add_argument(
        "--credentials",
        type=Path,
        metavar="DIR",
        help="credentials that endpoints of the settings name, as in /etc/edged/offload of a device",
    )
    arguments = parser.parse_args(argv)
    return run_command(lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Lay out the directory, start the processes, wait.

    Raises:
        UsageError: The arguments cannot work, or name files that cannot be used.
        ConfigError: There is a mistake in the further settings.
    """
    directory: Path = arguments.dir.resolve()
    if len(str(directory / LONGEST_NAME).encode()) > MAX_ADDRESS_BYTES:
        raise UsageError(f"{directory} is too long for a Unix socket below it", hint="Choose a shorter --dir.")
    if (arguments.repository is None) != (arguments.root is None):
        raise UsageError("--repository and --root go together", hint="A host is believed only by its TUF root.")
    # The processes must find the same package, wherever this one found it.
    environ = {**os.environ, "PYTHONPATH": str(Path(edged.__file__).parent.parent)}
    privileges = choose_privileges([*PYTHON, "-c", PROBE], environ)
    with occupied(directory):
        configs = [_lay_out(directory, arguments, privileges), *(path.resolve() for path in arguments.config)]
        config = load_config(configs)
        own = _attendance(arguments, directory, config, privileges, environ)
        if own is not None:
            with interrupted_by_signals():
                code = own.prepare()
            if code:
                return code
        with ExitStack() as stack:
            if own is not None:
                stack.enter_context(closing(own))
            place = stack.enter_context(
                handed_over(
                    config.offload.endpoints,
                    source=arguments.credentials,
                    place=directory / "run/credentials",
                    privileges=privileges,
                )
            )
            return supervise(
                _commands(config, configs, privileges, local=None if own is None else own.document),
                environ={**environ, credentials.DIRECTORY: str(place)},
                started=lambda running: print(_announcement(running, privileges, config), flush=True),
                look=None if own is None else own.look,
            )


def _attendance(
    arguments: argparse.Namespace,
    directory: Path,
    config: Config,
    privileges: Privileges,
    environ: Mapping[str, str],
) -> "Attendance | None":
    """Return what looks after the developer's own models; None where there are none.

    Raises:
        UsageError: One of them is not there, or is no model.
    """
    if not arguments.model:
        return None
    # Imported here: it brings a client of the API and all its documents along, 8 MB that stay for as long as this runs.
    from edged.dev.local.attendance import Attendance  # noqa: PLC0415 - see above
    from edged.dev.local.wanted import read_wanted  # noqa: PLC0415 - see above

    return Attendance(
        read_wanted(arguments.model, layout=StoreLayout(Path(config.paths.store))),
        place=directory / "local",
        paths=config.paths,
        python=[*privileges.prefix, *PYTHON],
        privileges=privileges,
        environ=environ,
    )


def _lay_out(directory: Path, arguments: argparse.Namespace, privileges: Privileges) -> Path:
    """Write the settings, and return their file; everything in the directory is for the processes to change."""
    try:
        settings = write_settings(
            directory,
            repository=arguments.repository or "",
            root=None if arguments.root is None else arguments.root.read_bytes(),
            poll_interval_s=arguments.poll_interval,
            trial_s=arguments.trial,
            device_id=arguments.device_id,
            labels=dict(arguments.label),
        )
        for path in (directory, *(path for path in directory.iterdir() if path.is_dir())):
            give(path, privileges)
    except OSError as exc:
        raise UsageError(f"{exc.filename}: {exc.strerror}", hint="Look at --dir and --root.") from exc
    return settings


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    return name, value


def _commands(
    config: Config, configs: Sequence[Path], privileges: Privileges, *, local: Path | None
) -> dict[str, list[str]]:
    """Return what to run, by verb; ``local`` names the developer's own models to the daemon."""
    modules = {verb: ["edged", verb] for verb in PROCESSES}
    if local is not None:
        modules["run"] = [LOCAL_DAEMON, str(local)]
    options = [word for path in configs for word in ("--config", str(path))]
    return {
        verb: [*privileges.prefix, *PYTHON, "-m", *modules[verb], *options]
        for verb in PROCESSES
        if verb != "offload" or config.offload.endpoints
    }


def _announcement(running: Running, privileges: Privileges, config: Config) -> str:
    processes = ", ".join(f"{verb} ({process.pid})" for verb, process in running.items())
    return f"{processes} as {privileges.words}; socket {config.paths.app_socket}"


if __name__ == "__main__":
    sys.exit(main())
