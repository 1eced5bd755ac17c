"""DeepSCAN: brain lesions and structures from up to three contrasts (McKinley 2021, Fig. 1).

A 3D-to-2D network: it sees five neighbouring slices and labels the middle one. Each class has two
outputs, the logits of the label and of the probability that the label is wrong ("flipped").
"""

from __future__ import annotations

import torch
from torch import nn

SLICES = 5
DILATIONS = (1, 2, 4, 8)
AXIAL, CORONAL, SAGITTAL = 2, 1, 0
#: Plane (rows, columns) of a canvas of 160 x 192 x 160 mm, whichever way it is cut.
PLANE = (160, 192)


class DeepSCAN(nn.Module):
    """The network of Fig. 1, for axial, coronal and sagittal stacks alike.

    Input (N, C, 5, H, W), H and W multiples of 4: the contrasts, all zero where one is missing.
    Output logits (N, 2, K, H, W): ``[:, 0]`` label, ``[:, 1]`` flip. ``architecture`` is a model
    card's entry: ``in_channels`` (C), ``classes`` (K), ``stem`` and ``channels`` (features of the
    3D stem and of the three 2D tiers), ``growth`` (12 in the paper), ``blocks`` (dense blocks of
    the bottleneck) and ``features`` at the highest resolution (320 in the paper). The paper draws,
    but does not number, the other widths: ours are chosen for a CPU. Also ours: the attention to
    channels is told which contrasts there are, as instance normalisation would wash out a
    constant input channel that says so.
    """

    def __init__(self, architecture: dict):
        super().__init__()
        stem, (high, middle, low) = architecture["stem"], architecture["channels"]
        contrasts, self.classes = architecture["in_channels"], architecture["classes"]
        # Valid between the slices (5 to 3 to 1); padded in the plane, which keeps its size.
        self.stem = nn.Sequential(
            _convolution(nn.Conv3d, contrasts, stem, padding=(0, 1, 1)),
            _convolution(nn.Conv3d, stem, high, padding=(0, 1, 1)),
        )
        self.down = nn.ModuleList(
            _convolution(nn.Conv2d, a, b, stride=2) for a, b in ((high, middle), (middle, low))
        )
        growth, width = architecture["growth"], low
        self.bottleneck = nn.ModuleList()
        for _ in range(architecture["blocks"]):
            self.bottleneck.append(DenseBlock(width, growth, contrasts))
            width += growth * len(DILATIONS)
        self.up = nn.ModuleList(
            _convolution(nn.Conv2d, a, b)
            for a, b in ((width + middle, middle), (middle + high, high))
        )
        features = architecture["features"]
        self.last = _convolution(nn.Conv2d, 2 * high, features, size=1)
        self.attention = ChannelAttention(features, contrasts)
        self.head = nn.Conv2d(features, 2 * self.classes, 1)

    def forward(self, stack):
        """Logits of the middle slice; ValueError for another number of slices."""
        if stack.shape[2] != SLICES:
            raise ValueError(f"DeepSCAN takes {SLICES} slices at a time, not {stack.shape[2]}")
        present = (stack != 0).flatten(2).any(2).to(stack.dtype)
        high = self.stem(stack)[:, :, 0]
        middle = self.down[0](high)
        deep = self.down[1](middle)
        for block in self.bottleneck:
            deep = block(deep, present)
        raised = self.up[0](torch.cat([_double(deep), middle], 1))
        raised = self.up[1](torch.cat([_double(raised), high], 1))
        features = self.attention(self.last(torch.cat([raised, high], 1)), present)
        return self.head(features).unflatten(1, (2, self.classes))


class DenseBlock(nn.Module):
    """Dense block: four 3x3 convolutions of growing dilation, then attention to channels."""

    def __init__(self, width: int, growth: int, contrasts: int):
        super().__init__()
        self.layers = nn.ModuleList(
            _convolution(nn.Conv2d, width + i * growth, growth, dilation=dilation)
            for i, dilation in enumerate(DILATIONS)
        )
        self.attention = ChannelAttention(width + growth * len(DILATIONS), contrasts)

    def forward(self, features, present):
        """(N, C, H, W) to (N, C + 4 growth, H, W)."""
        # In bf16 and channels-last, oneDNN's weight gradient of a dilated convolution is NaN
        # (torch 2.13, CPU without AMX); these layers are small and no slower in fp32.
        with torch.autocast(features.device.type, enabled=False):
            features, present = features.float(), present.float()
            for layer in self.layers:
                features = torch.cat([features, layer(features)], 1)
            return self.attention(features, present)


class ChannelAttention(nn.Module):
    """Squeeze and excitation: weighs channels by their means and by the contrasts present."""

    def __init__(self, channels: int, contrasts: int, reduction: int = 8):
        super().__init__()
        hidden = max(4, channels // reduction)
        self.weigh = nn.Sequential(
            nn.Linear(channels + contrasts, hidden),
            nn.ReLU(),
            nn.Linear(hidden, channels),
            nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, features, present):
        """Features (N, C, H, W) and presence (N, contrasts): weighed features of the same shape."""
        weights = self.weigh(torch.cat([features.mean((2, 3)), present], 1))
        return features * weights[:, :, None, None]


def _convolution(kind, inward: int, outward: int, size: int = 3, **options):
    """Convolution, instance normalisation, ReLU; padded to keep the plane's size."""
    options.setdefault("padding", options.get("dilation", 1) * (size // 2))
    norm = nn.InstanceNorm3d if kind is nn.Conv3d else nn.InstanceNorm2d
    return nn.Sequential(
        kind(inward, outward, size, **options), norm(outward, affine=True), nn.ReLU()
    )


def _double(features):
    return nn.functional.interpolate(features, scale_factor=2, mode="nearest")


def planes(volume, direction: int, first: int, last: int):
    """Slices ``first`` to ``last`` (exclusive) of a volume (C, X, Y, Z): (C, slices, 160, 192).

    ``direction`` is AXIAL (rows x, columns y), CORONAL (x, z) or SAGITTAL (z, y). Slices beyond
    the volume are zero, and so is what pads a plane. The canvas is 160 x 192 x 160.
    """
    length = volume.shape[1 + direction]
    inside = volume.narrow(1 + direction, max(first, 0), min(last, length) - max(first, 0))
    stack = inside.movedim(1 + direction, 1)
    if direction == SAGITTAL:
        stack = stack.transpose(2, 3)
    missing = PLANE[1] - stack.shape[3]
    around = (missing // 2, missing - missing // 2, 0, 0, max(-first, 0), max(last - length, 0))
    return nn.functional.pad(stack, around)


def volume_of(slices, direction: int, shape):
    """Slices (C, N, 160, 192) back to a volume (C, X, Y, Z) of ``shape``: undoes ``planes``."""
    axes = [0, 1, 2]
    axes.remove(direction)
    width = shape[axes[0]] if direction == SAGITTAL else shape[axes[1]]
    start = (PLANE[1] - width) // 2
    stack = slices[..., start : start + width]
    if direction == SAGITTAL:
        stack = stack.transpose(2, 3)
    return stack.movedim(1, 1 + direction)
