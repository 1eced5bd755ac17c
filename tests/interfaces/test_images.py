import gzip

import nibabel as nib
import numpy as np
import pytest

from interfaces import images
from measures.image_checks import ImageError


def check(path, folder):
    return images.CheckImage(in_file=str(path)).run(cwd=str(folder)).outputs


def test_conformed_copy_keeps_voxels_and_grid(phantom, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = nib.load(phantom("plain")[0])
    data = np.asarray(source.dataobj).copy()
    data[3, 4, 5] = np.nan
    image = nib.Nifti1Image(data[..., None].astype(np.float64), None)
    image.set_qform(source.affine, 1)
    image.set_sform(None, 0)
    nib.save(image, tmp_path / "sub-1_T1w.nii.gz")
    out = check(tmp_path / "sub-1_T1w.nii.gz", tmp_path)
    copy = nib.load(out.out_file)
    assert copy.shape == source.shape and copy.get_data_dtype() == np.float32
    assert np.allclose(copy.affine, source.affine)
    assert copy.header["qform_code"] == 1 and copy.header["sform_code"] == 1
    data[3, 4, 5] = 0
    assert (np.asarray(copy.dataobj) == data).all()
    assert out.slice_thickness_mm == pytest.approx(4) and out.note == ""


def test_conflicting_forms_are_noted(phantom, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = nib.load(phantom("plain")[0])
    shifted = image.affine.copy()
    shifted[0, 3] += 9
    image.set_sform(image.affine, 1)
    image.set_qform(shifted, 1)
    nib.save(image, tmp_path / "sub-1_T1w.nii.gz")
    out = check(tmp_path / "sub-1_T1w.nii.gz", tmp_path)
    assert "9.0 mm" in out.note and out.note.startswith("sub-1_T1w.nii.gz")
    copy = nib.load(out.out_file)
    assert np.allclose(copy.get_qform(), image.get_sform())


def damaged_files(good, folder):
    raw = good.read_bytes()
    yield "truncated", raw[: len(raw) // 2]
    yield "header_only", raw[:60]
    yield "empty", b""
    yield "text", b"this is no image at all" * 40
    yield "cut_plain", gzip.compress(gzip.decompress(raw)[:5000])


def test_damaged_files_give_one_sentence(phantom, tmp_path):
    from pathlib import Path

    for name, content in damaged_files(Path(phantom("plain")[0]), tmp_path):
        path = tmp_path / f"sub-{name}_T1w.nii.gz"
        path.write_bytes(content)
        with pytest.raises(ImageError) as error:
            images.read_checked(path)
        text = str(error.value)
        assert text.startswith(path.name) and text.endswith(".") and "\n" not in text


def test_memory_bomb_is_refused_by_its_header(tmp_path):
    header = nib.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    header.set_data_dtype(np.float32)
    path = tmp_path / "sub-bomb_T1w.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + b"\0" * 1000))
    with pytest.raises(ImageError, match="30000"):
        images.read_checked(path)


def test_resample_onto_own_grid_is_the_identity(phantom):
    image = nib.load(phantom("plain")[0])
    data = np.asarray(image.dataobj)
    assert np.allclose(
        images.resample(data, image.affine, image.affine, image.shape), data, atol=1e-3
    )
    grid, shape = images.isotropic_grid(image.affine, image.shape, 2.0)
    assert nib.aff2axcodes(grid) == ("R", "A", "S") and np.allclose(np.abs(np.diag(grid)[:3]), 2)
    assert len(shape) == 3


@pytest.mark.data
def test_every_brain_of_the_kit_passes_and_small_cords_do_not(kit):
    for path in sorted(kit.glob("sub-openms*/**/*_FLAIR.nii.gz")):
        data, _, note = images.read_checked(path)
        assert data.dtype == np.float32 and note == ""
    for name in ("sctt2", "sctlumbar", "sctfakelesion", "sctt2s"):
        path = next(kit.glob(f"sub-{name}/anat/*.nii.gz"))
        with pytest.raises(ImageError, match=path.name):
            images.read_checked(path)


@pytest.mark.data
def test_extracted_brains_of_the_kit(kit):
    from measures.image_checks import is_brain_extracted

    for path in sorted(kit.glob("sub-*/**/anat/*.nii.gz")):
        if "sub-sct" in path.name:
            continue
        image = nib.load(path)
        data = np.asarray(image.dataobj, np.float32)
        expected = "sub-openmsc" in path.name
        assert is_brain_extracted(data, image.header.get_zooms()[:3]) == expected, path.name
