"""The network in PyTorch: seven convolutions and two dense layers, 128 x 128 greys to the sine and cosine of the needle's angle.

Sine and cosine have no seam where the angle has one. The loss is the squared distance to the point on the unit circle, and to the
middle for a picture without a needle; its best answer is the mean of what the picture leaves possible, so that the answer's length
falls from 1 to 0 as the network knows less. That length is the model's ``confidence``.
"""

from typing import Final

import torch
from torch import nn

CONVOLUTIONS: Final = (
    (1, 16, 5, 2),
    (16, 32, 3, 2),
    (32, 32, 3, 1),
    (32, 64, 3, 2),
    (64, 64, 3, 1),
    (64, 80, 3, 2),
    (80, 80, 3, 1),
)
"""Channels in and out, kernel, stride."""
SQUEEZED: Final = 16
"""Channels that are left before the dense layers, which need to know where things are and so get every place."""
HIDDEN: Final = 64
LAST_SIZE: Final = 8
"""Width and height of the picture after all strides."""


class GaugeNetwork(nn.Module):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels_in, channels_out, kernel, stride in (*CONVOLUTIONS, (CONVOLUTIONS[-1][1], SQUEEZED, 1, 1)):
            layers += [
                nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(channels_out),
                nn.ReLU(),
            ]
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(SQUEEZED * LAST_SIZE**2, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return sines and cosines of shape (n, 2) for normalized pictures of shape (n, 1, 128, 128)."""
        found: torch.Tensor = self.head(self.features(image))
        return found
