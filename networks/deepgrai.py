"""DeepGRAI: the thalamus from a FLAIR image (Dwyer 2021, section 2.1).

Stage 1 finds the thalamus on a 2 mm grid of 256x256x128 mm; the centre of mass of its
probability map places stage 2, which segments a 0.5 mm grid of 64x64x32 mm. Different from the
paper: stage 2 slides over 64x64x44 mm in two overlapping windows, because a pitched head's
thalami are up to 36 mm high, and the map is averaged with that of the mirrored image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from networks.geometry import InputGrid, image_axes, normalise, resample_to_grid, sample_volume
from networks.weights import load_network

STAGES = ("deepgrai-stage1", "deepgrai-stage2")
CANVAS_EXTRA_VOXELS = 24  # stage 2's grid is extended by 12 mm in the inferior-superior direction
LEAST_LOCALISED_ML = 1.0


class ThalamusNotFound(ValueError):
    """Stage 1 sees no thalamus in the image."""


@dataclass
class ThalamusMap:
    """Result of DeepGRAI.

    ``probability``: float32 (X, Y, Z) on the FLAIR's grid, mean over each voxel's volume.
    ``fine``: float32 map on the 0.5 mm canvas, ``fine_affine`` its voxel-to-world affine.
    """

    probability: np.ndarray
    fine: np.ndarray
    fine_affine: np.ndarray
    localiser_centre_mm: np.ndarray


def load_stages(model_dir: Path | None = None, device: str = "cpu") -> list:
    """Load both stages: [(network, card), (network, card)]."""
    return [load_network(name, model_dir, device) for name in STAGES]


def segment_thalamus(
    data: np.ndarray, affine: np.ndarray, brain_centre_mm, stages: list, device: str = "cpu"
) -> ThalamusMap:
    """Probability of thalamus in a FLAIR (X, Y, Z), voxel-to-world ``affine`` (mm, RAS+ world).

    ``brain_centre_mm`` is the centre of the brain in world mm; ``stages`` comes from load_stages.
    Raises ThalamusNotFound when stage 1 marks less than 1 mL.
    """
    import torch

    with torch.inference_mode():
        centre = _localise(data, affine, brain_centre_mm, *stages[0], device)
        fine, fine_affine = _segment(data, affine, centre, *stages[1], device)
        fine = _keep_main_parts(fine.cpu().numpy())
        probability = _to_image_grid(fine, fine_affine, data.shape, affine)
    return ThalamusMap(probability, fine, fine_affine, centre)


def _localise(data, affine, brain_centre_mm, network, card, device):
    import torch
    from scipy.ndimage import center_of_mass

    grid = InputGrid.from_card(card)
    grid_affine = grid.affine(np.asarray(brain_centre_mm, float), image_axes(affine))
    volume = normalise(resample_to_grid(data, affine, grid, grid_affine))
    probability = torch.sigmoid(network(volume[None, None].to(device)))[0, 0].cpu().numpy()
    probability = _keep_main_parts(probability)
    mask = probability > 0.5
    if mask.sum() * np.prod(grid.voxel_mm) / 1000 < LEAST_LOCALISED_ML:
        raise ThalamusNotFound("no thalamus was found in this image; is it a FLAIR of a brain?")
    centre = center_of_mass(np.where(mask, probability, 0))
    return grid_affine[:3, :3] @ centre + grid_affine[:3, 3]


def _segment(data, affine, centre_mm, network, card, device):
    import torch
    from monai.inferers import sliding_window_inference

    grid = InputGrid.from_card(card)
    x, y, z = grid.shape
    canvas = InputGrid((x, y, z + CANVAS_EXTRA_VOXELS), grid.voxel_mm)
    canvas_affine = canvas.affine(centre_mm, image_axes(affine))
    volume = normalise(resample_to_grid(data, affine, canvas, canvas_affine)).to(device)

    def slide(image):
        logits = sliding_window_inference(
            image[None, None], grid.shape, sw_batch_size=1, predictor=network,
            overlap=0.6, mode="gaussian",
        )  # fmt: skip
        return torch.sigmoid(logits)[0, 0]

    mirrored = slide(volume.flip(0)).flip(0)
    return (slide(volume) + mirrored) / 2, canvas_affine


def _keep_main_parts(probability: np.ndarray) -> np.ndarray:
    """Zero what is not connected to the largest part (p > 0.5) or one at least a third of it."""
    from scipy import ndimage

    parts, count = ndimage.label(probability > 0.5)
    if count == 0:
        return probability
    sizes = np.bincount(parts.ravel())[1:]
    kept = np.isin(parts, 1 + np.flatnonzero(sizes >= sizes.max() / 3))
    reach = ndimage.binary_dilation(kept, iterations=3)
    return np.where(reach, probability, 0).astype(np.float32)


def _to_image_grid(fine: np.ndarray, fine_affine: np.ndarray, shape, affine) -> np.ndarray:
    """Mean of the fine map over every voxel of the image: partial volume as in the acquisition."""
    import torch

    voxel_mm = np.linalg.norm(affine[:3, :3], axis=0)
    to_image = np.linalg.inv(affine) @ fine_affine
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in fine.shape])).reshape(3, -1)
    reach = to_image[:3, :3] @ corners + to_image[:3, 3:]
    low = np.clip(np.floor(reach.min(1)), 0, np.array(shape) - 1).astype(int)
    high = np.clip(np.ceil(reach.max(1)) + 1, 1, shape).astype(int)
    steps = np.maximum(1, np.round(voxel_mm / 0.5)).astype(int)
    axes = [
        torch.arange((b - a) * n, dtype=torch.float32) / n + a - 0.5 + 0.5 / n
        for a, b, n in zip(low, high, steps, strict=True)
    ]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    back = torch.as_tensor(np.linalg.inv(to_image), dtype=torch.float32)
    values = sample_volume(torch.from_numpy(fine), points @ back[:3, :3].T + back[:3, 3])
    mean = torch.nn.functional.avg_pool3d(values[None, None], tuple(int(n) for n in steps))[0, 0]
    probability = np.zeros(shape, np.float32)
    probability[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = mean.numpy()
    return probability
