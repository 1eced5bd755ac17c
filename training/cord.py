"""Training of the cord's networks: settings, losses, validation (Gros 2019, 2.2.2 and 2.2.3)."""

from __future__ import annotations

import torch
from torch.nn import functional

# The paper gives the number of downsamplings, dilation, dropout and patches, but no filters. Its
# dropout of 0.2 (2D) and 0.4 (3D) keeps a network from learning its images by heart; phantoms are
# drawn anew for every step, and there it only made the networks learn slowly.
DETECTOR = {
    "architecture": {
        "kind": "cord_unet", "dims": 2, "filters": [16, 32, 64], "dilation": 3, "dropout": 0.05,
    },
    "input": {"shape": [96, 96], "voxel_mm": [0.5, 0.5]},
}  # fmt: skip
_WINDOWS = {
    "kind": "cord_unet", "dims": 3, "filters": [16, 32, 64], "dropout": 0.05, "in_channels": 2,
}  # fmt: skip
CORD = {
    "architecture": _WINDOWS,
    "input": {"shape": [64, 64, 48], "voxel_mm": [0.5, 0.5, 0.5]},
}
LESION = {
    "architecture": _WINDOWS,
    "input": {"shape": [48, 48, 48], "voxel_mm": [0.5, 0.5, 0.5]},
}

AREA_WEIGHT = 4.0


def dice_loss(logits, target):
    """Soft Dice loss (N, 1, ...) over a whole batch: a slice without cord alone has no Dice."""
    probability = logits.sigmoid()
    shared = (probability * target).sum()
    return 1 - (2 * shared + 1) / (probability.sum() + target.sum() + 1)


def share_loss(logits, target):
    """Cross-entropy against every voxel's share of cord, 0 to 1, and a little Dice.

    Different from the paper, which has Dice alone. That is greatest when every voxel more likely
    than half of it is counted, so thin cords came out up to a quarter too large, while the
    cross-sectional area is the sum of shares. Of a window a thirtieth is cord: times 30 the
    cross-entropy weighs as if over the cord alone.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, target)
    return 30 * entropy + 0.1 * dice_loss(logits, target)


def area_loss(logits, target):
    """share_loss of windows (N, 1, X, Y, Z) and the error of every slice's area.

    The voxels of an edge err together: an outline 0.1 mm too far out costs the cross-entropy
    hardly anything, yet 4 % of a cord's area. Relative to the true area, 5 mm2 at least.
    """
    found, truth = logits.sigmoid().sum((2, 3)), target.sum((2, 3))
    error = ((found - truth).abs() / truth.clamp(min=20)).mean()
    return share_loss(logits, target) + AREA_WEIGHT * error


def lesion_loss(logits, target):
    """Dice, as in the paper, and cross-entropy, without which small lesions are learnt slowly."""
    return dice_loss(logits, target) + functional.binary_cross_entropy_with_logits(logits, target)


def pooled_dice(samples: list):
    """A validation measure: Dice of all (image, target) pairs (N, 1, ...) together."""

    def validate(network) -> float:
        shared = total = 0.0
        for image, target in samples:
            found, truth = network(image) > 0, target > 0.5
            shared += 2 * (found & truth).sum().item()
            total += (found.sum() + truth.sum()).item()
        return shared / max(total, 1.0)

    return validate


def middle_layers(network, sample):
    """For a picture: image, truth and finding of the slice that shows most."""
    image, target = sample
    found = (network(image) > 0).float()
    if image.ndim == 4:
        n = int(target.sum((1, 2, 3)).argmax())
        return tuple(part[n, 0] for part in (image, target > 0.5, found))
    z = int(target[0, 0].sum((0, 1)).argmax())
    return tuple(part[0, 0, :, :, z] for part in (image, target > 0.5, found))


def join(samples: list):
    """Samples (N, 1, ...) of several scenes as one batch."""
    images, targets = zip(*samples, strict=True)
    return torch.cat(images), torch.cat(targets)
