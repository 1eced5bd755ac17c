import nibabel as nib
import numpy as np
import pytest

from interfaces import brain
from measures.image_checks import ImageError


def test_n4_removes_a_smooth_field_and_keeps_the_level(phantom, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    t1, _, mask = phantom("coarse", size=(5.0, 5.0, 6.0))
    image = nib.load(t1)
    data, inside = np.asarray(image.dataobj), np.asarray(nib.load(mask).dataobj) > 0
    ramp = np.linspace(-0.4, 0.4, data.shape[1])[None, :, None]
    biased = (data * np.exp(ramp)).astype(np.float32)
    nib.save(nib.Nifti1Image(biased, image.affine), "biased.nii.gz")
    node = brain.N4BiasFieldCorrection(in_file="biased.nii.gz", mask_file=mask)
    out = node.run(cwd=str(tmp_path)).outputs.out_file
    first = np.asarray(nib.load(out).dataobj)
    tissue = inside & (data > 500) & (data < 700)
    spread = [x[tissue].std() / x[tissue].mean() for x in (biased, first)]
    assert spread[1] < 0.5 * spread[0]
    assert first[inside].mean() == pytest.approx(biased[inside].mean(), rel=0.1)
    assert (first[data == 0] == 0).all() and (first[~inside & (data > 0)] != 0).all()
    again = node.run(cwd=str(tmp_path)).outputs.out_file
    assert (np.asarray(nib.load(again).dataobj) == first).all()


def test_blocks_and_back():
    array = np.add.outer(np.add.outer(np.arange(21.0), np.arange(10.0)), np.arange(7.0))
    factors = np.array([4, 3, 1])
    mean = brain._block_sum(array, factors) / brain._block_sum(np.ones_like(array), factors)
    back = brain._enlarge(mean.astype(np.float32), factors, array.shape)
    assert back.shape == array.shape
    assert np.allclose(back[3:17, 2:7], array[3:17, 2:7], atol=1e-4)


def test_mask_of_an_extracted_brain(phantom, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    t1, _, mask = phantom("plain")
    image, inside = nib.load(t1), np.asarray(nib.load(mask).dataobj) > 0
    data = np.where(inside, np.asarray(image.dataobj), -1e-3)
    data[40, 45, 25] = 0  # a hole
    nib.save(nib.Nifti1Image(data.astype(np.float32), image.affine), "brain.nii.gz")
    out = brain.BrainMask(in_file="brain.nii.gz", skull_strip="skip").run(cwd=str(tmp_path)).outputs
    found = nib.load(out.out_mask)
    assert found.get_data_dtype() == np.uint8 and out.method == "given"
    assert (np.asarray(found.dataobj) > 0)[inside].all()
    assert out.volume_ml == pytest.approx(inside.sum() * 0.025, rel=0.02) and out.flag == "ok"


def test_a_picture_without_brain_is_refused_or_flagged(tmp_path, monkeypatch):
    """deepbet finds a brain of plausible size in noise, which must not pass as one."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).normal(100, 5, (40, 40, 40)).astype(np.float32)
    nib.save(nib.Nifti1Image(noise, np.diag([4, 4, 4, 1.0])), "sub-1_T1w_checked.nii.gz")
    node = brain.BrainMask(in_file="sub-1_T1w_checked.nii.gz", skull_strip="force")
    try:
        flag = node.run(cwd=str(tmp_path)).outputs.flag
    except ImageError as error:
        assert "no brain" in str(error)
    else:
        assert flag != "ok"


def test_thread_and_device_traits_are_not_hashed():
    one, two = brain.BrainMask(), brain.BrainMask(device="cuda", num_threads=4)
    assert one.inputs.get_hashval()[1] == two.inputs.get_hashval()[1]


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("sub-openmsl01_ses-01_T1w", 1270, 1410), ("sub-openmsl01_ses-01_FLAIR", 1300, 1450)],
)
def test_brain_mask_on_the_kit(kit, tmp_path, monkeypatch, name, low, high):
    monkeypatch.chdir(tmp_path)
    path = next(kit.glob(f"sub-*/**/{name}.nii.gz"))
    out = brain.BrainMask(in_file=str(path)).run(cwd=str(tmp_path)).outputs
    assert low < out.volume_ml < high and out.flag == "ok" and out.method == "deepbet"
    mask = nib.load(out.out_mask)
    assert mask.shape == nib.load(path).shape
    assert (brain.solid(np.asarray(mask.dataobj) > 0) == (np.asarray(mask.dataobj) > 0)).mean() > (
        0.99999
    )
