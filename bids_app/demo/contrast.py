"""From tissue fractions to images: contrasts, slice profile, bias field, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .anatomy import OUTER, Head
from .deform import Grid, grid_points, sample, transform

# Signal of each pure tissue, white matter 100. T1w brain tissue comes from the template itself.
SIGNAL = {
    "T1w": {
        "csf": 26,
        "thalamus": 83,
        "lesion": 60,
        "bone": 8,
        "marrow": 65,
        "fat": 118,
        "skin": 70,
        "muscle": 48,
        "eye": 24,
    },
    "FLAIR": {
        "csf": 18,
        "gm": 132,
        "wm": 100,
        "thalamus": 120,
        "lesion": 195,
        "bone": 8,
        "marrow": 60,
        "fat": 120,
        "skin": 75,
        "muscle": 55,
        "eye": 20,
    },
    "T2w": {
        "csf": 310,
        "gm": 148,
        "wm": 100,
        "thalamus": 124,
        "lesion": 200,
        "bone": 10,
        "marrow": 90,
        "fat": 165,
        "skin": 80,
        "muscle": 55,
        "eye": 320,
    },
}
TEMPLATE_WM = 224.0  # median T1 of the template where its white-matter map is above 0.98
TEMPLATE_CSF = 67.0
THALAMUS_BLEND = 0.65  # T1w: share of the flat thalamus signal, the rest is the template's own
SCALE = 4.0  # scanner units per SIGNAL unit


def contrast_map(head: Head, suffix: str) -> np.ndarray:
    """Return the noise-free signal (float32, ``head.grid.shape``) of a contrast.

    ``suffix`` is T1w, FLAIR or T2w. Partial volume is linear in the fractions. The T1w keeps the
    template's intensities in the brain, pulled to one signal in the thalami so that their lateral
    border is where the truth has it.
    """
    signal = SIGNAL[suffix]
    tissue = head.tissue
    thalamus = tissue["left"] + tissue["right"]
    if suffix == "T1w":
        inside = np.clip(tissue["gm"] + tissue["wm"] + thalamus, 0, 1)
        cleaned = (head.t1 - TEMPLATE_CSF * tissue["csf"]) / np.maximum(inside, 0.35)
        cleaned = np.clip(cleaned, 0.6 * TEMPLATE_WM, 1.12 * TEMPLATE_WM) * (100.0 / TEMPLATE_WM)
        share = THALAMUS_BLEND * thalamus / np.maximum(inside, 1e-3)
        out = inside * (cleaned * (1 - share) + signal["thalamus"] * share)
    else:
        out = signal["gm"] * tissue["gm"] + signal["wm"] * tissue["wm"]
        out += signal["thalamus"] * thalamus
        fine = head.t1 - ndimage.gaussian_filter(head.t1, 4.0, truncate=2)
        solid = tissue["gm"] * tissue["wm"] < 0.1
        texture = np.where(solid & (tissue["csf"] < 0.02), np.clip(fine, -15, 15), 0)
        out -= 0.2 * ndimage.gaussian_filter(texture, 0.7)
    for name in ("csf", *OUTER):
        out += signal[name] * tissue[name]
    return out.astype(np.float32)


def add_lesions(signal: np.ndarray, lesion: np.ndarray, suffix: str) -> np.ndarray:
    """Return ``signal`` with the share ``lesion`` (0..1) of each voxel replaced by lesion."""
    return signal + lesion * (SIGNAL[suffix]["lesion"] - signal)


@dataclass(frozen=True)
class Slices:
    """An acquisition grid: ``grid`` of the image, ``sub_mm`` offsets averaged along axis 2."""

    grid: Grid
    sub_mm: tuple[float, ...]


def acquire(volume: np.ndarray, source: Grid, slices: Slices, pose: np.ndarray, window=None):
    """Resample ``volume`` into an acquisition: average over the slice profile, not nearest.

    ``pose`` (4, 4) brings scanner millimetres to millimetres of ``source``. ``window`` limits
    the result to a part of the image grid. Returns float32 of the grid's (window's) shape.
    """
    points = grid_points(slices.grid, window)
    normal = slices.grid.affine[:3, 2] / np.linalg.norm(slices.grid.affine[:3, 2])
    total = np.zeros(points.shape[1:], np.float32)
    for offset in slices.sub_mm:
        shift = (offset * normal).astype(np.float32).reshape(3, 1, 1, 1)
        total += sample(volume, source, transform(pose, points + shift))
    return total / np.float32(len(slices.sub_mm))


def bias_field(shape, rng: np.random.Generator, strength: float = 0.2) -> np.ndarray:
    """Return a smooth multiplicative field, mean about 1 and within 1 +- ``strength``."""
    coarse = ndimage.zoom(rng.uniform(-1, 1, (3, 3, 3)), 4, order=3)
    coarse /= np.abs(coarse).max()
    grown = ndimage.zoom(coarse.astype(np.float32), [n / 12 for n in shape], order=1)
    return (1.0 + strength * grown).astype(np.float32)


def finish(signal: np.ndarray, rng: np.random.Generator, noise: float) -> np.ndarray:
    """Apply bias field and Rician noise (``noise`` in SIGNAL units); int16 scanner units."""
    value = signal * bias_field(signal.shape, rng)
    real = value + noise * rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = noise * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.rint(np.hypot(real, imaginary) * SCALE).astype(np.int16)
