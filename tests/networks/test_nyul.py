"""Standardisation of intensities by landmarks."""

import numpy as np
import pytest

from networks.nyul import PERCENTILES, landmarks, standard_scale, standardise

RNG = np.random.default_rng(1)
IMAGE = RNG.gamma(3.0, 40.0, (20, 20, 10)).astype(np.float32)


@pytest.fixture
def scale():
    others = [RNG.gamma(3.0, width, 5000) for width in (10, 200, 3000)]
    return standard_scale([landmarks(one) for one in others])


def test_the_scale_runs_from_zero_to_one(scale):
    assert scale.shape == (len(PERCENTILES),)
    assert scale[0] == 0
    assert scale[-1] == 1
    assert (np.diff(scale) > 0).all()


def test_landmarks_land_on_the_scale(scale):
    found = standardise(IMAGE, scale)
    assert np.allclose(landmarks(found), scale, atol=2e-3)
    assert found.dtype == np.float32


def test_scaled_images_become_the_same(scale):
    assert np.allclose(standardise(7 * IMAGE + 30, scale), standardise(IMAGE, scale), atol=1e-4)


def test_order_is_kept_beyond_the_landmarks(scale):
    order = np.argsort(IMAGE, axis=None)
    found = standardise(IMAGE, scale).ravel()[order]
    assert (np.diff(found) >= 0).all()
    assert found[0] < 0
    assert found[-1] > 1


def test_a_histogram_with_a_spike_stays_finite(scale):
    image = IMAGE.copy()
    image[:12] = 0
    found = standardise(image, scale)
    assert np.isfinite(found).all()
    assert found[np.percentile(IMAGE, 95) < IMAGE].max() > 0.9


def test_a_constant_image_is_refused(scale):
    with pytest.raises(ValueError, match="same intensity"):
        standardise(np.ones((4, 4)), scale)
