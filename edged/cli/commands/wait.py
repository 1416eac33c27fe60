"""``edgectl wait``: return when the device, or one model, serves; fail when it will not, or not in time."""

import argparse
import time
from collections.abc import Callable
from typing import Any, Final, Literal, get_args

from edged.api.documents.status import STATUS_PATH, Status
from edged.cli.arguments import seconds
from edged.cli.exits import Exit
from edged.cli.http import Client
from edged.clock import Clock, SystemClock
from edged.errors import DaemonUnreachableError, DeadlineError, UsageError, ValidationFailedError

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0
Goal = Literal["serving", "good"]
GOALS: Final[tuple[Goal, ...]] = get_args(Goal)


def add(verbs: Any) -> None:
    """Add the verb to edgectl's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "wait", help="wait until the device or a model serves; exits with 9 on timeout"
    )
    parser.add_argument("--model", metavar="NAME", help="wait for this model; otherwise for the device")
    parser.add_argument("--version", metavar="V", help="wait until this version of the model is active")
    parser.add_argument(
        "--for",
        dest="goal",
        choices=GOALS,
        default="serving",
        help="what to wait for; good: the model's active version has passed its trial (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout", metavar="S", type=seconds, default=60.0, help="seconds to wait at most (default: %(default)s)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Wait and say what for."""
    if not args.model and (args.version or args.goal == "good"):
        raise UsageError(
            "--version and --for good go with --model.", hint="edgectl wait --model NAME --version V --for good"
        )
    client = Client(args.socket)
    state = wait_for(
        lambda: client.get(STATUS_PATH, Status),
        model=args.model,
        version=args.version,
        goal=args.goal,
        timeout_s=args.timeout,
        clock=SystemClock(),
        sleep=time.sleep,
    )
    print(state)
    return Exit.OK


def wait_for(
    poll: Callable[[], Status],
    *,
    model: str | None,
    version: str | None,
    goal: Goal = "serving",
    timeout_s: float,
    clock: Clock,
    sleep: Callable[[float], None],
) -> str:
    """Ask until the answer is the one waited for.

    Args:
        poll: Asks the daemon; one that does not answer yet is waited for too.
        model: The model to wait for; None waits for the device.
        version: Its version; None takes any.
        goal: Whether it is enough that it serves, or it has to have passed its trial.
        timeout_s: Seconds.
        clock: Measures them.
        sleep: Waits seconds between two questions: 0.1 at first, then twice as long each time up to 2.

    Returns:
        What is the case now, as a sentence.

    Raises:
        DeadlineError: Time is up; says what was the case last.
        ValidationFailedError: The device has refused that version, so waiting longer changes nothing.
    """
    deadline_s = clock.monotonic_s() + timeout_s
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            is_there, state = judge(poll(), model=model, version=version, goal=goal)
        except DaemonUnreachableError as exc:
            is_there, state = False, exc.message
        if is_there:
            return state
        left_s = deadline_s - clock.monotonic_s()
        if left_s <= 0:
            raise DeadlineError(f"Not within {timeout_s:g} s: {state}", hint="edgectl status says more.")
        sleep(min(pause_s, left_s))
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def judge(status: Status, *, model: str | None, version: str | None, goal: Goal = "serving") -> tuple[bool, str]:
    """Say whether the status is what is waited for, and what it is.

    Raises:
        ValidationFailedError: It can no longer become that.
    """
    if model is None:
        return status.state == "serving", f"The device is {status.state}."
    found = next((entry for entry in status.models if entry.name == model), None)
    if found is None:
        return False, f"Model {model} is not on this device."
    if version is not None:
        for refusal in found.refused:
            if refusal.version == version:
                raise ValidationFailedError(f"Model {model} {version} was refused: {refusal.reason}")
    active = next((slot for slot in found.slots if slot.slot == found.active), None)
    is_there = found.state == "serving" and version in {None, None if active is None else active.version}
    if active is None:
        return is_there and goal == "serving", f"Model {model} is {found.state}, active version none."
    is_good = active.state == "good"
    text = f"Model {model} is {found.state}, active version {active.version}"
    return is_there and (is_good or goal == "serving"), f"{text}." if is_good else f"{text}, on trial."
