"""Trains the gauge reader on made-up dials: ``python -m models.gauge.train --out DIR``.

One seed decides the dials, the first weights and the order; the same versions of torch, numpy and Pillow on the same kind of
processor give the same weights again. Every epoch writes the checkpoint, so that a training that is cut short leaves one.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version as version_of
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models.gauge.drawing import Pixels
from models.gauge.metrics import errors_in_degrees, measure
from models.gauge.network import GaugeNetwork
from models.gauge.sets import EVALUATION_SEED, TRAINING_SEED, DialSet, make_set, normalize

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What decides the weights, beside the code and the versions of what it is built on."""

    dials: int
    epochs: int
    """How often each dial is seen, turned and mirrored anew each time."""
    seed: int = TRAINING_SEED
    """Of dials, first weights, order and turns."""
    batch: int = 64
    highest_rate: float = 4e-3
    """The learning rate rises to it over the first part of the training, and then falls to nothing."""
    rising: float = 0.15
    """That part."""
    weight_decay: float = 1e-4

    def record(self) -> dict[str, object]:
        """Return a JSON document of all that decides the weights."""
        versions = {name: version_of(name) for name in ("torch", "numpy", "pillow")}
        return {"settings": asdict(self), "versions": versions}


def train(dials: DialSet, settings: Settings, out: Path) -> GaugeNetwork:
    """Train a new network, and write ``checkpoint.pt`` after every epoch.

    Args:
        dials: What to learn from.
        settings: How.
        out: The directory to write to.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    network = GaugeNetwork()
    # Convolutions on a processor are faster by a fifth in this order of memory.
    network.to(memory_format=torch.channels_last)
    steps = len(dials.dials) // settings.batch
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.highest_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.highest_rate, total_steps=settings.epochs * steps, pct_start=settings.rising
    )
    angles, begun_s = dials.angles, time.monotonic()
    for epoch in range(1, settings.epochs + 1):
        losses, errors = [], []
        order = rng.permutation(len(dials.dials))[: steps * settings.batch].reshape(steps, settings.batch)
        for chosen in order:
            pictures, truth = _turned(dials.pictures[chosen], angles[chosen], rng)
            image = torch.from_numpy(normalize(pictures)).to(memory_format=torch.channels_last)
            found = network(image)
            loss = (found - torch.from_numpy(_points(truth))).square().sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            errors.append(_mean_error(found.detach().numpy(), truth))
        torch.save(network.state_dict(), out / "checkpoint.pt")
        spent_s = time.monotonic() - begun_s
        left_s = spent_s / epoch * (settings.epochs - epoch)
        print(
            f"epoch {epoch}/{settings.epochs}: loss {np.mean(losses):.5f}, error {np.mean(errors):.2f} degrees, {left_s:.0f} s left",
            flush=True,
        )
    return network


def read(network: GaugeNetwork, dials: DialSet) -> tuple[Floats, Floats]:
    """Return the network's angles in degrees and its confidences, each of shape (n,)."""
    network.eval()
    with torch.no_grad():
        parts = [network(torch.from_numpy(normalize(part))) for part in np.array_split(dials.pictures, 30)]
    points = torch.cat(parts).numpy().astype(np.float64)
    return _angles(points), np.minimum(np.hypot(points[:, 0], points[:, 1]), 1)


def _turned(pictures: Pixels, angles: Floats, rng: np.random.Generator) -> tuple[Pixels, Floats]:
    """Turn a batch by quarters and mirror it: eight exact pictures out of one."""
    quarters = int(rng.integers(4))
    pictures, angles = np.rot90(pictures, -quarters, (1, 2)), angles + 90 * quarters
    if rng.random() < 0.5:
        pictures, angles = pictures[:, :, ::-1], -angles
    return pictures, angles


def _points(angles: Floats) -> npt.NDArray[np.float32]:
    """Return the points that the network is to find, shape (n, 2): sine and cosine, and the middle where no needle is."""
    turns = np.radians(angles)
    points: npt.NDArray[np.float32] = np.nan_to_num(np.stack([np.sin(turns), np.cos(turns)], axis=1)).astype(np.float32)
    return points


def _angles(points: Floats) -> Floats:
    angles: Floats = np.degrees(np.arctan2(points[:, 0], points[:, 1])) % 360
    return angles


def _mean_error(points: Floats, truth: Floats) -> float:
    return float(np.nanmean(errors_in_degrees(_angles(points), truth)))


def main() -> None:
    """Train, judge on fresh dials, and write ``checkpoint.pt``, ``training.json`` and ``metrics.json``."""
    parser = argparse.ArgumentParser(prog="python -m models.gauge.train", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="directory, made when missing")
    parser.add_argument("--dials", type=int, default=30_000, help="to learn from (%(default)s)")
    parser.add_argument("--epochs", type=int, default=20, help="(%(default)s)")
    parser.add_argument("--fresh", type=int, default=3_000, help="dials to judge it on (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (%(default)s)")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    settings = Settings(dials=arguments.dials, epochs=arguments.epochs)
    (out / "training.json").write_text(json.dumps(settings.record(), indent=2) + "\n")
    print(f"drawing {settings.dials} dials", flush=True)
    network = train(make_set(settings.seed, settings.dials), settings, out)
    fresh = make_set(EVALUATION_SEED, arguments.fresh)
    metrics = measure(fresh, *read(network, fresh))
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    print(json.dumps(metrics["all"]))


if __name__ == "__main__":
    main()
