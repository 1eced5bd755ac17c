"""The U-Nets of the spinal cord (Gros 2019, sections 2.2.2 and 2.2.3): two downsamplings each."""

from __future__ import annotations

import torch
from torch import nn


class CordUNet(nn.Module):
    """CNN1 (2D) and both CNN2 (3D) of Gros 2019, by a model card's ``architecture`` entry.

    ``dims`` is 2 or 3, ``filters`` those of the three tiers (the paper does not number them),
    ``dilation`` that of the contracting path's convolutions (3 in CNN1, 1 in CNN2), ``dropout`` the
    probability after every convolution (0.2 in CNN1, 0.4 in CNN2), ``in_channels`` C those of the
    input (1 without). Every convolution is followed by batch normalisation, ReLU and dropout. Input
    (N, C, X, Y) or (N, C, X, Y, Z) with sides that are multiples of 4, output logits of the same
    shape with one channel; ValueError for other sides.
    """

    def __init__(self, architecture: dict):
        super().__init__()
        dims, filters = architecture["dims"], architecture["filters"]
        dilation, dropout = architecture.get("dilation", 1), architecture["dropout"]
        kinds = {2: (nn.MaxPool2d, nn.ConvTranspose2d, nn.Conv2d),
                 3: (nn.MaxPool3d, nn.ConvTranspose3d, nn.Conv3d)}  # fmt: skip
        pool, raise_, convolution = kinds[dims]
        inward = [architecture.get("in_channels", 1), *filters[:-1]]
        self.down = nn.ModuleList(
            _two_convolutions(dims, a, b, dilation, dropout)
            for a, b in zip(inward, filters, strict=True)
        )
        self.pool = pool(2)
        steps = list(zip(filters[:0:-1], filters[-2::-1], strict=True))
        self.raise_ = nn.ModuleList(raise_(a, b, 2, stride=2) for a, b in steps)
        self.up = nn.ModuleList(_two_convolutions(dims, 2 * b, b, 1, dropout) for _, b in steps)
        self.last = convolution(filters[0], 1, 1)

    def forward(self, image):
        """Logits (N, 1, ...) of the image."""
        if any(n % 4 for n in image.shape[2:]):
            raise ValueError(f"sides of {tuple(image.shape[2:])} voxels are not multiples of 4")
        tiers = []
        for block in self.down:
            image = block(self.pool(image) if tiers else image)
            tiers.append(image)
        for raise_, block, tier in zip(self.raise_, self.up, tiers[-2::-1], strict=True):
            image = block(torch.cat([tier, raise_(image)], 1))
        return self.last(image)


def _two_convolutions(dims: int, inward: int, outward: int, dilation: int, dropout: float):
    convolution, norm, drop = {
        2: (nn.Conv2d, nn.BatchNorm2d, nn.Dropout2d),
        3: (nn.Conv3d, nn.BatchNorm3d, nn.Dropout3d),
    }[dims]
    layers = []
    for channels in (inward, outward):
        layers += [
            convolution(channels, outward, 3, padding=dilation, dilation=dilation),
            norm(outward), nn.ReLU(), drop(dropout),
        ]  # fmt: skip
    return nn.Sequential(*layers)
