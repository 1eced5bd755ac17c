"""A simulated cohort with planted signal, to check the networks and their cross-validation.

It shows that the cascade finds a signal where there is one, finds none where there is none, and
that nothing leaks. It says nothing about enhancement in patients.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from training.enhancement_scans import Scan

SESSIONS = ("01", "02")
#: Chance that a session has enhancement, and slices of a session with it.
PREVALENCE = 0.4
ENHANCING_SLICES = (1, 3)
SLICES = (4, 8)


def simulate_cohort(subjects: int, signal: float, rng, size: int = 32) -> list[Scan]:
    """Two sessions of each subject, slices of ``size`` x ``size`` pixels.

    Lesions are dark on T1w and bright on T2w and FLAIR. An enhancing one has a ring ``signal``
    standard deviations of the noise brighter on T2w and FLAIR; 0 plants nothing. A subject has
    a lesion load and a brightness of its own in both sessions.
    """
    scans = []
    for number in range(subjects):
        own = rng.normal(0, 0.3, 3)
        for session in SESSIONS:
            enhancing = rng.random() < PREVALENCE
            count = int(rng.integers(SLICES[0], SLICES[1] + 1))
            labels = np.zeros(count, bool)
            if enhancing:
                wanted = int(rng.integers(ENHANCING_SLICES[0], ENHANCING_SLICES[1] + 1))
                labels[rng.choice(count, wanted, replace=False)] = True
            images = np.stack([_slice(size, own, signal * label, rng) for label in labels])
            scans.append(Scan(f"{number:03d}", session, images, labels, enhancing))
    return scans


def _slice(size: int, own, signal: float, rng) -> np.ndarray:
    """A masked slice (3, size, size) with one lesion, whose ring has the signal."""
    radius = rng.uniform(2.5, 4.5)
    centre = rng.uniform(radius + 4, size - radius - 4, 2)
    distance = np.linalg.norm(np.indices((size, size)) - centre[:, None, None], axis=0)
    lesion = 1 / (1 + np.exp(2 * (distance - radius)))
    ring = np.exp(-np.square(distance - radius))
    contrast = np.array([-1.0, 1.5, 1.5]) + own
    noise = rng.standard_normal((3, size, size))
    noise = ndimage.gaussian_filter(noise, (0, 0.7, 0.7))
    noise *= 0.5 / noise.std()
    planted = 0.5 * signal * np.array([0, 1.0, 1.0])
    image = contrast[:, None, None] * lesion + planted[:, None, None] * ring + noise
    return (image * (distance < radius + 3)).astype(np.float32)
