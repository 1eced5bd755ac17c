"""Enhancement with gadolinium predicted from images without it (Narayana 2020).

A network looks at every axial slice with a lesion, through the lesion mask; a second one makes
the participant's probability of the slices' scores. What the paper leaves open is stated here:

- The input is T1w (pre-contrast), T2w and FLAIR, brain-extracted and bias-corrected, on slices of
  the card's size (1 x 1 mm, 3 mm thick as in CombiRx) along the axes of the FLAIR, with planes on
  its planes.
- Normalised to zero mean and unit variance of the brain, then diffused (networks.diffusion).
- The lesion mask is dilated "by 3 voxels in each direction": a cube, in voxels of that grid.
- Slices without a lesion carry no information; they are neither trained on nor scored.
- The paper does not say how numbers of slices were made equal: here the highest scores, sorted,
  with zeros after the last (the card's ``scores``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from networks.brain_classes import CONTRASTS
from networks.diffusion import diffuse
from networks.geometry import (
    InputGrid,
    brain_extent,
    image_axes,
    mean_over_voxels,
    normalise,
    resample_to_grid,
)
from networks.lesions import Contrast

NAME = "enhancement"
ARCHITECTURE = {
    "kind": NAME, "width": 0.25, "hidden": 256, "dropout": 0.5,
    "scores": 20, "nodes": 4, "participant_dropout": 0.2,
}  # fmt: skip
INPUT = {
    "shape": [224, 224, 61], "voxel_mm": [1.0, 1.0, 3.0], "dilation_voxels": 3,
    "diffusion": {"edge": 0.5, "iterations": 5}, "channels": list(CONTRASTS),
}  # fmt: skip
#: Share of a network's voxel from which it belongs to a mask. A third of a 3 mm slice is a 2 mm
#: lesion that two slices share.
LEAST_SHARE = 0.25


@dataclass
class LesionSlices:
    """The slices with lesions, from below.

    ``images`` is float32 (S, 3, H, W), T1w, T2w and FLAIR, zero outside the dilated mask;
    ``numbers`` (S,) their places on the grid of ``affine`` (4 x 4, world mm), ``mask``
    (X, Y, Z, bool) the dilated mask on it. ``clipped`` is the lesions' share beyond the grid.
    """

    images: np.ndarray
    numbers: np.ndarray
    mask: np.ndarray
    affine: np.ndarray
    clipped: float


def cut_slices(contrasts: list[Contrast], brain, lesions, card: dict) -> LesionSlices:
    """Cut the slices that the networks look at.

    ``contrasts`` are T1w, T2w and FLAIR in any order, the first of them the one on whose grid
    ``brain`` and ``lesions`` (X, Y, Z, bool) lie. Raises ValueError for an empty brain mask and
    where a contrast is missing.
    """
    found = {contrast.name: contrast for contrast in contrasts}
    if set(found) != set(CONTRASTS) or len(contrasts) != len(CONTRASTS):
        raise ValueError(f"enhancement needs {', '.join(CONTRASTS)}, each once")
    if not brain.any():
        raise ValueError("the brain mask is empty")
    first, grid = contrasts[0], InputGrid.from_card(card)
    affine = _grid_affine(brain, first.affine, grid)
    inside = resample_to_grid(brain.astype(np.float32), first.affine, grid, affine) > 0.5
    share = onto_grid(lesions, first.affine, grid, affine)
    seen = share >= LEAST_SHARE
    mask = _dilated(seen, card["input"]["dilation_voxels"]) & inside.numpy()
    numbers = np.flatnonzero((seen & mask).any((0, 1)))
    images = np.zeros((len(numbers), len(CONTRASTS), *grid.shape[:2]), np.float32)
    for channel, name in enumerate(CONTRASTS):
        contrast = found[name]
        from_first = np.linalg.inv(contrast.from_first) @ contrast.affine
        image = resample_to_grid(contrast.data, from_first, grid, affine)
        image = normalise(image.clamp(min=0) * inside).numpy()
        images[:, channel] = diffuse(
            np.moveaxis(image[:, :, numbers], 2, 0), **card["input"]["diffusion"]
        )
    images *= np.moveaxis(mask[:, :, numbers], 2, 0)[:, None]
    volume = np.prod(grid.voxel_mm) / abs(np.linalg.det(first.affine[:3, :3]))
    inner = float(share.sum() * volume / lesions.sum()) if lesions.any() else 1.0
    return LesionSlices(images, numbers, mask, affine, max(0.0, 1 - inner))


def _grid_affine(brain, affine, grid: InputGrid) -> np.ndarray:
    """Affine of the grid about the brain, its middle plane on a plane of the image."""
    centre, _ = brain_extent(brain, affine)
    axes = image_axes(affine)
    up = axes[:, 2]
    step = float(np.abs(up @ affine[:3, :3]).max())
    height = (centre - affine[:3, 3]) @ up
    return grid.affine(centre + (round(height / step) * step - height) * up, axes)


def onto_grid(mask, affine, grid: InputGrid, grid_affine) -> np.ndarray:
    """Share (X, Y, Z) of every voxel of a grid that a mask fills."""
    return mean_over_voxels(
        np.asarray(mask, np.float32)[None], affine, grid.shape, grid_affine
    )[0]  # fmt: skip


def _dilated(mask, voxels: int) -> np.ndarray:
    from scipy.ndimage import binary_dilation

    return binary_dilation(mask, np.ones((2 * voxels + 1,) * 3, bool)) if mask.any() else mask


def score_slices(images, network, device="cpu", batch: int = 16) -> np.ndarray:
    """Probability (S,) of enhancement in each of (S, 3, H, W) slices; ``network.slices`` runs."""
    import torch

    scores = [np.zeros(0, np.float32)]
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            part = torch.from_numpy(np.asarray(images[start : start + batch], np.float32))
            scores.append(network.slices(part.to(device)).sigmoid().cpu().numpy())
    return np.concatenate(scores)


def highest(scores, count: int) -> np.ndarray:
    """The highest of any number of scores, sorted downwards, zeros after the last: (count,)."""
    kept = np.sort(np.asarray(scores, np.float32))[::-1][:count]
    return np.pad(kept, (0, count - len(kept)))


def participant_probability(scores, network, card: dict, device="cpu") -> float:
    """Probability that a participant with these slice scores (S,) has any enhancing lesion."""
    import torch

    given = torch.from_numpy(highest(scores, card["architecture"]["scores"]))[None]
    with torch.inference_mode():
        return float(network.participant(given.to(device)).sigmoid())
