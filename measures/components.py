"""Connected components of a mask, on voxels of any size."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

#: Voxels that share a face or an edge belong together (McKinley 2021, last section).
NEIGHBOURS_18 = ndimage.generate_binary_structure(3, 2)
#: Smaller components are no lesions (McKinley 2021, last section).
MIN_LESION_MM3 = 3.0
_ROUNDING = 1e-6  # of a volume, since voxel sizes come from single-precision headers


def voxel_geometry(affine: np.ndarray) -> tuple[np.ndarray, float]:
    """Edges (3,) in mm and volume in mm3 of the voxels of a 4 x 4 affine without shear."""
    axes = np.asarray(affine, float)[:3, :3]
    return np.sqrt((axes**2).sum(axis=0)), float(abs(np.linalg.det(axes)))


def label_components(
    mask: np.ndarray, voxel_mm3: float, min_mm3: float = MIN_LESION_MM3
) -> np.ndarray:
    """Number the components of a mask (X, Y, Z) from 1 on; int32, 0 elsewhere.

    18-connectivity; components below ``min_mm3`` are left out, one of just that volume stays
    (McKinley 2021, last section). The largest is 1; of equal ones, that whose first voxel comes
    first in C order.
    """
    found, count = ndimage.label(np.asarray(mask, bool), structure=NEIGHBOURS_18)
    sizes = np.bincount(found.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-sizes, kind="stable")  # SciPy numbers them by their first voxel
    kept = order[sizes[order] * voxel_mm3 >= min_mm3 * (1 - _ROUNDING)]
    numbers = np.zeros(count + 1, np.int32)
    numbers[kept + 1] = np.arange(1, len(kept) + 1)
    return numbers[found]


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Slices of the box of a mask's true voxels; the whole image if there are none."""
    found = ndimage.find_objects(np.asarray(mask, np.uint8))
    return found[0] if found else tuple(slice(0, size) for size in mask.shape)
