import copy

import nibabel as nib
import numpy as np
import pytest

from interfaces import registration as reg

MOVED = reg.about((0, 0, 0), (4, -3, 6), (3, -5, 2))


def displacement(a, b, mask_file):
    mask = nib.load(mask_file)
    points = nib.affines.apply_affine(mask.affine, np.argwhere(np.asarray(mask.dataobj) > 0))
    apply = nib.affines.apply_affine
    return np.linalg.norm(apply(a, points) - apply(b, points), axis=1).mean()


def rigid(fixed, fixed_mask, moving, moving_mask, folder):
    node = reg.RigidRegistration(
        fixed=fixed, moving=moving, fixed_mask=fixed_mask, moving_mask=moving_mask,
        fixed_name="T1w", moving_name="T2w",
    )  # fmt: skip
    folder.mkdir()
    return node.run(cwd=str(folder)).outputs


@pytest.fixture(scope="module")
def pair(phantom, tmp_path_factory):
    fixed, _, fixed_mask = phantom("plain")
    # a voxel of the moved image at x shows the phantom's MOVED x: fixed to moving is the inverse
    _, moving, moving_mask = phantom("moved", MOVED, (2.0, 2.0, 5.0))
    folder = tmp_path_factory.mktemp("rigid")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reg, "RIGID_MM", 3.0)  # for speed
        runs = [rigid(fixed, fixed_mask, moving, moving_mask, folder / n) for n in "ab"]
    return fixed, fixed_mask, moving, runs


def test_rigid_recovers_a_known_motion(pair):
    fixed, fixed_mask, moving, (out, _) = pair
    truth = np.linalg.inv(MOVED)
    assert displacement(reg.read_itk(out.out_itk), truth, fixed_mask) < 0.7
    moving_mask = moving.replace("T2w", "mask")
    heads = [
        reg.Head(f, m, 3.0, masked=False) for f, m in ((fixed, fixed_mask), (moving, moving_mask))
    ]
    # noise in flat tissue bounds the correlation: the true matrix does not reach more
    correlation, overlap = reg.quality(*heads, truth)
    assert out.correlation > correlation - 0.02 and out.dice > overlap - 0.01
    assert out.flag == "ok"


def test_rigid_is_bit_identical(pair):
    from pathlib import Path

    for field in ("out_itk", "out_flirt", "out_file"):
        first, second = (Path(getattr(out, field)).read_bytes() for out in pair[3])
        assert first == second
    assert pair[3][0].correlation == pair[3][1].correlation


def test_resampled_image_agrees_with_ants(pair):
    import ants

    fixed, fixed_mask, moving, (out, _) = pair
    theirs = ants.apply_transforms(
        ants.image_read(fixed), ants.image_read(moving), [out.out_itk], interpolator="linear"
    ).numpy()
    ours = np.asarray(nib.load(out.out_file).dataobj)
    mask = np.asarray(nib.load(fixed_mask).dataobj) > 0
    assert ours.shape == theirs.shape
    assert np.corrcoef(ours[mask], theirs[mask])[0, 1] > 0.98


def test_transform_files_agree(pair):
    import fsl.transform.flirt as flirt
    from fsl.data.image import Image
    from nitransforms.linear import Affine

    fixed, _, moving, (out, _) = pair
    matrix = reg.read_itk(out.out_itk)
    with open(out.out_itk) as text:
        assert text.readline() == "#Insight Transform File V1.0\n"
    assert np.allclose(Affine.from_filename(out.out_itk, fmt="itk").matrix, matrix, atol=1e-6)
    world = flirt.fromFlirt(
        flirt.readFlirt(out.out_flirt), Image(moving), Image(fixed), "world", "world"
    )
    assert np.allclose(np.linalg.inv(world), matrix, atol=1e-4)


def test_itk_text_round_trip(tmp_path):
    path = reg.write_itk(MOVED, tmp_path / "x.txt")
    assert np.allclose(reg.read_itk(path), MOVED, atol=1e-12)
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]
    (tmp_path / "y.txt").write_text("nothing")
    with pytest.raises(ValueError, match=r"y\.txt"):
        reg.read_itk(tmp_path / "y.txt")


