"""Candidates of enhancement in simulated pairs of images before and after contrast agent."""

import numpy as np
import pytest
from scipy import ndimage

from measures.enhancement import MIN_VOXELS, difference_sd, find_candidates, near_lesions

SHAPE, AFFINE = (60, 70, 20), np.diag([-1.0, 1.0, 3.0, 1.0])
VOXEL_MM = (1.0, 1.0, 3.0)
LESIONS = {"ring": (20, 30, 8), "quiet": (40, 40, 12), "crumb": (30, 55, 6)}


def distance(centre):
    offsets = np.indices(SHAPE) - np.array(centre)[:, None, None, None]
    return np.linalg.norm(offsets * np.array(VOXEL_MM)[:, None, None, None], axis=0)


def pair(rng, gain=1.7, rise=40.0):
    """Pre and post, brain and lesions; the ring enhances, the crumb in 4 voxels, quiet does not."""
    brain = np.zeros(SHAPE, bool)
    brain[5:55, 5:65, 2:18] = True
    tissue = 100 + 15 * ndimage.gaussian_filter(rng.standard_normal(SHAPE), 2) / 0.1
    lesions = np.zeros(SHAPE, bool)
    for centre in LESIONS.values():
        lesions |= distance(centre) <= 5
    pre = np.where(lesions, tissue - 25, tissue)
    field = 1 + 0.3 * np.linspace(-1, 1, SHAPE[0])[:, None, None]  # the coil, after the bolus
    ring = np.abs(distance(LESIONS["ring"]) - 4) <= 1
    crumb = np.zeros(SHAPE, bool)
    crumb[30:32, 55:57, 6] = True
    post = pre + rise * (ring | crumb)
    noisy = [image + 4 * rng.standard_normal(SHAPE) for image in (pre, post)]
    noisy[1] = noisy[1] * gain * field
    return (*noisy, brain, lesions, ring & brain)


def test_a_ring_is_found_whatever_gain_and_bias():
    for gain in (0.2, 1.7, 30.0):
        pre, post, brain, lesions, ring = pair(np.random.default_rng(1), gain)
        labels, found = find_candidates(pre, post, brain, lesions, AFFINE)
        overlap = 2 * ((labels > 0) & ring).sum() / ((labels > 0).sum() + ring.sum())
        assert overlap > 0.9
        assert found[0].centre_mm == pytest.approx((-20, 30, 24), abs=1)
        assert found[0].voxels == (labels == 1).sum()
        assert found[0].volume_mm3 == pytest.approx(3 * found[0].voxels)


def test_what_is_smaller_than_seven_voxels_is_not():
    pre, post, brain, lesions, _ = pair(np.random.default_rng(2))
    labels, found = find_candidates(pre, post, brain, lesions, AFFINE)
    assert not labels[distance(LESIONS["crumb"]) <= 5].any()
    assert all(one.voxels >= MIN_VOXELS for one in found)


def test_without_enhancement_there_are_no_candidates():
    """Twenty pairs of noise and bias: none."""
    for seed in range(20):
        pre, post, brain, lesions, _ = pair(np.random.default_rng(seed), rise=0.0)
        assert find_candidates(pre, post, brain, lesions, AFFINE)[1] == []


def test_vessels_far_from_lesions_are_left_out():
    pre, post, brain, lesions, _ = pair(np.random.default_rng(3), rise=0.0)
    post[10:13, 10:13, 4:8] *= 3
    assert find_candidates(pre, post, brain, lesions, AFFINE)[1] == []


def test_near_is_in_millimetres():
    lesions = np.zeros(SHAPE, bool)
    lesions[30, 30, 10] = True
    near = near_lesions(lesions, np.ones(SHAPE, bool), VOXEL_MM)
    assert [int(near[30:, 30, 10].sum()), int(near[30, 30, 10:].sum())] == [4, 2]
    assert not near_lesions(lesions & False, lesions, VOXEL_MM).any()


def test_the_scale_is_that_of_the_noise():
    pre, post, brain, lesions, _ = pair(np.random.default_rng(4), rise=0.0)
    sd = difference_sd(pre, post, brain, lesions, VOXEL_MM)
    assert sd[brain].std() == pytest.approx(1, abs=0.1)
    assert not sd[~brain].any()


def test_images_that_cannot_be_compared_are_refused():
    pre, post, brain, lesions, _ = pair(np.random.default_rng(5))
    with pytest.raises(ValueError, match="do not differ"):
        find_candidates(pre, pre, brain, lesions, AFFINE)
    with pytest.raises(ValueError, match="fewer than 1000"):
        find_candidates(pre, post, brain & (distance((30, 30, 10)) < 6), lesions, AFFINE)
