"""A person's lesions in another head: at the corresponding place, where tissue can hold them."""

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation

from training import placement
from training.placement import (
    CAN_HOLD_LESIONS,
    PersonalLesions,
    can_hold_lesions,
    place_infratentorial,
    place_lesions,
    read_personal_lesions,
)
from training.randomness import seeded
from training.sources import Source, Volume

SHAPE = (60, 72, 60)  # of 2 mm
OFFSET = np.array([28.0, 20.0, 12.0])  # of the lesion from the middle of the brain
SIZE = np.array([100.0, 130.0, 100.0])


def turned(angles):
    return Rotation.from_euler("xyz", angles, degrees=True).as_matrix()


@pytest.fixture
def person():
    """A ball of lesion in a brain whose image is turned."""
    axes, centre = turned((8, -5, 12)), np.array([-10.0, 35.0, 4.0])
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = centre - axes @ [50, 60, 50]
    offset = np.moveaxis(np.indices((101, 121, 101)), 0, -1) - [50, 60, 50] - OFFSET
    ball = np.float32((offset**2).sum(-1) < 7**2)
    return PersonalLesions("sub-1", Volume(ball, np.linalg.inv(affine)), 1, axes, centre, SIZE)


def head(scale):
    """A brain of another size, turned otherwise, and the world mm of its grid's lattice."""
    axes, centre = turned((-6, 10, -9)), np.array([5.0, -20.0, 60.0])
    source = Source(
        "head", axes, centre, np.stack([centre] * 2), centre, thalamus=None,
        brain_box_mm=(centre, SIZE * scale),
    )  # fmt: skip
    reach = [torch.linspace(-n + 1, n - 1, n // 4 + 1) for n in SHAPE]
    offsets = torch.stack(torch.meshgrid(*reach, indexing="ij"))
    points = torch.einsum("ij,jxyz->ixyz", torch.tensor(axes, dtype=torch.float32), offsets)
    return source, points + torch.tensor(centre, dtype=torch.float32)[:, None, None, None]


def centroid(mask):
    """Mean place of a mask's voxels, mm from the middle of the grid."""
    return (mask.nonzero().float().mean(0).numpy() - (np.array(SHAPE) - 1) / 2) * 2


@pytest.fixture
def all_lesions(monkeypatch):
    """Nobody's lesions are thinned out."""
    monkeypatch.setattr(placement, "chance", lambda *_: False)


@pytest.mark.usefixtures("all_lesions")
@pytest.mark.parametrize("scale", [(1, 1, 1), (0.8, 1.2, 0.7)])
def test_lesions_land_at_the_corresponding_place(person, scale):
    source, points = head(np.array(scale))
    labels = torch.full(SHAPE, 2)
    places = []
    for seed in range(12):
        lesions = place_lesions(labels, points, source, [person], seeded(seed, 0))
        assert lesions.sum() > 30
        places.append(centroid(lesions))
    # moved by up to 3 mm, turned by 6 degrees, scaled by 8 and 6 %, sheared
    wanted = OFFSET * scale
    sides = np.array([place[0] > 0 for place in places])
    assert sides.any()
    assert not sides.all()  # mirrored at times
    unsided = [np.abs(place) * [1, 0, 0] + place * [0, 1, 1] for place in places]
    assert np.allclose(unsided, wanted, atol=13)
    assert np.allclose(np.mean(unsided, axis=0), wanted, atol=4.5)
    assert np.std(places, axis=0).min() > 0.5


@pytest.mark.usefixtures("all_lesions")
def test_only_tissue_that_can_hold_lesions_does(person):
    source, points = head(np.ones(3))
    free = place_lesions(torch.full(SHAPE, 2), points, source, [person], seeded(3, 0))
    labels = torch.full(SHAPE, 3)
    labels[:, : SHAPE[1] // 2 + 10] = 41
    lesions = place_lesions(labels, points, source, [person], seeded(3, 0))
    assert torch.equal(lesions, free & (labels == 41))
    assert 0 < lesions.sum() < free.sum()


@pytest.mark.parametrize("often", [True, False])
def test_lesions_reach_a_voxel_into_cortex_at_times(person, monkeypatch, often):
    monkeypatch.setattr(placement, "LEUKOCORTICAL", float(often))
    monkeypatch.setattr(placement, "chance", lambda _, p: p == 1)
    source, points = head(np.ones(3))
    free = place_lesions(torch.full(SHAPE, 2), points, source, [person], seeded(3, 0))
    labels = torch.full(SHAPE, 3)
    middle = int(free.nonzero()[:, 1].float().median())
    labels[:, :middle] = 41
    lesions = place_lesions(labels, points, source, [person], seeded(3, 0))
    border = torch.zeros_like(free)
    border[:, middle] = True
    assert (lesions & border).any() == often
    assert not (lesions & (labels == 3) & ~border).any()


def test_a_few_single_lesions_lie_in_stem_and_cerebellum():
    labels = torch.full(SHAPE, 2)
    labels[20:40, 20:40, 5:20], labels[45:60, 20:40, 5:20] = 16, 46
    allowed = (labels == 16) | (labels == 46)
    for seed in range(8):
        lesions = place_infratentorial(labels, None, seeded(seed, 0))
        assert lesions.any()
        assert not (lesions & ~allowed).any()
        assert 1 <= ndimage.label(lesions)[1] <= 4
    assert not place_infratentorial(torch.full(SHAPE, 2), None, seeded(1, 0)).any()


def test_one_of_the_people_is_chosen(person):
    source, points = head(np.ones(3))
    nothing = Volume(np.zeros((9, 9, 9), np.float32), np.eye(4))
    empty = PersonalLesions("sub-2", nothing, 0, np.eye(3), np.zeros(3), SIZE)
    found = [
        place_lesions(torch.full(SHAPE, 2), points, source, [person, empty], seeded(s, 0)).any()
        for s in range(12)
    ]
    assert any(found)
    assert not all(found)


def test_half_of_the_time_whole_lesions_are_left_out():
    axes, centre = np.eye(3), np.zeros(3)
    numbered = np.zeros((101, 121, 101), np.float32)
    for n in range(40):
        x, y, z = 20 + 12 * (n % 5), 30 + 16 * (n // 5 % 4), 30 + 30 * (n // 20)
        numbered[x : x + 5, y : y + 5, z : z + 5] = n + 1
    affine = np.eye(4)
    affine[:3, 3] = (-50, -60, -50)
    person = PersonalLesions(
        "sub-1", Volume(numbered, np.linalg.inv(affine)), 40, axes, centre, SIZE
    )
    source, points = head(np.ones(3))
    counts = []
    for seed in range(24):
        lesions = place_lesions(torch.full(SHAPE, 2), points, source, [person], seeded(seed, 0))
        counts.append(ndimage.label(lesions.numpy())[1])
    assert 5 < counts.count(40) < 19
    assert min(counts) < 12
    assert any(12 <= count < 36 for count in counts)


def test_white_matter_and_stem_can_hold_lesions():
    labels = torch.arange(300)
    assert labels[can_hold_lesions(labels)].tolist() == sorted(CAN_HOLD_LESIONS)
    for grey_or_fluid in (0, 3, 42, 4, 10, 24, 31, 515):
        assert grey_or_fluid not in CAN_HOLD_LESIONS


def write(path, data, affine):
    nib.Nifti1Image(data.astype(np.uint8), affine).to_filename(path)
    return path


def test_masks_are_read_with_the_brain_they_lie_in(tmp_path):
    """Stored from right to left: the voxels and the world stay together."""
    affine = np.diag([-2.0, 2.0, 3.0, 1.0])
    affine[:3, 3] = (60, -40, -30)
    brain, lesion = np.zeros((40, 50, 30)), np.zeros((40, 50, 30))
    brain[5:36, 5:46, 5:26] = 1
    lesion[10, 20, 15] = 1
    path = write(tmp_path / "sub-7_label-lesion_mask.nii.gz", lesion, affine)
    write(tmp_path / "sub-7_label-brain_mask.nii.gz", brain, affine)
    (person,) = read_personal_lesions([path])
    assert person.name == "sub-7"
    assert np.allclose(person.brain_centre_mm, (20, 10, 15))
    assert np.allclose(person.brain_size_mm, (60, 80, 60))
    assert np.allclose(person.axes, np.eye(3))
    voxel = person.numbered.world_to_voxel @ affine @ [10, 20, 15, 1]
    assert person.numbered.data[tuple(np.round(voxel[:3]).astype(int))] == 1
    assert person.numbered.data.sum() == person.count == 1


def test_a_mask_without_its_brain_is_refused(tmp_path):
    path = write(tmp_path / "sub-7_label-lesion_mask.nii.gz", np.ones((4, 4, 4)), np.eye(4))
    with pytest.raises(FileNotFoundError):
        read_personal_lesions([path])
