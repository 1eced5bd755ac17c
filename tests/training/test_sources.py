"""Real sources: labels on a T1w carried into FLAIR space by an ITK transform."""

import nibabel as nib
import numpy as np
import pytest

from training.deepgrai import recipe
from training.randomness import seeded
from training.sampling import draw
from training.sources import (
    LabelFiles,
    find_real_files,
    read_itk_affine,
    real_source,
    resample_labels,
)

GEOMETRY = {"crop_mm": None, "voxel_mm": (2.0, 2.0, 2.0)}


@pytest.fixture
def dataset(tmp_path):
    """A FLAIR whose bright block lies 5 mm to the right of where the T1w's labels have it."""
    flair = np.zeros((64, 64, 40), np.float32)
    flair[8:56, 8:56, 6:34] = 50
    flair[25:35, 25:40, 15:25] = 100
    labels = np.zeros((64, 64, 40), np.int16)
    labels[8:56, 8:56, 6:34] = 2
    labels[20:25, 25:40, 15:25] = 10
    labels[25:30, 25:40, 15:25] = 49
    anat, derived = tmp_path / "bids/sub-1/anat", tmp_path / "labels/sub-1/anat"
    moved = tmp_path / "xfm/sub-1/anat"
    for folder in (anat, derived, moved):
        folder.mkdir(parents=True)
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    nib.Nifti1Image(flair, affine).to_filename(anat / "sub-1_FLAIR.nii.gz")
    nib.Nifti1Image(labels, affine).to_filename(derived / "sub-1_space-T1w_seg-x_dseg.nii.gz")
    # Points of the FLAIR to points of the T1w: 5 mm to the left in RAS is +5 in ITK's LPS.
    (moved / "sub-1_from-T1w_to-FLAIR_mode-image_xfm.txt").write_text(
        "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
        "Parameters: 1 0 0 0 1 0 0 0 1 5 0 0\nFixedParameters: 0 0 0\n"
    )
    return tmp_path


def test_transform_is_read_as_ras(dataset):
    matrix = read_itk_affine(next((dataset / "xfm").rglob("*.txt")))
    assert np.allclose(matrix @ [10, 0, 0, 1], [5, 0, 0, 1])


def find(dataset, subjects=("1",), transforms="xfm"):
    """The real FLAIRs of the dataset."""
    transforms = dataset / transforms if transforms else None
    labels = LabelFiles(dataset / "labels", transforms=transforms)
    return find_real_files(dataset / "bids", labels, subjects, "FLAIR")


def test_labels_follow_the_transform(dataset):
    files = find(dataset)
    assert len(files) == 1
    source = real_source(files[0], **GEOMETRY)
    assert np.allclose(source.thalamus_centre_mm, [29.5, 32, 19.5], atol=0.01)
    assert np.allclose(source.side_centres_mm[:, 0], [27, 32], atol=0.01)
    image, target = draw(source, recipe(1), seeded(1, 0))
    inside, around = image[target > 0], image[(target == 0) & (image > -1)]
    assert inside.numel() > 40
    assert inside.median() > around.median() + 0.5


def test_unaligned_images_of_different_grids_are_refused(dataset):
    path = next((dataset / "labels").rglob("*.nii.gz"))
    nib.Nifti1Image(np.zeros((9, 9, 9), np.int16), np.eye(4)).to_filename(path)
    with pytest.raises(ValueError, match="register them first"):
        find(dataset, transforms=None)


def test_subjects_not_named_are_left_out(dataset):
    assert find(dataset, subjects=("2",)) == []


def test_a_map_without_a_thalamus_is_refused(dataset):
    path = next((dataset / "labels").rglob("*.nii.gz"))
    image = nib.load(path)
    labels = np.asarray(image.dataobj)
    nib.Nifti1Image(np.where(labels == 49, 2, labels), image.affine).to_filename(path)
    with pytest.raises(ValueError, match="no thalamus of label 49"):
        real_source(find(dataset)[0], **GEOMETRY)


def test_thick_labels_are_interpolated_between_slices():
    labels = np.zeros((10, 10, 4), np.int16)
    labels[2:8, 2:8, 1:3] = 2
    labels[4:6, 4:6, 1] = 10
    labels[3, 3, 1] = 0  # a hole in the head
    fine, affine = resample_labels(labels, np.diag([1.0, 1, 3, 1]), [[10], [2]])
    assert fine.shape == (10, 10, 12)
    assert np.allclose(affine[:3, 3], [0, 0, -1])
    assert (fine == 10).sum() == 4 * 3
    assert set(np.unique(fine[4, 4])) == {0, 2, 10}


def test_labels_in_the_image_s_own_space_come_first(dataset):
    t1w_labels = next((dataset / "labels").rglob("*.nii.gz"))
    own = t1w_labels.with_name("sub-1_space-FLAIR_seg-x_dseg.nii.gz")
    labels = np.where(np.isin(np.asarray(nib.load(t1w_labels).dataobj), (10, 49)), 0, 3)
    labels[20:25, 25:40, 15:25], labels[25:30, 25:40, 15:25] = 1, 2
    nib.Nifti1Image(labels.astype(np.int16), np.eye(4)).to_filename(own)
    files = find(dataset)[0]
    assert files.labels == own
    assert np.array_equal(files.to_labels, np.eye(4))
    source = real_source(files, **GEOMETRY, thalamus_numbers=(1, 2))
    assert np.allclose(source.side_centres_mm[:, 0], [22, 27], atol=0.01)


def test_two_label_files_of_an_image_are_refused(dataset):
    path = next((dataset / "labels").rglob("*.nii.gz"))
    path.with_name("sub-1_space-T1w_seg-y_dseg.nii.gz").write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="several label files"):
        find(dataset)


def test_labels_of_the_thalamus_alone_are_no_whole_head(dataset):
    with pytest.raises(ValueError, match="whole head"):
        real_source(find(dataset)[0], **GEOMETRY, label_groups=[[10], [49], [11], [2]])
