"""The shape of the template's thalamus, which the template has no label for.

Fitted offline, once: label maps of six real heads were registered to the template (antspyx
affine, then SyN on the deep brain, template T1 against images painted from the labels), both
thalami of each were averaged on one side, and the distance from ``CENTRE`` to the surface where
half of the twelve agree was fitted in all directions by a polynomial of degree 4 on the sphere
(rms 0.7 mm). No voxel of those maps is kept.

The consensus takes in a little of the internal capsule and of the subthalamic region, where
registration has no border to follow; ``LATERAL_MM`` and ``VENTRAL_MM`` draw the surface in there.
"""

from __future__ import annotations

import numpy as np

CENTRE = (12.5, -18.0, 7.0)  # of the right thalamus, mm, MNI152NLin2009aSym
DEGREE = 4
COEFFICIENTS = (
    11.39, 0.39, 3.24, -0.06, 1.92, 0.16, -8.01, -1.07, -4.22, 4.01, -1.41, -4.39,
    0.5, 7.1, -4.92, 1.32, 1.07, -2.94, 3.12, 3.16, 2.72, -0.78, -2.58, -2.39, -2.83,
)  # fmt: skip
LATERAL_MM = 1.6
VENTRAL_MM = 1.2


def surface_radius(direction: np.ndarray) -> np.ndarray:
    """Return the distance (mm) from ``CENTRE`` to the surface along unit vectors (3, ...).

    The polynomial's terms are x**i y**j z**k with k of 0 and 1 and i + j + k <= ``DEGREE``
    (higher powers of z are not independent on the sphere).
    """
    x, y, z = (np.asarray(d, dtype=float) for d in direction)
    powers_x = [x**i for i in range(DEGREE + 1)]
    powers_y = [y**j for j in range(DEGREE + 1)]
    radius = np.zeros_like(x)
    term = 0
    for k in (0, 1):
        for i in range(DEGREE + 1 - k):
            for j in range(DEGREE + 1 - k - i):
                value = powers_x[i] * powers_y[j]
                radius += COEFFICIENTS[term] * (value * z if k else value)
                term += 1
    return radius - LATERAL_MM * np.clip(x, 0, 1) - VENTRAL_MM * np.clip(-z, 0, 1)


def inside_mm(points: np.ndarray) -> np.ndarray:
    """Return how far (mm along the ray from the centre) points (3, ...) lie inside the right
    thalamus; negative outside. Mirror x for the left."""
    offset = [p - c for p, c in zip(points, CENTRE, strict=True)]
    distance = np.sqrt(sum(o * o for o in offset))
    safe = np.maximum(distance, 1e-3)
    return surface_radius(np.stack([o / safe for o in offset])) - distance
