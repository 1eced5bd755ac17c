"""Agreement of a segmentation with a reference, and of repeated measurements."""

from __future__ import annotations

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


def volume_difference_percent(measured: float, reference: float) -> float:
    """Signed difference of two volumes in percent of the reference."""
    return 100 * (measured - reference) / reference


def coefficient_of_variation_percent(repeats: np.ndarray) -> float:
    """Pooled within-subject coefficient of variation, in percent.

    ``repeats`` is (subjects, visits). The residuals from each subject's mean are pooled:
    sqrt(sum of squares / degrees of freedom) over the grand mean. For two visits of one subject
    that is |a - b| / sqrt(2) over their mean.
    """
    repeats = np.asarray(repeats, float)
    subjects, visits = repeats.shape
    residuals = repeats - repeats.mean(axis=1, keepdims=True)
    pooled = np.sqrt((residuals**2).sum() / (subjects * (visits - 1)))
    return float(100 * pooled / repeats.mean())


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