def test_another_head_is_flagged(phantom, tmp_path):
    fixed, _, fixed_mask = phantom("plain")
    image = nib.load(phantom("plain")[1])
    rng = np.random.default_rng(3)
    noise = rng.normal(100, 20, image.shape).astype(np.float32)
    nib.save(nib.Nifti1Image(noise, image.affine), tmp_path / "noise.nii.gz")
    cube = np.zeros(image.shape, np.uint8)
    cube[20:60, 10:20, 5:45] = 1
    nib.save(nib.Nifti1Image(cube, image.affine), tmp_path / "cube.nii.gz")
    small = [
        reg.Head(f, m, 8.0, masked=False)
        for f, m in (
            (fixed, fixed_mask),
            (tmp_path / "noise.nii.gz", tmp_path / "cube.nii.gz"),
        )
    ]
    quality = reg.quality(*small, np.eye(4))
    assert reg.alignment.coregistration_flag(*quality) != "ok"


def test_even_takes_a_bias_field_out_of_the_brain_alone(phantom):
    image, _, mask = phantom("even")
    plain = reg.Head(image, mask, 3.0, masked=True)
    x, y, _ = np.meshgrid(*[np.linspace(-1, 1, n) for n in plain.data.shape], indexing="ij")
    field = np.exp(0.6 * x - 0.4 * y).astype(np.float32)
    biased = copy.copy(plain)
    biased.data = plain.data * field / field.max()

    def ratio(head, other):
        values = head.data[plain.mask] / np.maximum(other.data[plain.mask], 1e-3)
        return values.std() / values.mean()

    assert ratio(biased, plain) > 0.15
    assert ratio(biased.even(), plain.even()) < 0.5 * ratio(biased, plain)
    outside = ~plain.mask
    assert np.array_equal(biased.even().data[outside], biased.data[outside])


def test_template_is_found_without_importing_nilearn():
    assert reg.mni_template().is_file()


REFERENCES = [
    ("sub-openmsl01", "ses-01"),
    ("sub-openmsl01", "ses-02"),
    ("sub-openmsl03", "ses-02"),
    ("sub-openmsl04", "ses-01"),
]


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("subject", "session"), REFERENCES[2:3])
def test_against_the_provider_s_transform(kit, tmp_path, monkeypatch, subject, session):
    """Mean point distance in the brain; the provider's transform is affine with some scale."""
    from interfaces.brain import BrainMask

    monkeypatch.chdir(tmp_path)
    where = kit / subject / session / "anat"
    files, masks = {}, {}
    for c in ("T1w", "FLAIR"):
        files[c] = str(where / f"{subject}_{session}_{c}.nii.gz")
        masks[c] = BrainMask(in_file=files[c]).run(cwd=str(tmp_path)).outputs.out_mask
    out = rigid(files["T1w"], masks["T1w"], files["FLAIR"], masks["FLAIR"], tmp_path / "r")
    theirs = next(
        (kit / "derivatives/reference" / subject / session).glob("anat/*from-T1w_to-FLAIR*.txt")
    )
    ours = np.linalg.inv(reg.read_itk(out.out_itk))  # FLAIR points to T1w points, as theirs
    assert displacement(ours, reg.read_itk(theirs), masks["FLAIR"]) < 1.0
    assert out.flag == "ok"


@pytest.mark.data
@pytest.mark.slow
def test_template_from_an_extracted_pitched_head(kit, tmp_path, monkeypatch):
    from interfaces.brain import BrainMask

    monkeypatch.chdir(tmp_path)
    path = str(kit / "sub-openmsc19" / "anat" / "sub-openmsc19_FLAIR.nii.gz")
    mask = BrainMask(in_file=path).run(cwd=str(tmp_path)).outputs.out_mask
    out = reg.AffineToMNI(in_file=path, mask_file=mask).run(cwd=str(tmp_path)).outputs
    assert out.flag == "ok" and out.dice > 0.93
    assert nib.load(out.out_file).shape == nib.load(out.template).shape
