"""A brain of boxes with FreeSurfer's labels, for the tests of lesions."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def brain() -> np.ndarray:
    """Labels (40, 40, 40) of a box brain; left is x < 20.

    Cortex 3 and 42 (2 voxels thick) round white matter 2 and 41; lateral ventricles 4 and 43 at
    x 14-17 and 22-25, y 12-27, z 20-25, plexus 31 at the floor (z 20) of the left one; below z 12
    cerebellum 8 and 47 (y < 14) and brain stem 16 (y >= 14). Background at the faces (2 voxels).
    """
    labels = np.zeros((40, 40, 40), np.int16)
    labels[2:20, 2:38, 2:38], labels[20:38, 2:38, 2:38] = 3, 42
    labels[4:20, 4:36, 4:36], labels[20:36, 4:36, 4:36] = 2, 41
    labels[14:18, 12:28, 20:26], labels[22:26, 12:28, 20:26] = 4, 43
    labels[14:18, 12:28, 20] = 31
    labels[2:20, 2:14, 2:12], labels[20:38, 2:14, 2:12] = 8, 47
    labels[2:38, 14:38, 2:12] = 16
    return labels
