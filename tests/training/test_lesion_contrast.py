"""What lesions look like: soft at the edge, brighter than cortex, destroyed with depth."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from training import lesion_contrast
from training.joint_contrasts import grow
from training.lesion_contrast import lesion_ratio, soft_lesions, tissue_damage
from training.randomness import seeded

SHAPE = (32, 36, 30)
SEEDS = pytest.mark.parametrize("seed", range(4))


@pytest.fixture
def lesions():
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask[18:24, 20:27, 10:17] = True
    return mask


@SEEDS
def test_lesions_are_soft_at_the_edge_and_uneven_inside(lesions, seed):
    share = soft_lesions(lesions, seeded(seed, 0))
    core = torch.from_numpy(ndimage.binary_erosion(lesions))
    assert (share[~grow(lesions, 1)] == 0).all()
    assert (share >= 0).all()
    assert (share <= 1.6).all()
    assert share[core].min() >= 0.35
    assert share[core].std() > 0.01
    outer = grow(lesions, 1) & ~lesions
    assert 0 < share[outer].mean() < share[lesions & ~core].mean() < share[core].mean()


def test_large_lesions_fade_in_places_and_small_ones_do_not(monkeypatch):
    large, small = (torch.zeros((40, 40, 40), dtype=torch.bool) for _ in range(2))
    large[6:30, 8:30, 8:30] = True
    small[34:37, 34:37, 34:37] = True
    lesions = large | small
    faded = soft_lesions(lesions, seeded(2, 0))
    monkeypatch.setattr(lesion_contrast, "_largeness", lambda lesions: torch.zeros(lesions.shape))
    plain = soft_lesions(lesions, seeded(2, 0))
    assert torch.equal(faded[small], plain[small])
    kept = (faded / plain)[large]
    assert 0.5 <= kept.min() < 0.9
    assert kept.max() == 1


@pytest.mark.parametrize("name", ["T1w", "T2w", "FLAIR"])
def test_lesions_with_some_damage_can_be_seen(name):
    damage = torch.tensor(0.4)
    ratios = [lesion_ratio(name, damage, seeded(seed, 0)).item() for seed in range(200)]
    if name == "T1w":
        assert 0 < np.mean(ratios) < max(ratios) <= 0.93
    else:
        assert 1.22 <= min(ratios) < np.mean(ratios)


def test_tissue_is_lost_with_depth_and_less_in_small_lesions():
    lesions = torch.zeros((40, 40, 40), dtype=torch.bool)
    lesions[6:30, 8:30, 8:30] = True
    lesions[34:37, 34:37, 34:37] = True
    draws = torch.stack([tissue_damage(lesions, seeded(seed, 0)) for seed in range(30)])
    assert (draws >= 0).all()
    assert (draws <= 1).all()
    damage = draws.mean(0)  # without its random unevenness
    depth = ndimage.distance_transform_edt(lesions)
    by_depth = [damage[(depth > d) & (depth <= d + 1)].mean().item() for d in range(6)]
    assert by_depth == sorted(by_depth)
    assert damage[34:37, 34:37, 34:37].mean() < 0.8 * damage[depth > 4].mean()


def test_damage_reaches_from_faint_lesions_to_black_holes(lesions):
    deepest = [tissue_damage(lesions, seeded(seed, 0)).max().item() for seed in range(40)]
    assert min(deepest) < 0.25
    assert max(deepest) > 0.8


@pytest.mark.parametrize(
    ("name", "measured"),
    [("T1w", (0.76, 0.61, 0.5)), ("T2w", (1.77, 2.18, 2.4)), ("FLAIR", (1.37, 1.52, 1.47))],
)
def test_what_was_measured_in_drawn_lesions_is_within_the_span(lesions, name, measured):
    """By depth in mm, in sub-openmsc19."""
    depth = ndimage.distance_transform_edt(lesions)
    layers = [torch.from_numpy((depth > d) & (depth <= d + 1)) for d in range(3)]
    painted = []
    for seed in range(200):
        share, damage = (f(lesions, seeded(seed, 0)) for f in (soft_lesions, tissue_damage))
        ratio = 1 + share * (lesion_ratio(name, damage, seeded(seed, 1)) - 1)
        painted.append([ratio[layer].mean().item() for layer in layers])
    low, high = np.quantile(painted, (0.1, 0.9), axis=0)
    assert (low < measured).all()
    assert (high > measured).all()


def test_cores_that_are_destroyed_darken_on_flair():
    little, much = torch.tensor(0.3), torch.tensor(0.95)
    pairs = [[lesion_ratio("FLAIR", w, seeded(n, 0)) for w in (little, much)] for n in range(50)]
    assert all(core <= rim for rim, core in pairs)
    assert min((core - 1) / (rim - 1) for rim, core in pairs) < 0.55
    assert min(rim for rim, _ in pairs) >= 1.28
