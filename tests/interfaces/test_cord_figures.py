"""The cord's pictures: straightened along its line, and drawn."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nipype.interfaces.base import isdefined

from interfaces.cord_figures import CordPicture, cord_picture, follow


def leaning(shape=(40, 50, 20)):
    """A one-voxel line that leans to the right and forward, and its voxels."""
    z = np.arange(shape[2])
    line = np.column_stack([10 + z, 5 + 2 * z])
    volume = np.zeros(shape, np.float32)
    volume[line[:, 0], line[:, 1], z] = 1 + z
    return volume, line.astype(float)


def test_a_leaning_cord_stands_upright_in_axial_sections():
    volume, line = leaning()
    straight = follow(volume, line, (1.0, 2.0, 1.0), (4.0, 4.0))
    assert straight.shape == (9, 5, 20)
    assert np.array_equal(straight[4, 2], 1 + np.arange(20))
    assert straight.sum() == volume.sum()


def test_sagittal_sections_keep_front_and_back():
    volume, line = leaning()
    straight = follow(volume, line, (1.0, 1.0, 1.0), (4.0, None))
    assert straight.shape == (9, 50, 20)
    assert np.array_equal(straight[4], volume.max(0))
    assert not straight[:4].any()


def test_what_lies_beyond_the_image_is_dark():
    volume = np.ones((6, 6, 2), np.float32)
    straight = follow(volume, np.array([[0.0, 5.0], [-3.0, 9.0]]), (1.0, 1.0, 1.0), (2.0, 2.0))
    for z in (0, 1):
        assert np.array_equal(straight[:, :, z], np.outer([0, 0, 1, 1, 1], [1, 1, 1, 0, 0]))


@pytest.fixture
def files(tmp_path):
    """An image that is stored from head to feet, its cord, a lesion, and the centreline."""
    affine = np.diag([-1.0, 1.0, -2.0, 1.0])
    affine[:3, 3] = (20, -30, 40)
    rng = np.random.default_rng(0)
    image = rng.normal(100, 5, (40, 60, 20)).astype(np.float32)
    cord, lesions = np.zeros(image.shape, np.uint8), np.zeros(image.shape, np.uint8)
    cord[16:24, 26:34, 3:18] = 1
    lesions[18:20, 28:31, 9:11] = 1
    found = {"in_file": image, "cord": cord, "lesions": lesions}
    for name, data in found.items():
        found[name] = str(tmp_path / f"{name}.nii.gz")
        nib.Nifti1Image(data, affine).to_filename(found[name])
    rows = [affine[:3, :3] @ (19.5, 29.5, z) + affine[:3, 3] for z in range(17, 2, -1)]
    points = tmp_path / "points.csv"
    points.write_text("x_mm,y_mm,z_mm\n" + "".join(",".join(map(str, r)) + "\n" for r in rows))
    return found | {"points": str(points)}


@pytest.mark.parametrize(("view", "panels"), [("axial", 15), ("sagittal", 3)])
def test_pictures_show_both_outlines(files, tmp_path, view, panels):
    outputs = CordPicture(view=view, title="Cord", **files).run(cwd=str(tmp_path)).outputs
    text = Path(outputs.out_report).read_text(encoding="utf-8")
    assert text.count("<image ") == panels
    for color in ("#ff9f1c", "#f25f9c"):
        assert text.count(f"stroke: {color}") >= 1


def test_a_single_slice_can_be_drawn(tmp_path):
    affine = np.diag([0.5, 0.5, 5.0, 1.0])
    image = np.random.default_rng(1).normal(100, 5, (60, 60, 1)).astype(np.float32)
    cord = np.zeros(image.shape, np.uint8)
    cord[20:40, 22:38] = 1
    for name, data in (("image", image), ("cord", cord), ("none", cord * 0)):
        nib.Nifti1Image(data, affine).to_filename(tmp_path / f"{name}.nii.gz")
    (tmp_path / "points.csv").write_text("x_mm,y_mm,z_mm\n15,15,0\n")
    for view in ("axial", "sagittal"):
        out = cord_picture(
            *(tmp_path / f"{n}.nii.gz" for n in ("image", "cord", "none")),
            tmp_path / "points.csv", tmp_path / f"{view}.svg", view=view, title="",
        )  # fmt: skip
        assert out.read_text().count("<image ") == (1 if view == "axial" else 3)


def test_without_a_cord_there_is_no_picture(files, tmp_path):
    outputs = CordPicture(in_file=files["in_file"]).run(cwd=str(tmp_path)).outputs
    assert not isdefined(outputs.out_report)
