"""Contrasts of one head: masks that grow, lesions with soft edges, painted and implanted."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from training import joint_contrasts
from training.joint_contrasts import (
    grow,
    horn_caps,
    implant,
    paint_all,
    strip,
    uneven_white_matter,
    vary_tissues,
    with_claustrum,
)
from training.lesion_contrast import FREE_WATER, lesion_ratio, soft_lesions, tissue_damage
from training.randomness import seeded

SHAPE = (32, 36, 30)
CONTRASTS = ("T1w", "T2w", "FLAIR")
EVEN = torch.zeros(SHAPE)
INTACT = torch.zeros(SHAPE)
SEEDS = pytest.mark.parametrize("seed", range(4))


@pytest.fixture
def labels():
    """A brain of white matter under a shell of CSF, with a ventricle, in a skull."""
    labels = torch.full(SHAPE, 515)
    labels[2:-2, 2:-2, 2:-2] = 24
    labels[6:-6, 6:-6, 6:-6] = 2
    labels[12:16, 12:20, 12:18] = 4
    return labels


@pytest.fixture
def lesions():
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask[18:24, 20:27, 10:17] = True
    return mask


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_mask_grows_by_a_cube(steps):
    mask = torch.rand(12, 10, 14, generator=torch.Generator().manual_seed(3)) > 0.99
    mask[0, 0, 0] = mask[-1, 5, -1] = True
    cube = np.ones((2 * steps + 1,) * 3)
    assert np.array_equal(grow(mask, steps), ndimage.binary_dilation(mask, cube))
    assert mask.sum() < grow(mask, 1).sum()  # what was given is not changed


@SEEDS
def test_a_brain_mask_has_the_sulci_and_a_margin_but_no_skull(labels, seed):
    labels[14:17, 6:14, 6:] = 24  # a sulcus from above
    mask = strip(labels, seeded(seed, 0))
    brain = (labels == 2) | (labels == 4)
    assert mask[brain].all()
    assert mask[15, 8:14, 8:-8].all()
    assert not mask[labels == 515].any()
    assert mask[grow(brain, 1)].all()
    assert not (mask & ~grow(brain, 3)).any()


def test_the_margin_of_a_mask_varies(labels):
    assert len({int(strip(labels, seeded(seed, 0)).sum()) for seed in range(12)}) == 3


def test_the_septum_between_the_ventricles_is_bright_on_flair_only(labels, monkeypatch):
    labels[12:16, 12:20, 12:18], labels[18:22, 12:20, 12:18] = 4, 43
    between = (slice(16, 18), slice(13, 19), slice(13, 17))
    assert joint_contrasts.septum_pellucidum(labels)[between].all()
    assert not joint_contrasts.septum_pellucidum(labels)[(labels == 4) | (labels == 43)].any()
    monkeypatch.setattr(joint_contrasts, "chance", lambda *_: False)
    gain = {name: [] for name in ("FLAIR", "T2w")}
    for seed in range(12):
        images = paint_all(tuple(gain), labels, INTACT, INTACT, EVEN, seeded(seed, 0))
        for name, image in images.items():
            gain[name].append((image[between].mean() / image[26:30, 12:20, 12:18].mean()).item())
    assert max(gain["FLAIR"]) > 1.2
    assert max(gain["T2w"]) < 1.1


def test_lesions_are_brighter_than_cortex_on_flair_as_real_ones_are(labels, lesions):
    """Else blades of cortex are found as lesions."""
    assert (
        min(lesion_ratio("FLAIR", torch.zeros(()), seeded(seed, 0), 1.4) for seed in range(50))
        > 1.65
    )
    labels[6:9, 6:-6, 6:-6] = 3
    cortex, white = labels == 3, (labels == 2) & ~lesions
    for seed in range(12):
        image = paint_all(["FLAIR"], labels, lesions.float(), INTACT, EVEN, seeded(seed, 0))[
            "FLAIR"
        ]
        lesion, grey, base = (image[where].mean() for where in (lesions, cortex, white))
        assert lesion - base > 1.3 * (grey - base)


@SEEDS
def test_lesions_are_bright_on_flair_and_t2w_and_dark_on_t1w(labels, lesions, seed):
    images = paint_all(CONTRASTS, labels, lesions.float(), lesions * 0.4, EVEN, seeded(seed, 0))
    assert tuple(images) == CONTRASTS
    white = (labels == 2) & ~lesions & ~grow(labels == 4, 1)
    for name, sign in (("T1w", -1), ("T2w", 1), ("FLAIR", 1)):
        image = images[name]
        assert image.shape == SHAPE
        assert sign * image[lesions].mean() > sign * 1.05**sign * image[white].mean(), name


def test_half_a_lesion_is_half_as_bright(labels, lesions):
    none, half, whole = (
        paint_all(["FLAIR"], labels, amount * lesions.float(), INTACT, EVEN, seeded(1, 0))["FLAIR"]
        for amount in (0, 0.5, 1)
    )
    assert torch.allclose(half, (none + whole) / 2, atol=1e-5)
    assert torch.equal(none[~lesions], whole[~lesions])
    assert whole[lesions].std() < 1e-5  # the label below shows no more


def test_bright_rims_of_ventricles_are_painted_on_flair_and_t2w_only(labels, monkeypatch):
    ventricle = labels == 4
    rim = grow(ventricle, 1) & ~ventricle
    far = (labels == 2) & ~grow(ventricle, 2)
    ratios = {(name, on): [] for name in CONTRASTS for on in (True, False)}
    for seed in range(8):
        for strength in (True, False):
            monkeypatch.setattr(
                joint_contrasts, "chance", lambda _, p, on=strength: on and p == 0.6
            )
            images = paint_all(CONTRASTS, labels, INTACT, INTACT, EVEN, seeded(seed, 0))
            # the generators part ways: compare the rim with the white matter of its own image
            for name, image in images.items():
                ratios[name, strength].append((image[rim].mean() / image[far].mean()).item())
    for name in CONTRASTS:
        gain = np.mean(ratios[name, True]) - np.mean(ratios[name, False])
        assert (gain > 0.01) == (name != "T1w"), name


def test_white_matter_alone_is_uneven_and_most_beside_ventricles(labels):
    ventricle = labels == 4
    near = grow(ventricle, 1) & (labels == 2)
    far = (labels == 2) & ~grow(ventricle, 5)
    fields = torch.stack([uneven_white_matter(labels, seeded(seed, 0)) for seed in range(20)])
    assert (fields[:, labels != 2] == 0).all()
    assert fields.min() == 0
    assert fields.max() <= 0.181
    assert fields[:, near].mean() > 1.5 * fields[:, far].mean() > 0
    assert fields[:, far].std() > 0.01


@SEEDS
def test_the_claustrum_lies_between_putamen_and_insula(seed, monkeypatch):
    monkeypatch.setattr(joint_contrasts, "chance", lambda *_: False)
    labels = torch.full(SHAPE, 2)
    labels[:6], labels[14:20, 10:20, 10:20] = 3, 12
    labels[25:] = 41
    found = with_claustrum(labels, seeded(seed, 0))
    sheet = (found == 3) & (labels != 3)
    assert torch.equal(found[~sheet], labels[~sheet])
    x, y, _ = sheet.nonzero().unbind(1)
    if len(x):
        assert x.min() >= 6
        assert x.max() < 14
        assert 5 < y.float().mean() < 24


def test_the_claustrum_is_painted_most_of_the_time():
    labels = torch.full(SHAPE, 2)
    labels[:10], labels[12:20] = 3, 12
    painted = [bool((with_claustrum(labels, seeded(s, 0)) != labels).any()) for s in range(30)]
    assert 18 < sum(painted) < 30


@pytest.mark.parametrize("painted", [True, False])
def test_unevenness_is_seen_in_all_contrasts_as_lesions_are(labels, painted):
    bright = torch.where(labels == 2, 0.2, 0.0)
    nothing = torch.zeros(SHAPE)
    real = {name: torch.ones(SHAPE) for name in CONTRASTS}
    pair = []
    for field in (bright, EVEN):
        if painted:
            pair.append(paint_all(CONTRASTS, labels, nothing, nothing, field, seeded(1, 0)))
        else:
            pair.append(implant(real, nothing, nothing, field, seeded(1, 0)))
    ratios = [(pair[0][name] / pair[1][name])[labels == 2].median() for name in CONTRASTS]
    assert ratios == pytest.approx([0.93, 1.3, 1.2], abs=0.02)
    assert torch.equal(pair[0]["FLAIR"][labels == 4], pair[1]["FLAIR"][labels == 4])


@SEEDS
def test_implanted_lesions_keep_all_around_and_the_texture_inside(lesions, seed):
    texture = torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed)) + 1
    real = {name: texture.clone() for name in CONTRASTS}
    share, damage = soft_lesions(lesions, seeded(seed, 1)), tissue_damage(lesions, seeded(seed, 1))
    damage = damage.clamp(max=FREE_WATER)  # from there on FLAIR darkens again
    images = implant(real, share, damage, EVEN, seeded(seed, 2))
    for name, sign in (("T1w", -1), ("T2w", 1), ("FLAIR", 1)):
        image = images[name]
        assert torch.equal(image[share == 0], texture[share == 0])
        change = (image / texture - 1)[lesions]
        assert (sign * change > 0).all(), name
        part = share[lesions] * (1 if name == "FLAIR" else damage[lesions])
        assert torch.allclose(change / part, (change / part)[:1], atol=1e-4)
        assert torch.equal(real[name], texture)


@pytest.mark.parametrize("real", [True, False])
def test_a_scanner_keeps_grid_and_place(labels, lesions, real):
    image = (labels == 2).float() + 3 * lesions
    for seed in range(4):
        seen = joint_contrasts.scan(image, seeded(seed, 0), real=real)
        assert seen.shape == SHAPE
        assert torch.isfinite(seen).all()
        assert seen[lesions].mean() > seen[(labels == 2) & ~grow(lesions, 4)].mean()


def test_horns_get_caps_in_white_matter_in_front_and_behind(labels):
    labels[12:16, 12:20, 12:18], labels[18:22, 12:20, 12:18] = 4, 43
    caps = torch.stack([horn_caps(labels, seeded(seed, 0)) for seed in range(40)])
    shown = caps.amax((1, 2, 3)) > 0.05
    assert 8 < shown.sum() < 32
    assert 0.4 < caps.max() <= 0.8
    strongest = caps.amax(0)
    for cap in (strongest[13:15, 20:22, 13:17], strongest[13:15, 9:12, 13:17]):
        assert cap.mean() > 0.1
    assert strongest[~grow((labels == 4) | (labels == 43), 7)].max() == 0
    labels[labels == 43] = 4  # as on real heads, both sides have one number
    both = torch.stack([horn_caps(labels, seeded(seed, 0)) for seed in range(40)])
    assert torch.equal(both > 0, caps > 0)


@pytest.fixture
def real(labels, lesions):
    """A head whose cortex is hardly brighter than its white matter, with one drawn lesion."""
    labels[6:9, 6:-6, 6:-6] = 3
    labels[26:28, 20:24, 20:24] = 10
    texture = 1 + 0.02 * torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    image = torch.where(labels == 3, 1.05, 1.0) * texture
    return {name: torch.where(lesions, 1.2, 1.0) * image for name in CONTRASTS}


def test_cortex_of_a_real_head_becomes_brighter_and_lesions_stay_the_brightest(
    real, labels, lesions
):
    cortex, white = labels == 3, (labels == 2) & ~grow(labels == 4, 9) & ~grow(lesions, 1)
    white &= ~grow(labels == 3, 1) & ~grow(labels == 10, 1)
    before = {name: image.clone() for name, image in real.items()}
    ratios = []
    for seed in range(16):
        varied, ratio = vary_tissues(real, labels, lesions, seeded(seed, 0))
        flair = varied["FLAIR"]
        assert flair[cortex].median() / flair[(labels == 2) & ~lesions].median() == pytest.approx(
            ratio, rel=0.03
        )
        assert flair[lesions].median() - 1 > 1.3 * (ratio - 1)  # their edges are raised less
        ratios.append(ratio)
        for name in CONTRASTS:  # only grey matter, rims and lesions change
            assert torch.allclose(varied[name][white], real[name][white], rtol=1e-5), name
    assert min(ratios) < 1.05 < 1.2 < max(ratios)
    assert all(torch.equal(before[name], real[name]) for name in CONTRASTS)


def test_a_rim_of_the_ventricles_of_a_real_head_is_no_part_of_a_drawn_lesion(real, labels, lesions):
    near = grow(labels == 4, 1) & (labels == 2)
    drawn = lesions | (near & (torch.arange(SHAPE[2]) > 14))
    rim, spared = near & ~drawn, near & drawn
    gain = []
    for seed in range(24):
        varied, _ = vary_tissues(real, labels, drawn, seeded(seed, 0))
        gain.append(((varied["FLAIR"] / real["FLAIR"] - 1)[rim]).mean().item())
        for name in ("T1w", "T2w"):
            assert torch.allclose(varied[name][spared], real[name][spared], rtol=1e-5), name
    assert 4 < sum(one > 0.02 for one in gain) < 22
