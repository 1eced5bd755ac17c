"""Anisotropic diffusion keeps edges and takes noise away."""

import numpy as np
import pytest

from networks.diffusion import diffuse


def test_noise_goes_and_the_edge_stays():
    rng = np.random.default_rng(1)
    clean = np.zeros((32, 32))
    clean[:, 16:] = 3
    noisy = clean + 0.2 * rng.standard_normal(clean.shape)
    found = diffuse(noisy, edge=1.0, iterations=20)
    assert found[:, :14].std() < 0.3 * noisy[:, :14].std()
    step = found[:, 17].mean() - found[:, 14].mean()
    assert step == pytest.approx(3, abs=0.1)
    blurred = diffuse(noisy, edge=1e6, iterations=20)  # no edge counts: an ordinary blur
    assert blurred[:, 17].mean() - blurred[:, 14].mean() < 2


def test_nothing_is_lost_or_made():
    image = np.random.default_rng(2).random((3, 7, 9))
    found = diffuse(image, edge=0.3, iterations=9)
    assert found.sum((1, 2)) == pytest.approx(image.sum((1, 2)), rel=1e-5)
    assert diffuse(image, edge=0.3, iterations=0) == pytest.approx(image)


def test_each_slice_is_by_itself():
    image = np.random.default_rng(3).random((2, 6, 6))
    both = diffuse(image, edge=0.5, iterations=4)
    assert np.array_equal(both[1], diffuse(image[1], edge=0.5, iterations=4))


def test_an_edge_must_be_positive():
    with pytest.raises(ValueError, match="above 0"):
        diffuse(np.zeros((3, 3)), edge=0, iterations=1)
