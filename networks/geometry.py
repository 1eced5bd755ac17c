"""Input grids of the networks, and resampling onto them.

A network sees a regular grid whose axes are the acquired axes of the image, reordered to
right-anterior-superior (RAS). It is not rotated into scanner or template axes: thick slices
then always lie along a grid axis, as they do in training, and no registration can move the
measurement. The same functions serve training and inference, so the two cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np


@dataclass(frozen=True)
class InputGrid:
    """A network's field of view: number of voxels (x, y, z) and voxel size in mm."""

    shape: tuple[int, int, int]
    voxel_mm: tuple[float, float, float]

    @classmethod
    def from_card(cls, card: dict) -> InputGrid:
        """Read the grid of a model card (keys ``shape`` and ``voxel_mm`` under ``input``)."""
        return cls(tuple(card["input"]["shape"]), tuple(card["input"]["voxel_mm"]))

    def affine(self, centre_mm: np.ndarray, axes: np.ndarray) -> np.ndarray:
        """Voxel-to-world affine (4x4) of the grid centred at ``centre_mm`` along ``axes``."""
        affine = np.eye(4)
        affine[:3, :3] = axes * np.asarray(self.voxel_mm)
        middle = (np.asarray(self.shape) - 1) / 2
        affine[:3, 3] = centre_mm - affine[:3, :3] @ middle
        return affine


def image_axes(affine: np.ndarray) -> np.ndarray:
    """Unit vectors (columns, 3x3) of the image's axes in world space, nearest to R, A, S."""
    canonical = nib.as_closest_canonical(nib.Nifti1Image(np.zeros((1, 1, 1), np.uint8), affine))
    axes = canonical.affine[:3, :3]
    return axes / np.linalg.norm(axes, axis=0)


