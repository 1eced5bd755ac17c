"""Lesions in the label maps: shapes of real ones, and random ellipsoids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from networks.geometry import sample_volume
from training.deformation import random_affine
from training.randomness import chance, rand, uniform, whole_number
from training.sources import THALAMUS_LABELS

WHITE_MATTER = (2, 41)
LESION = 25


@dataclass
class LesionShapes:
    """Masks of single lesions: float32 (X, Y, Z) with a margin, and their voxel size in mm."""

    masks: list[np.ndarray]
    voxel_mm: float = 1.0


def read_lesion_shapes(paths: list[Path], least_mm3: float = 10.0) -> LesionShapes:
    """Connected components (18-connectivity) of lesion masks with isotropic voxels.

    Raises ValueError for a mask whose voxels are not cubes.
    """
    import nibabel as nib
    from scipy import ndimage

    shapes, voxel_mm = [], 1.0
    for path in paths:
        image = nib.load(path)
        zooms = np.asarray(image.header.get_zooms()[:3])
        if np.ptp(zooms) > 0.01:
            raise ValueError(f"{path}: voxels of {zooms} mm are not cubes; resample the mask first")
        voxel_mm = float(zooms[0])
        parts, _ = ndimage.label(
            np.asarray(image.dataobj) > 0, ndimage.generate_binary_structure(3, 2)
        )
        for number, box in enumerate(ndimage.find_objects(parts), start=1):
            part = parts[box] == number
            if part.sum() * voxel_mm**3 >= least_mm3:
                shapes.append(np.pad(part, 2).astype(np.float32))
    return LesionShapes(shapes, voxel_mm)


def implant_lesions(
    labels, generator, voxel_mm: float, shapes: LesionShapes | None = None, most: int = 12
):
    """Turn white matter (and now and then thalamus) into lesion label 25.

    Real ``shapes``, when there are some, are turned, scaled and placed at random, half of the time;
    the other lesions are ellipsoids of 1 to 5 mm radius.
    """
    lesions = torch.zeros(labels.shape, dtype=torch.bool, device=labels.device)
    extent = torch.tensor(labels.shape, dtype=torch.float32, device=labels.device)
    for _ in range(whole_number(generator, 0, most)):
        add_lesion(lesions, rand(3, generator) * extent, shapes, generator, voxel_mm)
    allowed = torch.zeros_like(lesions)
    for label in WHITE_MATTER + (THALAMUS_LABELS if chance(generator, 0.2) else ()):
        allowed |= labels == label
    return torch.where(lesions & allowed, torch.full_like(labels, LESION), labels)


def add_lesion(lesions, centre, shapes: LesionShapes | None, generator, voxel_mm: float) -> None:
    """Set a mask (X, Y, Z, bool) in a real shape or an ellipsoid about ``centre`` (voxels)."""
    if shapes and shapes.masks and chance(generator, 0.5):
        _add_shape(lesions, centre, shapes, generator, voxel_mm)
    else:
        _add_ellipsoid(lesions, centre, generator, voxel_mm)


def _box(centre, reach, extent):
    """Slices of the voxels within ``reach`` of ``centre``, and their coordinates from there."""
    low = [max(0, int(c - r)) for c, r in zip(centre.tolist(), reach, strict=True)]
    high = [min(n, int(c + r) + 2) for c, r, n in zip(centre.tolist(), reach, extent, strict=True)]
    axes = [
        torch.arange(a, b, device=centre.device) - c
        for a, b, c in zip(low, high, centre, strict=True)
    ]
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True)), axes


def _add_ellipsoid(lesions, centre, generator, voxel_mm: float) -> None:
    radius = [uniform(generator, 1.0, 5.0) / voxel_mm for _ in range(3)]
    box, axes = _box(centre, radius, lesions.shape)
    x, y, z = ((axis / r) ** 2 for axis, r in zip(axes, radius, strict=True))
    lesions[box] |= (x[:, None, None] + y[:, None] + z) < 1


def _add_shape(lesions, centre, shapes: LesionShapes, generator, voxel_mm: float) -> None:
    mask = shapes.masks[whole_number(generator, 0, len(shapes.masks))]
    data = torch.from_numpy(mask).to(lesions.device)
    reach = max(mask.shape) * shapes.voxel_mm / voxel_mm * 0.8
    box, axes = _box(centre, [reach] * 3, lesions.shape)
    turn = random_affine(generator, rotation_deg=180, scaling=0.3, shear=0.1)
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    middle = (torch.tensor(data.shape, device=data.device) - 1) / 2
    places = offsets @ turn.T * (voxel_mm / shapes.voxel_mm) + middle
    lesions[box] |= sample_volume(data, places) > 0.5
