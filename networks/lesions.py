"""Lesions and structures of a brain from any of T1w, T2w and FLAIR (McKinley 2021).

Both networks see brain-extracted images on a canvas of 160 x 192 x 160 mm at 1 mm along the axes
of the first image (FLAIR, else T2w). DeepSCAN goes through it axially, coronally and sagittally
and its mirror, six times in all, whose logits are averaged; the 3D U-Net slides over it and its
mirror.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from networks.brain_classes import CONTRASTS, LESION
from networks.deepscan import AXIAL, CORONAL, SAGITTAL, SLICES, planes, volume_of
from networks.geometry import (
    InputGrid,
    brain_extent,
    image_axes,
    normalise,
    resample_to_grid,
)
from networks.sliding import mirrored_mean

CANVAS = InputGrid((160, 192, 160), (1.0, 1.0, 1.0))


@dataclass
class Contrast:
    """One image (X, Y, Z) of a head, its affine (mm, RAS+), and where it lies.

    ``from_first`` (4 x 4) leads from world points of the first image to those of this one.
    """

    name: str
    data: np.ndarray
    affine: np.ndarray
    from_first: np.ndarray


@dataclass
class LesionMap:
    """What a network sees on its canvas, whose voxel-to-world affine is ``affine``.

    ``likelihood`` is float32 (17, 160, 192, 160) in the order of brain_classes.CLASSES and sums to
    1; ``flip`` the probability that the label of lesion or no lesion is wrong, None from a network
    that has none. ``clipped`` is the share of the brain mask beyond the canvas.
    """

    likelihood: np.ndarray
    flip: np.ndarray | None
    affine: np.ndarray
    clipped: float


def segment_lesions(contrasts: list[Contrast], mask, network, card, device="cpu") -> LesionMap:
    """Classes of every voxel of the canvas, from one to three contrasts.

    ``mask`` (X, Y, Z, bool) is the brain on the grid of the first contrast, which is the one that
    lesions are drawn on: FLAIR, else T2w. Raises ValueError for an empty mask, for contrasts named
    twice and where neither FLAIR nor T2w comes first.
    """
    import torch

    names = [contrast.name for contrast in contrasts]
    if not names or names[0] not in ("FLAIR", "T2w") or len(set(names)) < len(names):
        raise ValueError(f"lesions need a FLAIR or a T2w first and each contrast once, not {names}")
    first = contrasts[0]
    affine, clipped = _canvas(mask, first.affine)
    brain = resample_to_grid(mask.astype(np.float32), first.affine, CANVAS, affine) > 0.5
    volume = torch.zeros((len(CONTRASTS), *CANVAS.shape))
    for contrast in contrasts:
        seen_from_first = np.linalg.inv(contrast.from_first) @ contrast.affine
        image = resample_to_grid(contrast.data, seen_from_first, CANVAS, affine)
        volume[CONTRASTS.index(contrast.name)] = normalise(image.clamp(min=0) * brain) * brain
    run = _deepscan if card["architecture"]["kind"] == "deepscan" else _unet
    with torch.inference_mode():
        logits = run(volume.to(device), brain, network, card).cpu()
        classes = card["architecture"]["classes"]
        likelihood = calibrated(logits[:classes].softmax(0), card.get("calibration")).numpy()
        flip = logits[classes].sigmoid().numpy() if len(logits) > classes else None
    inside = brain.numpy()
    likelihood *= inside
    likelihood[0] += ~inside
    return LesionMap(likelihood, None if flip is None else flip * inside, affine, clipped)


def calibrated(likelihood, calibration: dict | None):
    """Likelihoods (K, ...) with the log-odds of lesion times ``slope`` plus ``offset``.

    The other classes keep their shares of the rest. ``calibration`` is a model card's entry: it
    takes off what training weighed lesions up by, and what held-out heads showed to be too sure.
    """
    if calibration is None:
        return likelihood
    lesion = likelihood[LESION].clamp(1e-7, 1 - 1e-7)
    found = (calibration["slope"] * lesion.logit() + calibration["offset"]).sigmoid()
    changed = likelihood * ((1 - found) / (1 - lesion))
    changed[LESION] = found
    return changed


def _canvas(mask, affine):
    """Affine of the canvas about a brain mask, and the share of the mask that lies beyond it.

    Its first voxel lies in the middle of a voxel of the image, so that an image of 1 mm is not
    interpolated: half a voxel aside, a lesion of a few voxels fades to less than half.
    """
    if not mask.any():
        raise ValueError("the brain mask is empty")
    centre, _ = brain_extent(mask, affine)
    canvas = CANVAS.affine(centre, image_axes(affine))
    corner = np.linalg.inv(affine) @ canvas[:, 3]
    canvas[:, 3] = affine @ [*np.round(corner[:3]), 1]
    to_canvas = np.linalg.inv(canvas) @ affine
    voxels = np.argwhere(mask) @ to_canvas[:3, :3].T + to_canvas[:3, 3]
    beyond = ((voxels < -0.5) | (voxels > np.array(CANVAS.shape) - 0.5)).any(1)
    return canvas, float(beyond.mean())


def _deepscan(volume, brain, network, card, batch: int = 4):
    """Mean logits of the classes and of the lesion's flip: (18, X, Y, Z)."""
    import torch

    classes = card["architecture"]["classes"]
    total = torch.zeros((classes + 1, *CANVAS.shape), device=volume.device)
    for mirrored in (False, True):
        seen = volume.flip(1) if mirrored else volume
        for direction in (AXIAL, CORONAL, SAGITTAL):
            others = tuple(axis for axis in range(3) if axis != direction)
            inside = (brain.flip(0) if mirrored else brain).any(others[1]).any(others[0])
            for numbers in inside.nonzero()[:, 0].split(batch):
                stacks = [planes(seen, direction, n - SLICES // 2, n + SLICES // 2 + 1)
                          for n in numbers.tolist()]  # fmt: skip
                found = network(torch.stack(stacks))
                wanted = torch.cat([found[:, 0], found[:, 1, LESION : LESION + 1]], 1)
                part = volume_of(wanted.movedim(0, 1), direction, CANVAS.shape)
                places = numbers.to(volume.device)
                if mirrored:
                    part = part.flip(1)
                    if direction == SAGITTAL:
                        places = CANVAS.shape[0] - 1 - places.flip(0)
                total.index_add_(1 + direction, places, part, alpha=1 / 6)
    return total


def _unet(volume, brain, network, card):
    """Mean logits of the classes over the brain and its mirror: (17, X, Y, Z)."""
    return mirrored_mean(volume, network, card["input"]["shape"], overlap=0.25)
