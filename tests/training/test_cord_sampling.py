"""Samples of the cord networks: slices, and windows that follow an imperfect centreline."""

import numpy as np
import pytest
import torch

from networks.cord import standardised
from networks.nyul import landmarks
from training import cord_sampling
from training.cord_phantom import Phantom
from training.cord_sampling import cut_slices, cut_window, learn_scale, window_scene
from training.cord_sources import CordSource
from training.cord_template import read_template
from training.randomness import seeded

SHAPE = (32, 32, 24)
SCALE = np.linspace(0, 1, 11)
SEEDS = pytest.mark.parametrize("seed", range(6))


def scene(slices=40, cord_slices=None, side=200):
    """A cord of 5 mm radius that leans to the right, bright, with a brighter lesion."""
    x, y, z = torch.meshgrid(*(torch.arange(float(n)) for n in (side, side, slices)), indexing="ij")
    middle = side / 2 - 10 + 0.5 * z
    cord = (torch.hypot(x - middle, y - side / 2) <= 10).float()
    shown = torch.arange(slices) < (cord_slices or slices)
    cord = cord * shown
    lesion = (torch.hypot(x - middle, y - side / 2) <= 5) & ((z > 10) & (z < 20)) & (cord > 0)
    noise = 0.05 * torch.rand(cord.shape, generator=torch.Generator().manual_seed(0))
    levels = torch.arange(slices)[shown].float()
    line = torch.stack([side / 2 - 10 + 0.5 * levels, torch.full_like(levels, side / 2), levels], 1)
    return Phantom(1 + cord + lesion + noise, cord, lesion, line, levels, levels)


@SEEDS
def test_slices_and_their_cord_belong_together(seed):
    image, target = cut_slices(scene(), seeded(seed, 0))
    assert image.shape == target.shape == (12, 1, 96, 96)
    shown = target.flatten(1).sum(1) > 0
    assert shown.sum() >= 4
    assert image[target > 0.5].mean() > image[target < 0.5].mean() + 0.5
    places = [torch.nonzero(one[0] > 0.5).float().mean(0) for one in target[shown]]
    assert torch.stack(places).std() > 4  # the cord is not always in the middle


@SEEDS
def test_a_window_follows_the_cord(seed):
    image, target = cut_window(scene(), seeded(seed, 0), SHAPE, SCALE)
    assert image.shape == (1, 2, *SHAPE)
    assert target.shape == (1, 1, *SHAPE)
    mass = target[0, 0]
    for z in range(SHAPE[2]):
        if mass[:, :, z].any():
            place = torch.nonzero(mass[:, :, z]).float().mean(0)
            assert (place - 16).abs().max() < 8  # 0.5 voxels a slice would lead out of it
    assert image[0, 0][mass > 0.5].mean() > image[0, 0][mass < 0.5].mean() + 0.5


def test_windows_begin_and_end_beyond_the_cord_at_times():
    empty = 0
    for seed in range(12):
        _, target = cut_window(scene(cord_slices=28), seeded(seed, 0), (32, 32, 40), SCALE)
        assert target.any()
        empty += int((target[0, 0].sum((0, 1)) == 0).sum() > 14)
    assert empty > 2


def test_intensities_are_standardised():
    parts = cord_sampling.read_scene_window(scene(), SHAPE, seeded(1, 0))
    found = standardised(parts[0], SCALE)
    assert found.shape == (2, *SHAPE)
    for channel in found:
        assert channel.mean().abs() < 1e-4
        assert channel.std() == pytest.approx(1, abs=1e-3)
    again = standardised(500 * parts[0], SCALE)
    assert torch.allclose(found, again, atol=1e-3)


def test_one_channel_keeps_what_partial_volumes_tell():
    parts = cord_sampling.read_scene_window(scene(), SHAPE, seeded(1, 0))
    _, as_given = standardised(parts[0], SCALE)
    low, high = parts[0].argmin(), parts[0].argmax()
    middle = (parts[0].flatten()[low] + parts[0].flatten()[high]) / 2
    nearest = (parts[0] - middle).abs().argmin()
    share = (parts[0].flatten()[nearest] - parts[0].min()) / (parts[0].max() - parts[0].min())
    found = as_given.flatten()
    assert (found[nearest] - found[low]) / (found[high] - found[low]) == pytest.approx(
        share.item(), abs=1e-4
    )


@SEEDS
def test_lesions_are_learnt_inside_the_cord(seed):
    _, target = cut_window(scene(), seeded(seed, 0), SHAPE, SCALE, lesions=True)
    _, cord = cut_window(scene(), seeded(seed, 0), SHAPE, SCALE)
    assert set(target.unique().tolist()) <= {0.0, 1.0}
    assert 0 < target.sum() < 0.6 * cord.sum()


def test_a_scene_without_cord_gives_an_empty_target():
    nothing = scene(cord_slices=1)
    nothing = Phantom(*(part * 0 for part in (nothing.image, nothing.cord)),
                      nothing.lesion & False, *(torch.zeros(0, 3),) * 3)  # fmt: skip
    image, target = cut_window(nothing, seeded(1, 0), SHAPE, SCALE)
    assert image.shape == (1, 2, *SHAPE)
    assert torch.isfinite(image).all()
    assert not target.any()


def test_the_scale_is_that_of_the_phantoms(pam50_folder, monkeypatch):
    monkeypatch.setattr(cord_sampling, "SCALE_SCENES", 3)
    source = CordSource("PAM50", read_template(pam50_folder))
    scale = learn_scale(source, SHAPE, (("T2w", 1.0),))
    assert scale[0] == 0
    assert scale[-1] == 1
    assert scale == sorted(scale)
    assert scale == learn_scale(source, SHAPE, (("T2w", 1.0),))
    assert len(scale) == len(landmarks(np.arange(5)))


def test_a_scene_is_wide_enough_for_its_windows():
    assert all(a > b for a, b in zip(window_scene(SHAPE), SHAPE, strict=True))
