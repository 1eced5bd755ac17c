"""Real heads in several contrasts: everything lands at the FLAIR's world points."""

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from interfaces.registration import write_itk
from networks.brain_classes import CLASSES, LESION
from training.heads import CSF, find_heads, label_groups
from training.sources import LabelFiles

SHIFT = {"T1w": (4.0, 0.0, 0.0), "T2w": (0.0, -3.0, 2.0)}  # FLAIR's points to the contrast's
BRIGHT = (slice(9, 13), slice(31, 35), slice(10, 14))  # a spot in white matter, seen on FLAIR
SPOT_MM = np.array([-22 + 10.5, -26 + 32.5, -20 + 11.5])
AWAY_MM = SPOT_MM + np.array([6, 0, 0])
NAME = "sub-1_ses-2_acq-x"


def moved(affine, shift):
    result = affine.copy()
    result[:3, 3] += shift
    return result


@pytest.fixture
def dataset(tmp_path, head_labels):
    """One session: three contrasts on grids of their own, labels on the T1w, transforms."""
    labels, affine = head_labels
    folders = {}
    for name in ("bids", "labels", "xfm", "drawn"):
        folders[name] = tmp_path / name / "sub-1" / "ses-2" / "anat"
        folders[name].mkdir(parents=True)
    brain = np.isin(labels, (2, 41)).astype(np.float32)
    image = brain * np.random.default_rng(1).normal(100, 3, labels.shape).astype(np.float32)
    image[BRIGHT] = 150
    image[labels == 3] = 150  # cortex is bright, too
    nib.Nifti1Image(image, affine).to_filename(folders["bids"] / f"{NAME}_FLAIR.nii.gz")
    for contrast, shift in SHIFT.items():
        grid = moved(affine, shift)
        path = folders["bids"] / f"{NAME}_{contrast}.nii.gz"
        turned = np.ascontiguousarray(image[::-1])  # stored from right to left
        grid[:3, 3] += (labels.shape[0] - 1) * grid[:3, 0]
        grid[:3, 0] *= -1
        nib.Nifti1Image(turned, grid).to_filename(path)
        matrix = np.eye(4)
        matrix[:3, 3] = shift
        name = f"{NAME}_from-{contrast}_to-FLAIR_mode-image_xfm.txt"
        write_itk(matrix, folders["xfm"] / name)
    path = folders["labels"] / f"{NAME}_space-T1w_seg-x_dseg.nii.gz"
    grid = moved(affine, np.add(SHIFT["T1w"], (2, 0, 1)))
    nib.Nifti1Image(labels[2:, :, 1:], grid).to_filename(path)  # cut at two sides
    return tmp_path


def draw_lesion(dataset, affine, ending):
    mask = np.zeros((44, 52, 44), np.uint8)
    mask[BRIGHT] = 1
    path = dataset / "drawn/sub-1/ses-2/anat" / f"{NAME}_{ending}.nii.gz"
    nib.Nifti1Image(mask, affine).to_filename(path)


def find(dataset, lesions=True, subjects=("1",)):
    labels = LabelFiles(dataset / "labels", transforms=dataset / "xfm")
    folder = dataset / "drawn" if lesions else None
    return find_heads(dataset / "bids", labels, subjects, folder, np.random.default_rng(1))


def value_at(volume, world_mm):
    """Value of the voxel at a point of the FLAIR."""
    voxel = volume.world_to_voxel @ np.append(world_mm, 1)
    return volume.data[tuple(np.round(voxel[:3]).astype(int))]


def test_every_contrast_is_read_at_the_flair_s_points(dataset):
    (head,) = find(dataset)
    assert set(head.images) == {"FLAIR", "T1w", "T2w"}
    for name, volume in head.images.items():
        assert value_at(volume, SPOT_MM) == pytest.approx(150), name
        assert value_at(volume, AWAY_MM) == pytest.approx(100, abs=15), name
    assert head.name == f"{NAME}_FLAIR"


