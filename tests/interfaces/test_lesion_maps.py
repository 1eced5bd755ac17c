"""What is no lesion leaves no trace in the maps, and lesions near it lose nothing."""

import numpy as np
import pytest

from interfaces.lesions import _Cleaned, _freesurfer
from networks.brain_classes import CLASSES
from networks.lesions import LesionMap

SHAPE = (32, 32, 32)
PLEXUS = (slice(6, 12), slice(10, 16), slice(10, 16))
WRONG = (slice(7, 11), slice(11, 15), slice(11, 15))  # within the plexus
RIGHT = (slice(14, 18), slice(11, 15), slice(11, 15))  # three voxels from it
EDGE = 0.4


@pytest.fixture
def cleaned():
    """Probabilities of a false lesion and of a true one beside it, each with a blurred edge."""
    lesion = np.zeros(SHAPE, np.float32)
    for box in (WRONG, RIGHT):
        around = tuple(slice(s.start - 2, s.stop + 2) for s in box)
        lesion[around] = EDGE / 2
        lesion[tuple(slice(s.start - 1, s.stop + 1) for s in box)] = EDGE
    lesion[WRONG] = lesion[RIGHT] = 0.9
    likelihood = np.zeros((len(CLASSES), *SHAPE), np.float32)
    likelihood[1] = lesion
    plexus = np.zeros(SHAPE, bool)
    plexus[PLEXUS] = True
    likelihood[15], likelihood[3] = (1 - lesion) * plexus, (1 - lesion) * ~plexus
    return _Cleaned(LesionMap(likelihood, None, np.eye(4), 0.0), 0.5)


def test_a_false_lesion_leaves_with_its_edge(cleaned):
    probability, uncertainty = cleaned.lesion_maps(SHAPE, np.eye(4))
    assert uncertainty is None
    assert not probability[WRONG].any()
    assert not probability[6, 11:15, 11:15].any()  # the edge, away from the true lesion
    assert not probability[7:11, 11:15, 9:11].any()


def test_a_true_lesion_beside_it_keeps_its_own(cleaned):
    probability, _ = cleaned.lesion_maps(SHAPE, np.eye(4))
    assert np.allclose(probability[RIGHT], 0.9)
    assert np.allclose(probability[13, 11:15, 11:15], EDGE)
    assert np.allclose(probability[12, 11:15, 11:15], EDGE / 2)
    assert np.allclose(probability[18, 11:15, 11:15], EDGE)


@pytest.mark.parametrize("step", [2, 4])
def test_nor_does_it_come_back_on_a_coarser_grid(cleaned, step):
    affine = np.diag([1.0, 1.0, step, 1.0])
    affine[2, 3] = (step - 1) / 2
    shape = (32, 32, 32 // step)
    probability, _ = cleaned.lesion_maps(shape, affine)
    assert not (probability[:12] > 0.5).any()
    assert probability.sum() * step == pytest.approx(
        cleaned.lesion_maps(SHAPE, np.eye(4))[0].sum(), rel=1e-3
    )


def test_structures_are_those_below_the_lesions(cleaned):
    structures = _freesurfer(cleaned.structures(SHAPE, np.eye(4)))
    assert (structures[PLEXUS] == 31).all()
    assert (structures[RIGHT] == 2).all()
    assert structures.dtype == np.int16


def test_white_matter_moves_with_the_image(cleaned):
    move = np.eye(4)
    move[0, 3] = 5
    white = cleaned.white_matter(SHAPE, np.eye(4), move)
    assert not white[11:16, 11:15, 11:15].any()  # the plexus, five voxels on
    assert not white[2, 2, 2]  # beyond the map
    assert white[7, 5, 5]
