"""Inference of the lesion networks: every voxel comes back to where it was, whatever the image.

Stand-in networks say what they saw: on a small canvas the answer is known in advance.
"""

import numpy as np
import pytest
import torch

from networks import deepscan, lesions
from networks.brain_classes import CLASSES
from networks.geometry import InputGrid
from networks.lesions import Contrast, calibrated, segment_lesions

SHAPE = (16, 20, 16)
BRAIN = (slice(3, 13), slice(2, 18), slice(2, 14))  # 10 slices are no whole number of batches
T1W, T2W, FLAIR = range(3)
DEEPSCAN = {"architecture": {"kind": "deepscan", "classes": len(CLASSES)}}
UNET = {
    "architecture": {"kind": "dynunet", "classes": len(CLASSES)}, "input": {"shape": [8, 8, 8]},
}  # fmt: skip
WEIGHTS = (0.05, 0.1, 0.5, 0.3, 0.2)  # of the five slices: not the same from behind


class Echo(torch.nn.Module):
    """Logits of lesion are one contrast's middle slice, those of its flip another's."""

    def __init__(self, lesion=FLAIR, flip=T2W):
        super().__init__()
        self.lesion, self.flip = lesion, flip

    def forward(self, image):
        """As DeepSCAN for stacks, as the U-Net for patches."""
        seen = image[:, :, 2] if image.shape[2] == deepscan.SLICES else image
        label = torch.zeros(len(seen), len(CLASSES), *seen.shape[2:])
        label[:, 1] = seen[:, self.lesion]
        if image.shape[2] != deepscan.SLICES:
            return label
        flip = torch.zeros_like(label)
        flip[:, 1] = seen[:, self.flip]
        return torch.stack([label, flip], 1)


class Lopsided(Echo):
    """Adds up the five slices by uneven weights, and the row before."""

    def forward(self, image):
        """As DeepSCAN."""
        weights = torch.tensor(WEIGHTS)[:, None, None]
        summed = (image * weights).sum(2)
        summed[:, :, 1:] += 0.4 * image[:, :, 2, :-1]
        return super().forward(summed[:, :, None].expand(-1, -1, deepscan.SLICES, -1, -1))


@pytest.fixture(autouse=True)
def small_canvas(monkeypatch):
    """A small canvas, and intensities as they are."""
    monkeypatch.setattr(lesions, "CANVAS", InputGrid(SHAPE, (1.0, 1.0, 1.0)))
    monkeypatch.setattr(deepscan, "PLANE", SHAPE[:2])
    monkeypatch.setattr(lesions, "normalise", lambda volume: volume)


@pytest.fixture
def brain():
    mask = np.zeros(SHAPE, bool)
    mask[BRAIN] = True
    mask[13, 9, 8] = True  # no longer its own mirror image, and too small to shift the canvas
    return mask


def noise(brain, seed=0):
    """An image without any symmetry, zero outside the brain."""
    return np.float32(np.random.default_rng(seed).uniform(0.2, 2, SHAPE) * brain)


def contrast(name, data, affine=None, from_first=None):
    return Contrast(
        name, data, np.eye(4) if affine is None else affine,
        np.eye(4) if from_first is None else from_first,
    )  # fmt: skip


def lesion_logits(found, brain):
    """Mean logits of lesion over background, which the stand-ins leave at 0."""
    return np.log(found.likelihood[1][brain] / found.likelihood[0][brain])


def shifted(data, axis, by):
    """The value ``by`` voxels further up, zero beyond the brain's margin."""
    return np.roll(data, -by, axis)


def test_six_passes_of_deepscan_meet_in_every_voxel(brain):
    flair, t2w = noise(brain), noise(brain, 1)
    images = [contrast("FLAIR", flair), contrast("T2w", t2w)]
    found = segment_lesions(images, brain, Echo(), DEEPSCAN)
    assert found.likelihood.shape == (17, *SHAPE)
    assert found.likelihood.dtype == found.flip.dtype == np.float32
    assert np.allclose(lesion_logits(found, brain), flair[brain], atol=1e-4)
    assert np.allclose(found.flip, brain / (1 + np.exp(-t2w)), atol=1e-5)
    assert np.allclose(found.affine, np.eye(4))
    assert found.clipped == 0


