"""``edge-publish kit``: make the validation kit of a bundle."""

import argparse
import asyncio
from contextlib import ExitStack
from pathlib import Path

from edged.bundle.kit import KIT_NAME
from edged.errors import UsageError
from edged.publish.building.recipe import read_recipe
from edged.publish.commands.options.printing import print_line, report
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.kit.golden import answer, make_spec, write_kit
from edged.publish.kit.questions import read_questions
from edged.publish.kit.truth import Truths, read_truths
from edged.validation.quality import FEWEST

TEXT = """\
Run the recipe's first variant, with the recipe's pipeline, on the files in a directory, and write what it answers as the golden outputs of
the recipe's validation kit. Every device and every other variant is held against them from then on, so look at them once: they are what
this model says, not what is right. What is right goes in with --truth, for the limits in validation.metrics.

Samples are files that the pipeline takes as they are (pictures, sounds, texts); where it takes tensors, NumPy archives (.npz) with an array
for each input. The truth is CSV with a head (sample,OUTPUT,...) or JSON ({"SAMPLE": {"OUTPUT": VALUE}}); samples are called as
their files are, without the ending.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb and its action."""
    parser = add_verb(verbs, "kit", summary="make validation kits")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    make = add_verb(
        actions,
        "make",
        summary="make a validation kit from samples",
        text=TEXT,
        example="edge-publish kit make recipe.toml --samples pictures --truth truth.csv",
    )
    make.add_argument("recipe", type=Path, metavar="RECIPE.toml", help="whose first variant is the reference")
    make.add_argument("--samples", type=Path, required=True, metavar="DIR", help="the samples, one a file; 10 to 50")
    make.add_argument("--truth", type=Path, metavar="FILE", help="what is really so, CSV or JSON")
    make.add_argument("--out", type=Path, metavar="DIR", help="the kit's directory (where the recipe says)")
    make.add_argument("--force", action="store_true", help="replace the golden outputs of a kit that is there")
    make.add_argument(
        "--timeout", type=float, default=30.0, metavar="S", help="longest wait for one sample in seconds (30)"
    )
    make.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Make the kit and print where it is."""
    if not args.timeout > 0:
        raise UsageError("--timeout must be above 0", hint="For example: --timeout 60")
    recipe = read_recipe(args.recipe)
    out = args.out or _place(args.recipe.parent / recipe.validation.kit)
    if (out / KIT_NAME).exists() and not args.force:
        raise UsageError(
            f"there is a kit in {out}",
            hint="Its golden outputs are what devices trust; pass --force to replace them by what the model says now.",
        )
    without = [args.truth] if args.truth is not None else []
    questions = read_questions(args.samples, out, recipe.pipeline.inputs, without=without)
    truths = read_truths(args.truth) if args.truth is not None else Truths()
    truths.check([question.name for question in questions])
    with ExitStack() as stack:
        spec, descriptors = make_spec(recipe, args.recipe, stack)
        report(f"run {spec.variant.id} on {len(questions)} samples")
        kit, files = asyncio.run(answer(spec, descriptors, questions, truths, timeout_s=args.timeout))
    write_kit(out, kit, files)
    if len(kit.samples) < FEWEST:
        report(f"warning: the kit has {len(kit.samples)} samples; {FEWEST} to 50 say much more about a model")
    report(f"golden outputs by {kit.reference}")
    print_line(str(out / KIT_NAME))


def _place(kit: Path) -> Path:
    """Return the directory of the kit that a recipe names, which may be the directory or the document in it."""
    if kit.suffix != ".json":
        return kit
    if kit.name != KIT_NAME:
        raise UsageError(f"the recipe's kit is {kit.name}", hint=f"Call it {KIT_NAME}, or name its directory.")
    return kit.parent
