"""What the enhancement networks see, and how slice scores become one of the participant."""

import numpy as np
import pytest
import torch

from networks import enhancement
from networks.architectures import build
from networks.lesions import Contrast

CARD = {
    "architecture": enhancement.ARCHITECTURE | {"width": 1 / 16, "hidden": 8, "scores": 4},
    "input": enhancement.INPUT | {"shape": [64, 64, 15]},
}


def head(affine, lesion_at=((30, 28, 4),), shape=(60, 56, 12)):
    """Contrasts of a box brain with bright lesions of 3 x 3 x 1 voxels; FLAIR first."""
    rng = np.random.default_rng(1)
    brain = np.zeros(shape, bool)
    brain[6:54, 6:50, 1:11] = True
    lesions = np.zeros(shape, bool)
    for x, y, z in lesion_at:
        lesions[x - 1 : x + 2, y - 1 : y + 2, z] = True
    contrasts = []
    for name, value in (("FLAIR", 90.0), ("T1w", -30.0), ("T2w", 60.0)):
        data = 100 + 5 * rng.standard_normal(shape) + value * lesions
        data[~brain] = 300  # a skull that must not shine through
        contrasts.append(Contrast(name, data.astype(np.float32), affine, np.eye(4)))
    return contrasts, brain, lesions


AXIAL = np.diag([1.0, 1.0, 3.0, 1.0])


def test_slices_show_the_dilated_lesion_and_nothing_else():
    contrasts, brain, lesions = head(AXIAL)
    found = enhancement.cut_slices(contrasts, brain, lesions, CARD)
    assert found.images.shape == (1, 3, 64, 64)
    inside = found.mask[:, :, found.numbers[0]]
    assert inside.sum() == 9 * 9  # 3 voxels more in each direction
    heights = np.flatnonzero(found.mask.any((0, 1)))
    assert len(heights) == 7 and heights.mean() == found.numbers[0]
    assert not found.images[0][:, ~inside].any()
    t1w, t2w, flair = (found.images[0, c][inside].reshape(9, 9)[3:6, 3:6].mean() for c in range(3))
    assert t1w < -1 and t2w > 1 and flair > 1
    assert found.clipped == pytest.approx(0, abs=0.05)


def test_planes_lie_on_the_planes_of_the_image():
    affine = AXIAL.copy()
    affine[2, 3] = 0.7
    found = enhancement.cut_slices(*head(affine), CARD)
    height = (found.affine @ [0, 0, found.numbers[0], 1])[2]
    assert height == pytest.approx(0.7 + 3 * 4, abs=1e-6)


def test_the_storage_of_the_image_does_not_matter():
    """Stored upside down and with its axes in another order, the same slices come out."""
    contrasts, brain, lesions = head(AXIAL)
    expected = enhancement.cut_slices(contrasts, brain, lesions, CARD)
    turn = np.array([[0, 0, 1.0, 0], [1, 0, 0, 0], [0, -3.0, 0, 33], [0, 0, 0, 1]])

    def turned(data):
        return data.transpose(1, 2, 0)[:, ::-1].copy()

    contrasts = [Contrast(c.name, turned(c.data), turn, np.eye(4)) for c in contrasts]
    found = enhancement.cut_slices(contrasts, turned(brain), turned(lesions), CARD)
    assert np.allclose(found.images, expected.images, atol=1e-3)


def test_a_moved_contrast_is_brought_back():
    contrasts, brain, lesions = head(AXIAL)
    expected = enhancement.cut_slices(contrasts, brain, lesions, CARD)
    shift = np.eye(4)
    shift[0, 3] = 5.0
    t1w = contrasts[1]
    contrasts[1] = Contrast("T1w", t1w.data, shift @ t1w.affine, shift)
    found = enhancement.cut_slices(contrasts, brain, lesions, CARD)
    assert np.allclose(found.images, expected.images, atol=1e-3)


def test_lesions_beyond_the_grid_are_counted():
    contrasts, brain, lesions = head(AXIAL, ((30, 28, 4), (10, 28, 4)))
    card = {**CARD, "input": CARD["input"] | {"shape": [32, 32, 15]}}
    found = enhancement.cut_slices(contrasts, brain, lesions, card)
    assert found.clipped == pytest.approx(0.5, abs=0.05)


def test_without_lesions_there_are_no_slices():
    contrasts, brain, lesions = head(AXIAL, ())
    found = enhancement.cut_slices(contrasts, brain, lesions, CARD)
    assert found.images.shape == (0, 3, 64, 64)
    assert enhancement.score_slices(found.images, build(CARD["architecture"])).shape == (0,)


def test_a_missing_contrast_or_brain_is_an_error():
    contrasts, brain, lesions = head(AXIAL)
    with pytest.raises(ValueError, match="each once"):
        enhancement.cut_slices(contrasts[:2], brain, lesions, CARD)
    with pytest.raises(ValueError, match="brain mask is empty"):
        enhancement.cut_slices(contrasts, ~brain & brain, lesions, CARD)


def test_any_number_of_scores_becomes_the_same_number():
    assert enhancement.highest([0.2, 0.9, 0.1, 0.5, 0.3], 3) == pytest.approx([0.9, 0.5, 0.3])
    assert enhancement.highest([0.2, 0.9], 4) == pytest.approx([0.9, 0.2, 0, 0])
    assert enhancement.highest([], 2) == pytest.approx([0, 0])


def test_the_participant_is_what_its_network_makes_of_the_highest_scores():
    torch.manual_seed(1)
    network = build(CARD["architecture"]).eval()
    scores = [0.1, 0.8, 0.3, 0.2, 0.6]
    found = enhancement.participant_probability(scores, network, CARD)
    by_hand = network.participant(torch.tensor([[0.8, 0.6, 0.3, 0.2]])).sigmoid()
    assert found == pytest.approx(float(by_hand.detach()))
    assert found == enhancement.participant_probability(scores[::-1], network, CARD)


def test_scores_do_not_depend_on_the_batch():
    network = build(CARD["architecture"]).eval()
    images = np.random.default_rng(4).standard_normal((5, 3, 32, 32)).astype(np.float32)
    together = enhancement.score_slices(images, network)
    one = enhancement.score_slices(images, network, batch=2)
    assert together == pytest.approx(one, abs=1e-6)
    assert ((together > 0) & (together < 1)).all()