def six_passes(seen):
    """What Lopsided says, written out; mirrored, left and right are exchanged."""
    logits = np.zeros(SHAPE)
    for sign in (1, -1):  # as it is, mirrored
        for direction, row in ((2, 0), (1, 0), (0, 2)):
            for weight, by in zip(WEIGHTS, range(-2, 3), strict=True):
                logits += weight * shifted(seen, direction, by * (1 if direction else sign))
            logits += 0.4 * shifted(seen, row, -1 if row else -sign)
    return logits / 6


def test_neighbours_are_those_of_the_head_in_every_pass(brain):
    flair = noise(brain)
    found = segment_lesions([contrast("FLAIR", flair)], brain, Lopsided(), DEEPSCAN)
    assert np.allclose(lesion_logits(found, brain), six_passes(flair)[brain], atol=1e-4)


def test_unet_and_its_mirror_meet_in_every_voxel(brain):
    flair = noise(brain)
    found = segment_lesions([contrast("FLAIR", flair)], brain, Echo(), UNET)
    assert np.allclose(lesion_logits(found, brain), flair[brain], atol=1e-4)
    assert found.flip is None


@pytest.mark.parametrize("card", [DEEPSCAN, UNET], ids=["deepscan", "unet"])
def test_outside_the_brain_is_background(brain, card):
    found = segment_lesions([contrast("FLAIR", noise(brain) + 1)], brain, Echo(), card)
    assert np.allclose(found.likelihood.sum(0), 1, atol=1e-5)
    assert (found.likelihood[0][~brain] == 1).all()
    assert (found.likelihood[0][brain] < 1).all()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (-1, -1, 1), (1, -1, -1)])
def test_the_order_of_an_image_s_axes_does_not_matter(brain, order, flips):
    flair = noise(brain)
    wanted = segment_lesions([contrast("FLAIR", flair)], brain, Lopsided(), DEEPSCAN)
    affine = np.diag([*map(float, flips), 1.0])
    affine[:3, 3] = [0 if f > 0 else n - 1 for f, n in zip(flips, SHAPE, strict=True)]
    affine[:, :3] = affine[:, :3][:, order]
    steps = tuple(slice(None, None, flip) for flip in flips)
    turned = [np.ascontiguousarray(array[steps].transpose(order)) for array in (flair, brain)]
    found = segment_lesions([contrast("FLAIR", turned[0], affine)], turned[1], Lopsided(), DEEPSCAN)
    assert np.allclose(found.affine, wanted.affine)
    assert np.allclose(found.likelihood, wanted.likelihood, atol=1e-4)


