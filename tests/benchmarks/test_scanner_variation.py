"""The simulated scanners: sizes kept, residuals as the paper defines them."""

import nibabel as nib
import numpy as np
import pytest

from benchmarks import scanner_variation


def test_residuals_of_scanners_and_repeats():
    table = [("1", "10.0"), ("1", "10.2"), ("2", "11.0"), ("2", "11.2"), ("3", "n/a")]
    rows = [{"participant_id": p, "v": v} for p, v in table]
    figures = scanner_variation.residual_sd(rows, "v")
    assert figures["missing"] == 1
    assert figures["scanners"] == 2
    assert figures["sd_intra_ml"] == pytest.approx(np.sqrt(4 * 0.1**2 / 2))
    assert figures["sd_inter_ml"] == pytest.approx(1 / np.sqrt(2))


@pytest.mark.parametrize("voxel_mm", [(1.1, 1.1, 1.1), (0.9, 0.9, 5.0)])
def test_a_scanner_keeps_the_volume_of_what_it_sees(voxel_mm):
    x, y, z = np.mgrid[-30:31, -30:31, -30:31]
    ball = ((x**2 + y**2 + z**2) < 20**2).astype(np.float32)
    affine = np.eye(4)
    affine[:3, 3] = -30
    rng = np.random.default_rng(0)
    seen = scanner_variation.acquire(
        nib.Nifti1Image(ball, affine), voxel_mm, scanner_variation.rigid_about(np.zeros(3), rng)
    )
    assert np.allclose(seen.header.get_zooms(), voxel_mm)
    volume = seen.get_fdata().sum() * np.prod(voxel_mm)
    assert volume == pytest.approx(ball.sum(), rel=0.02)
