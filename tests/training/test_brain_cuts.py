"""Stacks and cubes that are cut out of a drawn brain."""

import numpy as np
import pytest
import torch

from networks.brain_classes import LESION
from training.brain_sampling import cut_patch, cut_stacks, join_stacks
from training.randomness import seeded

pytestmark = pytest.mark.usefixtures("small_canvas")
T2W, FLAIR = 1, 2


@pytest.fixture
def brain(small_canvas):
    """Contrasts that hold the classes (T2w) and a number for each voxel (FLAIR)."""
    classes = torch.zeros(small_canvas, dtype=torch.long)
    classes[5:35, 5:43, 5:35] = 3
    classes[10:13, 20:24, 25:29] = LESION
    numbers = torch.arange(classes.numel()).reshape(small_canvas).float()
    return torch.stack([torch.ones(small_canvas), classes.float(), numbers]), classes


def test_stacks_are_labelled_in_their_middle_slice(brain):
    stacks, targets = cut_stacks(*brain, seeded(1, 0), count=12)
    assert stacks.shape == (12, 3, 5, 40, 48)
    assert targets.shape == (12, 40, 48)
    assert torch.equal(stacks[:, T2W, 2].long(), targets)
    steps = (stacks[:, FLAIR, 3] - stacks[:, FLAIR, 2])[:, 20, 24]
    assert steps.tolist() == [1, 40, 48 * 40] * 4  # axial, coronal, sagittal


def test_lesions_are_sought_in_a_quarter_of_the_stacks(brain):
    _, targets = cut_stacks(*brain, seeded(1, 0), count=200)
    shown = ((targets == LESION).sum((1, 2)) >= 10).float().mean()
    assert 0.25 < shown < 0.45  # and by chance in one of ten others


def test_stacks_of_a_healthy_brain_show_brain(brain):
    contrasts, classes = brain
    _, targets = cut_stacks(contrasts, classes.where(classes != LESION, 3), seeded(1, 0))
    assert ((targets > 0).sum((1, 2)) >= 100).all()


def test_a_patch_lies_within_the_canvas(brain):
    for n in range(12):
        patch, target = cut_patch(*brain, seeded(2, n), size=32)
        assert patch.shape == (3, 32, 32, 32)
        assert torch.equal(patch[T2W].long(), target)


def test_half_of_the_patches_are_about_a_lesion_the_others_anywhere_in_the_brain():
    classes = torch.zeros((200,) * 3, dtype=torch.long)
    classes[20:23, 20:23, 20:23] = LESION
    classes[100:180, 100:180, 100:180] = 3
    patches = [cut_patch(classes[None], classes, seeded(2, n), 32)[1] for n in range(200)]
    assert np.mean([(p == LESION).any() for p in patches]) < 0.6
    assert 0.3 < np.mean([(p == LESION).any() or not p.any() for p in patches]) < 0.6
    assert np.mean([bool(p.any()) for p in patches]) > 0.6


def test_brains_join_to_one_batch(brain):
    samples = [cut_stacks(*brain, seeded(1, n), count=3) for n in range(2)]
    stacks, targets = join_stacks(samples)
    assert stacks.shape == (6, 3, 5, 40, 48)
    assert torch.equal(targets[3:], samples[1][1])
