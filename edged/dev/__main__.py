"""``edged dev``: the gate, the updater and the daemon as three unprivileged processes, with everything they write in one directory.

For developers and for the demonstration. Same code, same settings and same seams as the installed services; what systemd adds (users,
sandboxes, sockets that outlive a restart) is missing. Ends when it is told to, or when one of the three ends.
"""

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Final

from edged.cli.exits import run_command
from edged.config.load import load_config
from edged.dev.privileges import Privileges, choose_privileges, give
from edged.dev.settings import write_settings
from edged.errors import UsageError

# In the order they start; they stop in the reverse order.
PROCESSES: Final = ("egress", "update", "run")
STOP_WITHIN_S: Final = 10.0
LOOK_EVERY_S: Final = 0.2
# A Unix socket's address holds 108 bytes with its final zero (unix(7)); the longest name used below the directory is this.
LONGEST_NAME: Final = "run/tensor.sock"
MAX_ADDRESS_BYTES: Final = 107
# The daemon starts the interpreter once more, for its workers; what setpriv may execute, its children may not always.
PROBE: Final = "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'import edged.daemon.__main__'])"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the three processes until SIGINT or SIGTERM.

    Returns:
        0 when it was told to stop, 1 when one of the processes ended by itself, 2 when it could not start.
    """
    parser = argparse.ArgumentParser(prog="edged dev", description="Run all of edged in a directory, unprivileged.")
    parser.add_argument("--dir", type=Path, default=Path("edged-dev"), help="where everything is kept (%(default)s)")
    parser.add_argument("--repository", metavar="URL", help="static host to update from, ending in a slash")
    parser.add_argument("--root", type=Path, metavar="FILE", help="TUF root metadata to start the trust from")
    parser.add_argument("--poll-interval", type=float, default=5.0, metavar="SECONDS", help="(%(default)s)")
    parser.add_argument(
        "--trial", type=float, default=0.0, metavar="SECONDS", help="how long a new version is watched (%(default)s)"
    )
    parser.add_argument(
        "--device-id", default="", metavar="ID", help="what rollouts know the device by (that of this machine)"
    )
    parser.add_argument(
        "--label",
        type=_label,
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
    privileges = choose_privileges([sys.executable, "-c", PROBE])
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
        configs = [settings, *(path.resolve() for path in arguments.config)]
        load_config(configs)
        for path in (directory, *(path for path in directory.iterdir() if path.is_dir())):
            give(path, privileges)
    except OSError as exc:
        raise UsageError(f"{exc.filename}: {exc.strerror}", hint="Look at --dir and --root.") from exc
    print(f"three processes as {privileges.words}; socket {directory / 'run/edged.sock'}", flush=True)
    return _supervise(configs, privileges)


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    return name, value


def _supervise(configs: Sequence[Path], privileges: Privileges) -> int:
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    running: list[tuple[str, subprocess.Popen[bytes]]] = []
    try:
        # One by one, not in a comprehension: what was started before a failure has to be stopped.
        for verb in PROCESSES:
            running.append((verb, _start(verb, configs, privileges)))  # noqa: PERF401
        while not stop.wait(LOOK_EVERY_S):
            for verb, process in running:
                if process.poll() is not None:
                    print(f"edged {verb} ended with {process.returncode}; stopping the others", file=sys.stderr)
                    return 1
        return 0
    finally:
        for verb, process in reversed(running):
            _stop(verb, process)


def _start(verb: str, configs: Sequence[Path], privileges: Privileges) -> subprocess.Popen[bytes]:
    options = [word for config in configs for word in ("--config", str(config))]
    command = [*privileges.prefix, sys.executable, "-m", "edged", verb, *options]
    # A group of its own: Ctrl-C in the terminal reaches this process alone, which then stops the others in order.
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)  # noqa: S603 - our own command


def _stop(verb: str, process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        print(f"edged {verb} did not stop within {STOP_WITHIN_S:g} s and was killed", file=sys.stderr)
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
