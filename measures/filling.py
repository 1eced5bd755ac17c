"""Lesions of a T1w filled with the intensity of white matter around them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

#: SD (mm) of the neighbourhood whose white matter fills a voxel.
NEIGHBOURHOOD_MM = 4.0
TEXTURE_MM = 12.0


def fill_lesions(
    t1w: np.ndarray,
    lesions: np.ndarray,
    white: np.ndarray,
    voxel_mm: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """T1w (X, Y, Z) with every voxel of ``lesions`` as bright as the white matter near it.

    ``lesions`` and ``white`` are masks on its grid; white matter counts outside of lesions and of
    the voxels that touch them, which are blurred. The filling is the Gaussian mean (4 mm) of the
    white matter around plus noise of its local SD, in the manner of Battaglini 2012
    (doi:10.1002/hbm.21402), so that tissue tools see white matter and no patch. Other voxels keep
    their value. Raises ValueError for another grid and for lesions without any white matter.
    """
    lesions, white = np.asarray(lesions, bool), np.asarray(white, bool)
    if lesions.shape != t1w.shape or white.shape != t1w.shape:
        raise ValueError("lesions, white matter and T1w are not on one grid")
    filled = np.array(t1w, np.float32)
    if not lesions.any():
        return filled
    source = white & ~ndimage.binary_dilation(lesions) & np.isfinite(filled)
    if not source.any():
        raise ValueError("there is no white matter outside of the lesions to fill them with")
    values = np.where(source, filled, 0).astype(np.float32)
    weight = source.astype(np.float32)
    mean = _local_mean(values, weight, NEIGHBOURHOOD_MM, voxel_mm)
    residual = np.where(source, filled - mean, 0).astype(np.float32)
    spread = np.sqrt(_local_mean(residual**2, weight, TEXTURE_MM, voxel_mm))
    noise = generator.standard_normal(int(lesions.sum())).astype(np.float32)
    filled[lesions] = np.maximum(mean[lesions] + spread[lesions] * noise, 0)
    return filled


def _local_mean(values, weight, sigma_mm: float, voxel_mm) -> np.ndarray:
    """Gaussian mean of the weighed voxels; their mean over the image where none is near."""
    sigma = sigma_mm / np.asarray(voxel_mm, float)
    shared = ndimage.gaussian_filter(weight, sigma)
    total = ndimage.gaussian_filter(values, sigma)
    overall = float(values.sum() / weight.sum())
    return np.where(shared > 1e-3, total / np.maximum(shared, 1e-3), overall).astype(np.float32)
