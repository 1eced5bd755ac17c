"""Intensity standardisation by landmarks of the histogram (Nyúl 1999; Shah 2011; Gros 2019)."""

from __future__ import annotations

import numpy as np

#: Percentiles of the landmarks, as in Shah 2011: the ends of the range and the deciles.
PERCENTILES = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99)


def landmarks(values) -> np.ndarray:
    """Landmarks (11,) of an image's values; ValueError where it has fewer than two intensities."""
    found = np.percentile(np.asarray(values, np.float32), PERCENTILES)
    if not found[-1] > found[0]:
        raise ValueError("the image has the same intensity everywhere")
    return found


def standard_scale(all_landmarks) -> np.ndarray:
    """Mean landmarks (11,) of several images (N, 11), each first scaled to end at 0 and 1."""
    marks = np.asarray(all_landmarks, float)
    low, high = marks[:, :1], marks[:, -1:]
    return ((marks - low) / (high - low)).mean(0)


def standardise(image: np.ndarray, scale) -> np.ndarray:
    """Map an image's landmarks onto those of ``scale`` (11,), straight in between: float32.

    Beyond the outer landmarks the nearest segment goes on, so no intensity is clipped.
    """
    image = np.asarray(image, np.float32)
    marks, scale = landmarks(image), np.asarray(scale, float)
    # Equal landmarks (a histogram with a spike) would make a vertical segment.
    kept = np.concatenate([[True], np.diff(marks) > 1e-6 * (marks[-1] - marks[0])])
    kept[-1] = True
    kept[:-1] &= marks[:-1] < marks[-1]
    marks, scale = marks[kept], scale[kept]
    mapped = np.interp(image, marks, scale)
    below, above = image < marks[0], image > marks[-1]
    first, last = (np.diff(scale)[n] / np.diff(marks)[n] for n in (0, -1))
    mapped[below] = scale[0] + (image[below] - marks[0]) * first
    mapped[above] = scale[-1] + (image[above] - marks[-1]) * last
    return mapped.astype(np.float32)
