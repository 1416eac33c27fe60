"""``edge-publish plan``: what a rollout, and a month, will cost on the network."""

import argparse
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edged.bundle.manifest import Manifest
from edged.cli.table import align, printable
from edged.cli.words import size
from edged.errors import UsageError
from edged.publish.commands.options.fleet import add_model, parse_version, read_model
from edged.publish.commands.options.printing import add_json, print_json
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.planning.repository import metadata_of, read_manifest, sizes_of
from edged.publish.planning.traffic import (
    BYTES_PER_GB,
    POLL_BYTES,
    POLL_BYTES_CDN,
    Plan,
    architectures,
    machines_of,
    polls_per_month,
    steps_of,
)
from edged.publish.repository.state import read_state
from edged.publish.repository.tree import Tree

TEXT = """\
Compute what a fleet will fetch for a published version, step by step of its rollout, and in a month with so many updates like it, polls
included. Bundles go to the devices that take the version with a step, metadata to all of them. All sizes are those of the files that are
in the repository. Not counted are TLS and the packets below, and what is sent twice.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = add_verb(
        verbs,
        "plan",
        summary="compute the traffic of a rollout, and of a month",
        text=TEXT,
        example="edge-publish plan repo adder 1.1.0 --devices 5000 --updates-per-month 2 --from 1.0.0 --price-per-gb 0.08",
    )
    parser.add_argument("repo", type=Path, metavar="REPO", help="the repository")
    add_model(parser)
    parser.add_argument("version", metavar="VERSION", help="a published version")
    parser.add_argument("--devices", type=_count, required=True, metavar="N", help="how many devices the fleet has")
    parser.add_argument(
        "--updates-per-month", type=_amount, default=1.0, metavar="M", help="updates like this one in a month (1)"
    )
    parser.add_argument("--from", dest="held", metavar="VERSION", help="the version that devices have already")
    parser.add_argument(
        "--mix",
        metavar="ARCH=SHARE,...",
        help="processors of the fleet, as amd64=1,arm64=3 (as many of each that the version is for)",
    )
    parser.add_argument(
        "--poll-interval", type=_positive, default=60.0, metavar="S", help="repository.poll_interval_s of devices (60)"
    )
    parser.add_argument("--cdn", action="store_true", help="count polls with the header fields that CDNs add")
    parser.add_argument("--price-per-gb", type=_amount, metavar="P", help="what 10^9 bytes cost, in any currency")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the plan.

    Raises:
        UsageError: The mix names no processors.
        ModelUnknownError: A version is not published here.
        TrustError: The repository was altered.
    """
    tree = Tree(args.repo)
    state = read_state(tree)
    model, version = read_model(args), parse_version(args.version)
    manifest = read_manifest(tree, state, model, version)
    held = None if args.held is None else read_manifest(tree, state, model, parse_version(args.held))
    machines = machines_of(manifest, _shares(args.mix, manifest), held=held, sizes=sizes_of(tree))
    first, further = metadata_of(tree, state, model, version)
    plan = Plan(
        devices=args.devices,
        updates_per_month=args.updates_per_month,
        machines=machines,
        steps=steps_of(args.devices, machines, first=first, further=further),
        polls_per_month=polls_per_month(args.poll_interval),
        poll_bytes=POLL_BYTES_CDN if args.cdn else POLL_BYTES,
    )
    if args.json:
        head = {"schema": 1, "model": model, "version": str(version), "from": args.held, "is_mix_assumed": not args.mix}
        print_json(head | describe(plan, price=args.price_per_gb))
    else:
        what = f"{manifest.name} {manifest.version}" + ("" if args.held is None else f" from {args.held}")
        sys.stdout.write(render(plan, what=what, price=args.price_per_gb, is_mix_assumed=not args.mix))


