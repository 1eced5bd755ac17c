"""Pictures: outlines where the masks are, sides where they belong, files of a modest size."""

from __future__ import annotations

import os
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from interfaces import drawing, figures

DATA = Path(os.environ.get("MSMORPH_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
OPENMS = DATA / "bids" / "sub-openmsl01" / "ses-01" / "anat" / "sub-openmsl01_ses-01_FLAIR.nii.gz"
SAMSEG = DATA.joinpath(
    "bids", "derivatives", "samseg", "sub-openmsl01", "ses-01", "anat",
    "sub-openmsl01_ses-01_space-T1w_seg-samseg_dseg.nii.gz",
)  # fmt: skip
LPS_THICK = np.array([[-1.0, 0, 0, 30], [0, -1, 0, 40], [0, 0, 4, -20], [0, 0, 0, 1]])


def save(path, data, affine):
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


@pytest.fixture
def head(tmp_path):
    """A thick-slice LPS image with a bright cube on the subject's left, and masks on two grids."""
    generator = np.random.default_rng(1)
    data = generator.normal(100, 5, (60, 80, 10)).astype(np.float32)
    cube = np.zeros(data.shape, np.uint8)
    cube[40:50, 30:50, 3:7] = 1  # x = -10 to -19 mm: left
    data[cube > 0] = 300
    fine_affine = np.diag([1.0, 1.0, 1.0, 1.0])
    fine_affine[:3, 3] = (-29, -39, -21)
    fine = np.zeros((60, 80, 40), np.uint8)
    points = nib.affines.apply_affine(fine_affine, np.argwhere(fine == 0))
    voxels = np.round(nib.affines.apply_affine(np.linalg.inv(LPS_THICK), points)).astype(int)
    voxels = np.clip(voxels, 0, np.array(data.shape) - 1)
    fine[:] = cube[tuple(voxels.T)].reshape(fine.shape)
    return {
        "image": save(tmp_path / "image.nii.gz", data, LPS_THICK),
        "mask": save(tmp_path / "mask.nii.gz", cube, LPS_THICK),
        "fine": save(tmp_path / "fine.nii.gz", fine, fine_affine),
        "empty": save(tmp_path / "empty.nii.gz", np.zeros_like(cube), LPS_THICK),
    }


def test_load_ras_keeps_the_world(head):
    volume = drawing.load_ras(head["image"])
    assert nib.aff2axcodes(volume.affine) == ("R", "A", "S")
    bright = np.argwhere(volume.data > 250).mean(0)
    assert nib.affines.apply_affine(volume.affine, bright)[0] == pytest.approx(-14.5)
    assert np.allclose(volume.spacing, (1, 1, 4))


@pytest.mark.parametrize("name", ["mask", "fine"])
def test_masks_of_any_grid_lie_on_the_image(head, name):
    volume = drawing.load_ras(head["image"])
    assert np.array_equal(drawing.load_mask(head[name], volume), volume.data > 250)


def test_the_subjects_left_is_on_the_right_of_the_picture(head):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    volume = drawing.load_ras(head["image"])
    target = np.zeros(volume.data.shape, bool)
    box = drawing.bounding_box(target, volume.spacing, 0)
    picture = drawing.Picture([volume], [""], target, box, [])
    for axis in (drawing.AXIAL, drawing.CORONAL):
        figure = Figure(figsize=(2, 2))
        canvas = FigureCanvasAgg(figure)
        panel = drawing.Panel(axis, 5 if axis == drawing.AXIAL else 40)
        picture._draw_panel(figure.add_axes((0, 0, 1, 1)), panel, (0, 300))
        canvas.draw()
        grey = np.asarray(canvas.buffer_rgba())[..., 0].astype(float)
        half = grey.shape[1] // 2
        assert grey[:, half:].mean() > grey[:, :half].mean() + 5


def test_bounding_box_and_slices():
    mask = np.zeros((20, 20, 8), bool)
    mask[5:10, 5:15, 2:7] = True
    box = drawing.bounding_box(mask, (1, 1, 4), 4)
    assert box.tolist() == [[1, 14], [1, 19], [1, 8]]
    assert drawing.spread(mask, 2, 10, box) == [2, 3, 4, 5, 6]
    assert drawing.spread(mask, 2, 2, box) == [3, 5]
    nothing = np.zeros_like(mask)
    assert drawing.bounding_box(nothing, (1, 1, 1), 4).tolist() == [[0, 20], [0, 20], [0, 8]]
    assert drawing.spread(nothing, 2, 2, drawing.bounding_box(nothing, (1, 1, 1), 0)) == [2, 6]


def test_window_follows_the_brain_not_the_scalp():
    data = np.zeros((10, 10, 10), np.float32)
    target = np.zeros(data.shape, bool)
    target[2:9, 2:9, 2:9] = True
    data[target] = 50
    data[0] = 1000
    assert drawing.grey_window(data, target) == (0.0, 50.0)
    assert drawing.grey_window(np.full((2, 2, 2), np.nan), np.ones((2, 2, 2), bool)) == (0, 1)
    low, high = drawing.grey_window(np.zeros((2, 2, 2)), np.ones((2, 2, 2), bool))
    assert high > low


def test_mosaic_is_the_same_every_time_and_names_an_empty_mask(head, tmp_path):
    outlines = [
        figures.Contour(head["mask"], figures.PALETTE[0], "cube"),
        (head["empty"], figures.PALETTE[1], "nothing"),
    ]
    paths = [
        figures.mosaic(head["image"], outlines, tmp_path / f"{i}.svg", "Title") for i in (1, 2)
    ]
    first, second = (path.read_text() for path in paths)
    assert first == second
    assert first.lstrip().startswith("<?xml")
    assert "<image" in first
    assert figures.PALETTE[0] in first
    assert len(first) < 1.5e6
    figures.mosaic(head["image"], outlines[1:], tmp_path / "3.svg", "Title")


def test_interfaces_write_into_their_folder(head, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = figures.MaskMosaic(
        in_file=head["image"], mask_files=[head["mask"]], labels=["a", "b"], values=[1, 2],
        title="x", axial=2,
    ).run()  # fmt: skip
    assert Path(result.outputs.out_report).parent == tmp_path
    result = figures.RegistrationMosaic(
        fixed=head["image"], moving=head["fine"], contour_mask=head["mask"]
    ).run()
    assert Path(result.outputs.out_report).stat().st_size > 1000


@pytest.mark.data
@pytest.mark.skipif(not OPENMS.exists(), reason=f"the data kit is not at {DATA}")
def test_real_thick_slices_are_quick_and_small(tmp_path):
    outlines = [(SAMSEG, "#ff9f1c", "left", 10), (SAMSEG, "#2ec4f1", "right", 49)]
    start = time.process_time()
    path = figures.mosaic(OPENMS, outlines, tmp_path / "a.svg", "Thalamus", margin_mm=25)
    assert time.process_time() - start < 6  # 1 s on an idle core
    assert 50_000 < path.stat().st_size < 1_500_000
