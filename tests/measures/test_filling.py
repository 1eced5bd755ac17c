"""Filled lesions look like the white matter near them; all else stays."""

import numpy as np
import pytest
from scipy import ndimage

from measures.filling import fill_lesions

SHAPE = (30, 30, 30)
LESION = (slice(5, 9), slice(12, 17), slice(12, 17))
OTHER = (slice(21, 25), slice(12, 17), slice(12, 17))
ISOTROPIC = np.ones(3)


@pytest.fixture
def t1w():
    """White matter of 100 on the left and 200 on the right, with dark lesions."""
    image = np.full(SHAPE, 100.0, np.float32)
    image[15:] = 200
    image[LESION] = image[OTHER] = 40
    return image


@pytest.fixture
def lesions():
    mask = np.zeros(SHAPE, bool)
    mask[LESION] = mask[OTHER] = True
    return mask


@pytest.fixture
def white():
    return np.ones(SHAPE, bool)


def fill(t1w, lesions, white, voxel_mm=ISOTROPIC, seed=1):
    return fill_lesions(t1w, lesions, white, voxel_mm, np.random.default_rng(seed))


def test_lesions_become_the_white_matter_around_them(t1w, lesions, white):
    given = t1w.copy()
    filled = fill(t1w, lesions, white)
    assert filled.dtype == np.float32
    assert filled[LESION].mean() == pytest.approx(100, abs=8)
    assert filled[OTHER].mean() == pytest.approx(200, abs=8)
    assert np.array_equal(filled[~lesions], t1w[~lesions])
    assert np.array_equal(t1w, given)


def test_nothing_but_white_matter_counts(t1w, lesions, white):
    cortex = np.zeros(SHAPE, bool)
    cortex[:, 18:] = True
    t1w[cortex] = 1000
    assert fill(t1w, lesions, white & ~cortex)[LESION].mean() == pytest.approx(100, abs=8)


def test_the_blurred_rim_of_a_lesion_does_not_count(t1w, lesions, white):
    t1w[ndimage.binary_dilation(lesions) & ~lesions] = 1000
    assert fill(t1w, lesions, white)[LESION].mean() == pytest.approx(100, abs=8)


def test_texture_is_that_of_the_white_matter(lesions, white):
    noise = np.random.default_rng(0).normal(0, 6, SHAPE)
    filled = fill(np.float32(100 + noise), lesions, white)
    assert filled[lesions].std() == pytest.approx(6, rel=0.25)
    assert np.array_equal(filled, fill(np.float32(100 + noise), lesions, white))
    other = fill(np.float32(100 + noise), lesions, white, seed=2)
    assert not np.array_equal(filled[lesions], other[lesions])


def test_thick_slices_are_far_apart(lesions, white):
    """Neighbouring slices of 10 mm count less than the voxels of the same one."""
    slices = np.zeros(SHAPE, np.float32)
    slices[:, :, ::2], slices[:, :, 1::2] = 100, 300
    lesions = np.zeros(SHAPE, bool)
    lesions[14:16, 14:16, 14] = True
    thick = fill(slices, lesions, white, np.array([1.0, 1.0, 10.0]))[lesions].mean()
    cubes = fill(slices, lesions, white)[lesions].mean()
    assert abs(thick - 100) < 0.6 * abs(cubes - 100)


def test_a_lesion_far_from_white_matter_gets_the_mean_of_all(lesions, white):
    t1w = np.full((30, 30, 120), 100, np.float32)
    white, lesions = np.zeros((2, *t1w.shape), bool)
    white[:, :, :5] = True
    lesions[10:13, 10:13, 110:113] = True
    t1w[lesions] = 20
    assert np.allclose(fill(t1w, lesions, white)[lesions], 100, atol=1)


def test_values_that_are_no_numbers_do_not_spread(t1w, lesions, white):
    t1w[0, 0, 0], t1w[4, 20, 20], t1w[7, 14, 14] = np.nan, np.inf, np.nan
    filled = fill(t1w, lesions, white)
    assert np.isfinite(filled[lesions]).all()
    assert filled[LESION].mean() == pytest.approx(100, abs=8)


def test_nothing_is_filled_below_zero(lesions, white):
    t1w = np.float32(np.abs(np.random.default_rng(0).normal(0, 50, SHAPE)))
    assert fill(t1w, lesions, white)[lesions].min() == 0


def test_without_lesions_the_image_stays(t1w, lesions, white):
    filled = fill(t1w, lesions & False, white & False)
    assert np.array_equal(filled, t1w)
    assert filled is not t1w


def test_other_grids_and_missing_white_matter_are_refused(t1w, lesions, white):
    for wrong in ((t1w, lesions[1:], white), (t1w, lesions, white[1:])):
        with pytest.raises(ValueError, match="one grid"):
            fill(*wrong)
    with pytest.raises(ValueError, match="no white matter"):
        fill(t1w, lesions, lesions)
