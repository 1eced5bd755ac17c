"""Masks of known overlap, for the tests of msmorph-evaluate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

VOXEL_MM = (1.0, 2.0, 4.0)


@pytest.fixture
def write_mask(tmp_path) -> Callable:
    """Return a function that writes values, or a box of labels, under a name in tmp_path.

    ``box`` is (first, last + 1) along each axis of a (12, 10, 8) image with voxels of 8 mm³.
    """

    def write(name: str, box=None, values=None, affine=None, label=1) -> Path:
        if values is None:
            values = np.zeros((12, 10, 8), np.int16)
            if box is not None:
                values[tuple(slice(*ends) for ends in box)] = label
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(
            nib.Nifti1Image(values, np.diag([*VOXEL_MM, 1]) if affine is None else affine), path
        )
        return path

    return write