def brain_extent(brain: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (world mm) and size (mm, along the axes nearest to R, A, S) of a mask (X, Y, Z).

    Both from the 1st and 99th percentile of its voxels, so that a spur of the mask counts little.
    """
    axes = image_axes(affine)
    along = (np.argwhere(brain) @ affine[:3, :3].T + affine[:3, 3]) @ axes
    low, high = np.percentile(along, (1, 99), axis=0)
    return axes @ ((low + high) / 2), high - low


def sample_volume(data, points, mode: str = "bilinear"):
    """Sample a volume at fractional voxel positions; zero outside.

    ``data`` is a torch tensor (X, Y, Z), ``points`` (..., 3) in its voxel coordinates;
    ``mode`` is ``bilinear`` (trilinear in 3D) or ``nearest``. Returns a tensor (...).
    """
    import torch
    from torch.nn.functional import grid_sample

    size = torch.tensor(data.shape, dtype=points.dtype, device=points.device)
    # grid_sample wants (z, y, x) order in [-1, 1], where +-1 are the centres of the edge voxels.
    normalised = (2 * points / (size - 1).clamp(min=1) - 1).flip(-1)
    grid = normalised.reshape(1, 1, 1, -1, 3)
    values = grid_sample(
        data[None, None].to(points.dtype), grid, mode=mode, padding_mode="zeros", align_corners=True
    )
    return values.reshape(points.shape[:-1])


def grid_points(grid: InputGrid, affine: np.ndarray, device="cpu"):
    """World-to-voxel composed positions of every grid voxel: tensor (X, Y, Z, 3) of ``affine``."""
    import torch

    axes = [torch.arange(n, dtype=torch.float32, device=device) for n in grid.shape]
    index = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    matrix = torch.as_tensor(affine, dtype=torch.float32, device=device)
    return index @ matrix[:3, :3].T + matrix[:3, 3]


def antialias(data: np.ndarray, voxel_mm: np.ndarray, target_mm: np.ndarray) -> np.ndarray:
    """Gaussian blur along the axes that the target grid samples more coarsely.

    The kernel's full width at half maximum is the width missing to the target voxel, so that an
    image coarser than the grid is left as it is.
    """
    from scipy.ndimage import gaussian_filter

    missing = np.sqrt(np.maximum(np.square(target_mm) - np.square(voxel_mm), 0))
    sigma = missing / np.asarray(voxel_mm) / 2.3548
    sigma[sigma < 0.3] = 0
    return gaussian_filter(data, sigma) if sigma.any() else data


def resample_to_grid(data: np.ndarray, affine: np.ndarray, grid: InputGrid, grid_affine):
    """Resample an image (X, Y, Z) onto a network grid, trilinear after antialiasing.

    Returns a float32 torch tensor of ``grid.shape``; zero outside the image.
    """
    import torch

    voxel_mm = np.linalg.norm(affine[:3, :3], axis=0)
    order = nib.io_orientation(affine)[:, 0].astype(int)
    smooth = antialias(data.astype(np.float32), voxel_mm, np.asarray(grid.voxel_mm)[order])
    points = grid_points(grid, np.linalg.inv(affine) @ grid_affine)
    return sample_volume(torch.from_numpy(np.ascontiguousarray(smooth)), points)


def mean_over_voxels(fine: np.ndarray, fine_affine: np.ndarray, shape, affine) -> np.ndarray:
    """Mean of maps over every voxel of an image: partial volume as in the acquisition.

    ``fine`` (C, X, Y, Z) with voxel-to-world ``fine_affine`` (4x4, mm) are maps on a network's
    grid; the result is float32 (C, *shape) on the grid of ``affine``, and zero outside the maps.
    """
    import torch

    means = np.zeros((len(fine), *shape), np.float32)
    filled = [np.flatnonzero(fine.any(axis=tuple({0, 1, 2, 3} - {a}))) for a in (1, 2, 3)]
    if not filled[0].size:
        return means
    voxel_mm, fine_mm = (np.linalg.norm(a[:3, :3], axis=0) for a in (affine, fine_affine))
    to_image = np.linalg.inv(affine) @ fine_affine
    # Interpolation reaches less than a voxel beyond what is filled; the rest stays zero.
    ends = [(f[0] - 1, f[-1] + 1) for f in filled]
    corners = np.array(np.meshgrid(*ends)).reshape(3, -1)
    reach = to_image[:3, :3] @ corners + to_image[:3, 3:]
    # a voxel is half a voxel wider than its centre
    low = np.clip(np.floor(reach.min(1) - 0.5), 0, np.array(shape) - 1).astype(int)
    high = np.clip(np.ceil(reach.max(1) + 0.5) + 1, 1, shape).astype(int)
    steps = np.maximum(1, np.round(voxel_mm / fine_mm.min())).astype(int)
    axes = [
        torch.arange(a * n, b * n, dtype=torch.float32) / n - 0.5 + 0.5 / n
        for a, b, n in zip(low, high, steps, strict=True)
    ]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    back = torch.as_tensor(np.linalg.inv(to_image), dtype=torch.float32)
    places = points @ back[:3, :3].T + back[:3, 3]
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    for mean, one in zip(means, fine, strict=True):
        values = sample_volume(torch.from_numpy(np.ascontiguousarray(one)), places)[None, None]
        pooled = torch.nn.functional.avg_pool3d(values, tuple(int(n) for n in steps))
        mean[box] = pooled[0, 0].numpy()
    return means


def tissue_scale(volume):
    """Mean and standard deviation (0-d tensors) of a volume's tissue; None where there is none.

    Tissue is what exceeds 5% of the 99.5th percentile: air and a removed skull must not shift
    the scale, or a skull-stripped image would look unlike one with its skull. ``volume`` is a
    tensor of any shape.
    """
    import torch

    flat = volume.flatten()
    step = max(1, flat.numel() // 20_000)
    top = torch.quantile(flat[::step], 0.995)
    tissue = flat[flat > 0.05 * top]
    if top <= 0 or tissue.numel() < 100:
        return None
    return tissue.mean(), tissue.std() + 1e-6


def normalise(volume):
    """Scale a volume to zero mean and unit variance of its tissue, in place of batch statistics.

    Tissue is that of :func:`tissue_scale`. Values are clipped to [-4, 4] (vessels, fat).
    ``volume`` is a tensor (X, Y, Z); an empty volume stays zero.
    """
    import torch

    scale = tissue_scale(volume)
    if scale is None:
        return torch.zeros_like(volume)
    return ((volume - scale[0]) / scale[1]).clamp(-4, 4)