def test_other_contrasts_land_where_the_registration_puts_them(brain):
    """A T1w on a larger grid with its axes turned, of a head that had turned and moved."""
    t1w = noise(brain, 2)
    from_first = np.eye(4)
    from_first[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    from_first[:3, 3] = (30, -7, 4)
    grid = np.eye(4)
    grid[:3, 3] = (-3, -2, -1)
    moved = contrast("T1w", np.pad(t1w, ((3, 0), (2, 4), (1, 2))), from_first @ grid, from_first)
    found = segment_lesions(
        [contrast("FLAIR", noise(brain)), moved], brain, Echo(lesion=T1W), DEEPSCAN
    )
    assert np.allclose(lesion_logits(found, brain), t1w[brain], atol=1e-3)


def test_every_contrast_has_its_channel(brain):
    images = {name: noise(brain, n) for n, name in enumerate(("T2w", "T1w", "FLAIR"))}
    for names in (("FLAIR", "T1w", "T2w"), ("T2w", "FLAIR", "T1w")):
        given = [contrast(name, images[name]) for name in names]
        for channel, name in enumerate(("T1w", "T2w", "FLAIR")):
            found = segment_lesions(given, brain, Echo(lesion=channel), DEEPSCAN)
            assert np.allclose(lesion_logits(found, brain), images[name][brain], atol=1e-4)


def test_absent_contrasts_are_zero(brain):
    found = segment_lesions(
        [contrast("T2w", noise(brain))], brain, Echo(lesion=FLAIR, flip=T1W), DEEPSCAN
    )
    assert np.allclose(lesion_logits(found, brain), 0, atol=1e-6)
    assert np.allclose(found.flip[brain], 0.5)


def test_each_contrast_is_normalised_inside_the_brain(brain, monkeypatch):
    """What lies outside neither shifts the scale nor is seen."""
    given = []
    monkeypatch.setattr(lesions, "normalise", lambda v: given.append(v.clone()) or v + 5)
    flair = noise(brain)
    surroundings = flair + 100 * ~brain
    found = segment_lesions([contrast("FLAIR", surroundings)], brain, Lopsided(), DEEPSCAN)
    assert np.allclose(given[0], flair, atol=1e-4)
    wanted = six_passes((flair + 5) * brain)[brain]
    assert np.allclose(lesion_logits(found, brain), wanted, atol=1e-2)


def test_a_brain_beyond_the_canvas_is_said():
    mask = np.ones((40, 20, 16), bool)
    found = segment_lesions([contrast("FLAIR", np.float32(mask))], mask, Echo(), DEEPSCAN)
    assert found.clipped == pytest.approx(1 - 16 / 40, abs=0.03)


def test_the_canvas_is_about_the_brain(brain):
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = (-70, 20, 5)
    found = segment_lesions([contrast("FLAIR", noise(brain), affine)], brain, Echo(), DEEPSCAN)
    assert np.allclose(found.affine, affine)


def test_an_image_of_1_mm_is_not_interpolated(brain):
    wider = brain | np.roll(brain, 1, 2)  # its centre lies half a voxel further up
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = (70.3, 20.1, 5.7)
    found = segment_lesions([contrast("FLAIR", noise(wider), affine)], wider, Echo(), DEEPSCAN)
    corner = np.linalg.inv(affine) @ found.affine[:, 3]
    assert np.allclose(corner, np.round(corner))


@pytest.mark.parametrize("names", [[], ["T1w"], ["T1w", "FLAIR"], ["FLAIR", "T2w", "FLAIR"]])
def test_contrasts_that_will_not_do_are_refused(brain, names):
    images = [contrast(name, noise(brain)) for name in names]
    with pytest.raises(ValueError, match="FLAIR or a T2w first"):
        segment_lesions(images, brain, Echo(), DEEPSCAN)


def test_an_empty_mask_is_refused(brain):
    with pytest.raises(ValueError, match="mask is empty"):
        segment_lesions([contrast("FLAIR", noise(brain))], ~brain & brain, Echo(), DEEPSCAN)


def test_calibration_moves_the_odds_of_lesion_and_leaves_the_others_their_shares():
    likelihood = torch.tensor([[0.2, 0.5], [0.5, 0.0], [0.3, 0.5]])
    found = calibrated(likelihood, {"slope": 1.0, "offset": -np.log(4.0)})
    assert found[:, 0].tolist() == pytest.approx([0.32, 0.2, 0.48])
    assert found[:, 1].tolist() == pytest.approx([0.5, 0.0, 0.5], abs=1e-6)
    assert calibrated(likelihood, None) is likelihood


def test_the_card_s_calibration_is_applied():
    brain = np.zeros(SHAPE, bool)
    brain[BRAIN] = True
    image = Contrast("FLAIR", brain.astype(np.float32), np.eye(4), np.eye(4))
    plain = segment_lesions([image], brain, Echo(), UNET)
    card = UNET | {"calibration": {"slope": 2.0, "offset": 1.0}}
    found = segment_lesions([image], brain, Echo(), card)
    before, after = (seen.likelihood[1][brain] for seen in (plain, found))
    odds = np.log(before / (1 - before))
    assert np.allclose(after, 1 / (1 + np.exp(-2 * odds - 1)), atol=1e-5)
    assert np.allclose(found.likelihood.sum(0), 1, atol=1e-5)
