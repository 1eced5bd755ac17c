"""The shape of the template's thalamus, which the template has no label for.

Fitted offline, once: label maps of five real heads (02, 07, 11, 13 and 17, all of the training
split) were registered to the template (antspyx affine, then SyN on the deep brain, template T1
against images painted from the labels), and both thalami of each were averaged on one side. The
surface where half of the ten agree is an ellipsoid (``CENTRE``, ``AXES``: centre and covariance of
the consensus) whose radius is modulated by a polynomial of degree 3 on the sphere (least squares,
rms 0.9 mm). No voxel of those maps is kept.

It has 10.1 ml a side in the template's space: 1.4 times the mean of the heads fitted, while the
template's grey and white matter is 1.5 times theirs. No size was set by hand. Registration has
little border to follow laterally and ventrally, so the truth there is a convention, not anatomy.
"""

from __future__ import annotations

import numpy as np

CENTRE = (12.7, -17.9, 6.8)  # of the right thalamus, mm, MNI152NLin2009aSym
AXES = ((12.53, 0.0, 0.0), (-9.79, 16.36, 0.0), (0.91, 2.39, 12.47))  # unit sphere to ellipsoid, mm
DEGREE = 3
COEFFICIENTS = (
    0.965, 0.038, 0.019, -0.052, -0.028, 0.022, -0.065, 0.013, -0.01, 0.067, 0.112,
    -0.002, -0.2, 0.004, 0.345, -0.293,
)  # fmt: skip


def relative_radius(direction: np.ndarray) -> np.ndarray:
    """Return the surface's radius relative to the ellipsoid along unit vectors (3, ...).

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
    return radius


def inside_mm(points: np.ndarray) -> np.ndarray:
    """Return how far (mm along the ray from the centre) points (3, ...) lie inside the right
    thalamus; negative outside. Mirror x for the left."""
    offset = np.stack([p - c for p, c in zip(points, CENTRE, strict=True)])
    distance = np.maximum(np.sqrt((offset**2).sum(axis=0)), 1e-3)
    ball = np.tensordot(np.linalg.inv(np.array(AXES)), offset, axes=1)
    norm = np.maximum(np.sqrt((ball**2).sum(axis=0)), 1e-4)
    return (relative_radius(ball / norm) - norm) * distance / norm