def test_labels_are_at_the_flair_s_points(dataset, head_labels):
    (head,) = find(dataset)
    labels, affine = head_labels
    for number, names in CLASSES[LESION + 1 :]:
        voxel = np.argwhere(labels == names[0])
        middle = voxel[len(voxel) // 2]
        place = affine[:3, :3] @ middle + affine[:3, 3]
        assert value_at(head.labels, place) == names[0], number


def test_a_contrast_of_another_grid_needs_its_transform(dataset):
    for path in (dataset / "xfm").rglob("*from-T2w_to-FLAIR*"):
        path.unlink()
    path = next((dataset / "bids").rglob("*_T2w.nii.gz"))
    image = nib.load(path)
    nib.Nifti1Image(np.array(image.dataobj)[:-1], image.affine).to_filename(path)
    with pytest.raises(ValueError, match="no transform from T2w"):
        find(dataset)


def test_a_contrast_that_is_not_there_is_left_out(dataset):
    next((dataset / "bids").rglob("*_T2w.nii.gz")).unlink()
    assert set(find(dataset)[0].images) == {"FLAIR", "T1w"}


@pytest.mark.parametrize(
    "ending",
    ["label-lesion_desc-consensus_mask", "space-FLAIR_label-L_mask", "label-L_desc-reader1_mask"],
)
def test_drawn_lesions_leave_nothing_unknown(dataset, head_labels, ending):
    draw_lesion(dataset, head_labels[1], ending)
    (head,) = find(dataset)
    assert head.unknown is None
    assert head.lesions.data.sum() == 4**3
    assert value_at(head.lesions, SPOT_MM) == 1


def test_drawn_lesions_are_filled_with_white_matter(dataset, head_labels):
    """Every contrast at its own points; cortex stays as bright as it was."""
    draw_lesion(dataset, head_labels[1], "label-L_mask")
    (head,) = find(dataset)
    assert set(head.filled) == {"FLAIR", "T1w", "T2w"}
    for name, volume in head.filled.items():
        assert value_at(volume, SPOT_MM) == pytest.approx(100, abs=15), name
        assert volume.data[head.labels.data == 3].max() == pytest.approx(150, abs=2), name
    assert not find(dataset, lesions=False)[0].filled


def test_a_consensus_comes_before_a_single_reader(dataset, head_labels):
    draw_lesion(dataset, moved(head_labels[1], (9, 9, 9)), "label-L_desc-a_mask")
    draw_lesion(dataset, head_labels[1], "label-lesion_desc-consensus_mask")
    assert value_at(find(dataset)[0].lesions, SPOT_MM) == 1


def test_bright_white_matter_is_unknown_where_nobody_drew(dataset, head_labels):
    draw_lesion(dataset, head_labels[1], "label-L_mask")
    (head,) = find(dataset, lesions=False)
    assert head.lesions is None
    assert value_at(head.unknown, SPOT_MM) == 1
    # The spot and its rim; of the tail of the noise no more than touches it.
    assert (4 + 2) ** 3 <= head.unknown.data.sum() < (4 + 3) ** 3


def test_white_matter_that_borders_on_cortex_is_known(dataset, head_labels):
    """A teacher's cortex is often a voxel too thin; what is bright there is no lesion."""
    labels, affine = head_labels
    path = next((dataset / "bids").rglob("*_FLAIR.nii.gz"))
    image = np.array(nib.load(path).dataobj)
    white, cortex = np.isin(labels, (2, 41)), labels == 3
    edge = white & ndimage.binary_dilation(cortex)
    assert edge.any()
    image[edge] = 150
    nib.Nifti1Image(image, affine).to_filename(path)
    (head,) = find(dataset, lesions=False)
    assert value_at(head.unknown, SPOT_MM) == 1
    near = ndimage.binary_dilation(head.labels.data == 3, np.ones((3, 3, 3)), iterations=2)
    assert not head.unknown.data[near].any()


def test_a_bright_core_that_the_teacher_calls_ventricle_is_unknown(dataset, head_labels):
    """As SAMSEG without its lesion mode does; learnt so, bright lesions would be ventricles."""
    path = next((dataset / "labels").rglob("*.nii.gz"))
    image = nib.load(path)
    labels = np.array(image.dataobj)
    labels[BRIGHT] = 4
    nib.Nifti1Image(labels, image.affine).to_filename(path)
    (head,) = find(dataset, lesions=False)
    assert value_at(head.unknown, SPOT_MM) == 1


def test_a_bright_septum_between_the_ventricles_is_known(dataset, head_labels):
    path = next((dataset / "labels").rglob("*.nii.gz"))
    image = nib.load(path)
    labels = np.array(image.dataobj)
    labels[9:31, 20:26, 28:34] = 4  # this grid begins two voxels further, at the second slice
    nib.Nifti1Image(labels, image.affine).to_filename(path)
    flair = next((dataset / "bids").rglob("*_FLAIR.nii.gz"))
    data = np.array(nib.load(flair).dataobj)
    data[11:33, 20:26, 29:35] = 10
    data[21:23, 20:26, 29:35] = data[13:16, 21:25, 30:34] = 150
    nib.Nifti1Image(data, head_labels[1]).to_filename(flair)
    (head,) = find(dataset, lesions=False)

    def unknown_at(voxel):
        return value_at(head.unknown, head_labels[1][:3, :3] @ voxel + head_labels[1][:3, 3])

    assert not unknown_at((22, 23, 31))
    assert unknown_at((14, 23, 31))  # what is as bright far from the midline


def test_white_matter_a_little_bright_is_known(dataset, head_labels):
    path = next((dataset / "bids").rglob("*_FLAIR.nii.gz"))
    image = nib.load(path)
    data = np.array(image.dataobj)
    data[BRIGHT] = 110  # noise has an SD of 3
    nib.Nifti1Image(data, image.affine).to_filename(path)
    (head,) = find(dataset, lesions=False)
    assert not head.unknown.data.any()


def test_other_subjects_are_left_out(dataset):
    assert find(dataset, subjects=("2",)) == []


def test_labels_of_a_part_of_the_head_are_refused(dataset):
    path = next((dataset / "labels").rglob("*.nii.gz"))
    image = nib.load(path)
    labels = np.where(np.asarray(image.dataobj) == 31, 0, np.asarray(image.dataobj))
    labels = np.where(np.isin(labels, (63, 136, 137, 163, 164)), 0, labels)
    nib.Nifti1Image(labels, image.affine).to_filename(path)
    with pytest.raises(ValueError, match="lacks structures"):
        find(dataset)


def test_every_label_of_a_head_is_in_one_group():
    groups = label_groups()
    flat = [number for group in groups for number in group]
    assert len(flat) == len(set(flat))
    assert set(flat) >= set(range(1, 165))
    assert groups[-1][0] == CSF
    white = next(group for group in groups if group[0] == 2)
    assert {2, 41, 25, 57, 77, 99} <= set(white)  # a teacher's lesions, too, but no CSF
    assert [group[0] for group in groups[:-1]] == [labels[0] for _, labels in CLASSES[2:]]
