"""Agreement of a segmentation with a reference, and of repeated measurements."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Dice of two masks of one shape, 2 |A and B| / (|A| + |B|); NaN if both are empty."""
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    total = first.sum() + second.sum()
    return float(2 * (first & second).sum() / total) if total else float("nan")


def true_positive_rate(measured: np.ndarray, reference: np.ndarray) -> float:
    """Share of the reference mask that was found; NaN for an empty reference."""
    reference = np.asarray(reference, bool)
    found = (np.asarray(measured, bool) & reference).sum()
    return float(found / reference.sum()) if reference.any() else float("nan")


def positive_predictive_value(measured: np.ndarray, reference: np.ndarray) -> float:
    """Share of the measured mask that is in the reference; NaN for an empty measured mask."""
    return true_positive_rate(reference, measured)


def false_positive_rate(measured: np.ndarray, reference: np.ndarray) -> float:
    """Share of the voxels outside the reference mask that were marked: FP / (FP + TN).

    Both arrays have one shape; NaN where the reference leaves nothing outside. Dwyer 2021 names
    this rate (2.3.1) without a formula and without the region whose voxels count. The usual one
    is taken: with TPR 93.0 %, Dice 93.6 % and FPR 0.26 % it implies a region of some 22 thalami,
    and so does their accuracy of 99.4 % (21), hence a window round the thalamus. The rate falls
    as the image grows, so only rates from like regions compare: crop with
    :func:`window_around` for one that does not depend on the field of view.
    """
    outside = ~np.asarray(reference, bool)
    marked = (np.asarray(measured, bool) & outside).sum()
    return float(marked / outside.sum()) if outside.any() else float("nan")


def window_around(mask: np.ndarray, margin_mm: float, voxel_mm: Sequence[float]) -> tuple:
    """Slices of a mask's bounding box grown by ``margin_mm`` and cut at the image's edge.

    ``voxel_mm`` has one size per axis. Raises ValueError for an empty mask.
    """
    found = np.argwhere(np.asarray(mask, bool))
    if not len(found):
        raise ValueError("an empty mask has no bounding box")
    margin = np.ceil(margin_mm / np.asarray(voxel_mm, float)).astype(int)
    low = np.maximum(found.min(axis=0) - margin, 0)
    high = found.max(axis=0) + 1 + margin
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def volume_difference_percent(measured: float, reference: float) -> float:
    """Signed difference of two volumes in percent of the reference; NaN for a reference of 0."""
    return 100 * (measured - reference) / reference if reference else float("nan")


def surface_distances_mm(first: np.ndarray, second: np.ndarray, voxel_mm) -> np.ndarray:
    """Distances in mm from every border voxel of either mask to the other's border.

    Both masks (X, Y, Z) must be non-empty. The mean is the symmetric surface distance, the
    maximum the Hausdorff distance (Dwyer 2021, 2.3.1). Raises ValueError for an empty mask.
    """
    from scipy.ndimage import binary_erosion, distance_transform_edt

    borders = []
    for mask in (np.asarray(first, bool), np.asarray(second, bool)):
        if not mask.any():
            raise ValueError("surface distances need two masks that are not empty")
        borders.append(mask & ~binary_erosion(mask))
    fields = [distance_transform_edt(~border, sampling=voxel_mm) for border in borders]
    return np.concatenate([fields[1][borders[0]], fields[0][borders[1]]])


def hausdorff_distance_mm(
    first: np.ndarray, second: np.ndarray, voxel_mm: Sequence[float], percentile: float = 100
) -> float:
    """Greatest distance in mm from a border voxel of either mask to the other's border.

    The "maximum shortest distance between the two segmentation borders" of Dwyer 2021 (2.3.1),
    by MONAI, the paper's library. Below 100, the larger of both directions' percentiles. Masks
    are (X, Y, Z) of one shape; NaN if either is empty.
    """
    from monai.metrics import compute_hausdorff_distance

    options = {"percentile": percentile}
    return _between_borders(compute_hausdorff_distance, first, second, voxel_mm, options)


def mean_surface_distance_mm(
    first: np.ndarray, second: np.ndarray, voxel_mm: Sequence[float]
) -> float:
    """Mean over the border voxels of both masks of the distance in mm to the other's border.

    The "symmetric surface distance" of Dwyer 2021 (2.3.1), by MONAI, the paper's library. Masks
    are (X, Y, Z) of one shape; NaN if either is empty.
    """
    from monai.metrics import compute_average_surface_distance

    options = {"symmetric": True}
    return _between_borders(compute_average_surface_distance, first, second, voxel_mm, options)


def _between_borders(metric, first, second, voxel_mm: Sequence[float], options: dict) -> float:
    """A distance of MONAI between the borders of two masks (X, Y, Z); NaN if either is empty."""
    tensors = _cropped_tensors(first, second)
    if tensors is None:
        return float("nan")
    spacing = [float(size) for size in voxel_mm]  # MONAI wants plain numbers of one type
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI 1.6 warns of its own argument
        return metric(*tensors, include_background=True, spacing=spacing, **options).item()


def _cropped_tensors(first: np.ndarray, second: np.ndarray) -> list | None:
    """Both masks cut to their common box, as MONAI's (1, 1, X, Y, Z); None if either is empty."""
    import torch

    masks = [np.asarray(first, bool), np.asarray(second, bool)]
    if not all(mask.any() for mask in masks):
        return None
    box = window_around(masks[0] | masks[1], 0, (1,) * masks[0].ndim)
    return [torch.from_numpy(np.ascontiguousarray(mask[box]))[None, None] for mask in masks]