def describe(plan: Plan, *, price: float | None) -> dict[str, Any]:
    """Describe a plan for a program; bytes, and what they cost where a price is known."""

    def cost(count_bytes: float) -> dict[str, float]:
        return {} if price is None else {"cost": count_bytes / BYTES_PER_GB * price}

    return {
        "devices": plan.devices,
        "machines": [
            {
                "arch": machine.arch,
                "share": machine.share,
                "variants": list(machine.variants),
                "bytes": machine.bytes,
                "files": [{"name": file.name, "bytes": file.size} for file in machine.files],
            }
            for machine in plan.machines
        ],
        "bytes_per_device": plan.bytes_per_device,
        "steps": [
            {
                "percent": step.percent,
                "devices": step.devices,
                "bundle_bytes": step.bundle_bytes,
                "metadata_bytes": step.metadata_bytes,
                **cost(step.total),
            }
            for step in plan.steps
        ],
        "rollout": {"bytes": plan.rollout_bytes, **cost(plan.rollout_bytes)},
        "month": {
            "updates": plan.updates_per_month,
            "updates_bytes": plan.updates_bytes,
            "polls_per_device": plan.polls_per_month,
            "poll_bytes": plan.poll_bytes,
            "polls_bytes": plan.polls_bytes,
            "bytes": plan.month_bytes,
            **cost(plan.month_bytes),
        },
    }


def render(plan: Plan, *, what: str, price: float | None, is_mix_assumed: bool) -> str:
    """Lay out a plan for a person."""
    heads = () if price is None else ("COST",)
    assumed = " (assumed: as many of each processor)" if is_mix_assumed and len(plan.machines) > 1 else ""
    kinds = [("PROCESSOR", "SHARE", "EACH FETCHES", "VARIANTS")]
    kinds += [
        (
            printable(machine.arch),
            f"{100 * machine.share:.4g} %",
            size(machine.bytes),
            printable(", ".join(machine.variants)) or "none",
        )
        for machine in plan.machines
    ]
    steps = [("STEP", "DEVICES", "BUNDLES", "METADATA", "TOTAL", *heads)]
    steps += [
        (
            "the end" if step.percent is None else f"{step.percent:g} %",
            str(step.devices),
            size(step.bundle_bytes),
            size(step.metadata_bytes),
            size(step.total),
            *_cost(step.total, price),
        )
        for step in plan.steps
    ]
    steps.append(("all", str(plan.devices), "", "", size(plan.rollout_bytes), *_cost(plan.rollout_bytes, price)))
    month = [("MONTH", "", *heads), *_month(plan, price)]
    return (
        f"{printable(what)} to {plan.devices} devices{assumed}\n{align(kinds, indent='  ')}\n"
        f"{align(steps, indent='  ')}\n{align(month, indent='  ')}"
    )


def _month(plan: Plan, price: float | None) -> Iterator[tuple[str, ...]]:
    for name, count in (
        ("1 update" if plan.updates_per_month == 1 else f"{plan.updates_per_month:g} updates", plan.updates_bytes),
        (f"{plan.polls_per_month:.0f} polls of each device", plan.polls_bytes),
        ("all", plan.month_bytes),
        ("of each device", plan.month_bytes / plan.devices),
    ):
        yield (name, size(count), *_cost(count, price))


def _cost(count_bytes: float, price: float | None) -> tuple[str, ...]:
    return () if price is None else (f"{count_bytes / BYTES_PER_GB * price:.2f}",)


def _shares(text: str | None, manifest: Manifest) -> Mapping[str, float]:
    """Return the share of each processor; equal ones where nobody says.

    Raises:
        UsageError: The text is no mix.
    """
    if text is None:
        known = architectures(manifest)
        return {arch: 1 / len(known) for arch in known}
    parts: dict[str, float] = {}
    for item in text.split(","):
        arch, _, share = item.partition("=")
        try:
            parts[arch.strip()] = _amount(share)
        except (ValueError, argparse.ArgumentTypeError) as exc:
            raise UsageError(f"{item} is no ARCH=SHARE", hint="Write --mix amd64=1,arm64=3.") from exc
    total = sum(parts.values())
    if total <= 0:
        raise UsageError("the mix has no devices", hint="Write --mix amd64=1,arm64=3.")
    return {arch: share / total for arch, share in parts.items()}


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least one device")
    return count


def _amount(text: str) -> float:
    amount = float(text)
    if not math.isfinite(amount) or amount < 0:
        raise argparse.ArgumentTypeError("a number, not below nought")
    return amount


def _positive(text: str) -> float:
    amount = _amount(text)
    if amount == 0:
        raise argparse.ArgumentTypeError("a number above nought")
    return amount
