"""Training samples are seeded, shaped and labelled as the networks need them."""

import nibabel as nib
import numpy as np
import pytest
import torch

from networks.geometry import InputGrid
from training import acquisition, contrast, deepgrai, deformation, opfer
from training.acquisition import Protocol
from training.lesions import implant_lesions, read_lesion_shapes
from training.randomness import seeded
from training.sampling import Sampler
from training.sources import label_source


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """A head of nested boxes with two thalami, a third ventricle and a left caudate."""
    labels = np.zeros((120, 120, 110), np.int16)
    labels[10:110, 5:115, 5:105] = 515
    labels[16:104, 12:108, 12:98] = 2
    labels[40:57, 45:75, 50:70] = 10
    labels[63:80, 45:75, 50:70] = 49
    labels[57:63, 45:75, 50:70] = 14
    labels[40:50, 80:95, 50:70] = 11
    path = tmp_path_factory.mktemp("labels") / "box_dseg.nii.gz"
    nib.Nifti1Image(labels, np.diag([1.0, 1, 1, 1])).to_filename(path)
    return path


def test_sample_depends_on_its_index_only(head):
    source, recipe = label_source(head, 55.0), deepgrai.recipe(2)
    whole = Sampler([source], recipe, seed=3, length=6)
    resumed = Sampler([source], recipe, seed=3, length=2, start=4)
    for first, second in zip(whole[5], resumed[1], strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(whole[4][0], whole[5][0])


@pytest.mark.parametrize("stage", [1, 2])
def test_sample_has_the_network_s_shape_and_a_thalamus(head, stage):
    source, recipe = label_source(head, 55.0), deepgrai.recipe(stage)
    image, target = Sampler([source], recipe, seed=1, length=4)[0]
    assert image.shape == target.shape == (1, *deepgrai.STAGES[stage]["input"]["shape"])
    assert torch.isfinite(image).all()
    assert set(target.unique().tolist()) == {0.0, 1.0}
    voxel_ml = np.prod(deepgrai.STAGES[stage]["input"]["voxel_mm"]) / 1000
    true_ml = 2 * 17 * 30 * 20 / 1000
    # scaled by at most 14% and 6% an axis, shrunk by atrophy, and cut at times by the field of view
    assert 0.25 * true_ml < target.sum().item() * voxel_ml < 2.0 * true_ml


def test_the_caudate_side_tells_left_from_right_even_when_mirrored(head):
    """The head's only caudate is on the left: class 1 must stay its neighbour in every view... of
    an unmirrored sample, and class 2 in a mirrored one, where the array's left is a right."""
    source, recipe = label_source(head, None), opfer.recipe(96)
    kept = {True: 0, False: 0}
    for image, target in (Sampler([source], recipe, 5, 12)[i] for i in range(12)):
        assert image.shape == target.shape == (1, 96, 96, 96)
        left, right = ((target[0] == n).nonzero().float() for n in (1, 2))
        if min(len(left), len(right)) < 500:
            continue
        # class 1 lies where the array's x is small, which RAS calls left, mirrored or not
        assert left[:, 0].mean() < right[:, 0].mean()
        caudate = (target[0] == 3).nonzero().float()
        if len(caudate) > 100:
            kept[bool(caudate[:, 0].mean() < (left[:, 0].mean() + right[:, 0].mean()) / 2)] += 1
    assert min(kept.values()) > 0  # both mirrored and unmirrored heads were seen


def test_thick_slices_keep_position_and_mean():
    generator = torch.Generator().manual_seed(0)
    ramp = torch.linspace(1, 2, 64)[None, None, :].expand(32, 32, 64).contiguous()
    for _ in range(10):
        image = acquisition.acquire(ramp, 0.5, generator, Protocol(), real=False)
        inner = (slice(10, -10),) * 2 + (slice(12, -12),)
        assert (image[inner] - ramp[inner]).mean().abs() < 0.02


def test_artefacts_disturb_but_keep_the_picture():
    x, y, z = torch.meshgrid(*[torch.linspace(-1, 1, 48)] * 3, indexing="ij")
    ball = ((x**2 + y**2 + z**2) < 0.5).float() + 0.1
    generator = seeded(1, 0)
    for artefact in (acquisition.move_during_scan, acquisition.add_spike):
        changed = artefact(ball, generator)
        assert changed.shape == ball.shape
        assert torch.isfinite(changed).all()
        difference = (changed - ball).abs().mean()
        assert 1e-4 < difference < 0.2
    for _ in range(12):
        assert torch.isfinite(acquisition.disturb(ball, generator, 1.0)).all()
    assert torch.equal(acquisition.disturb(ball, generator, 0.0), ball)


def test_defacing_spares_the_brain():
    labels = torch.full((60, 60, 60), 515)
    labels[15:45, 15:45, 20:50] = 2
    image = torch.ones(60, 60, 60)
    shown = acquisition.deface(image, labels, seeded(1, 0), 1.0)
    assert (shown[labels == 2] == 1).all()
    assert shown[30, 59, 0] == 0
    assert shown[30, 0, 59] == 1


def test_lesions_lie_in_white_matter_and_real_shapes_are_used(tmp_path):
    mask = np.zeros((30, 30, 30), np.uint8)
    mask[5:15, 5:8, 5:8] = 1
    mask[20:22, 20:22, 20:21] = 1  # 4 mm3: too small
    path = tmp_path / "lesions.nii.gz"
    nib.Nifti1Image(mask, np.eye(4)).to_filename(path)
    shapes = read_lesion_shapes([path])
    assert [int(one.sum()) for one in shapes.masks] == [90]
    labels = torch.zeros((40, 40, 40), dtype=torch.long)
    labels[:, :20] = 2
    generator, found = seeded(2, 0), 0
    for _ in range(20):
        changed = implant_lesions(labels, generator, 1.0, shapes)
        assert not (changed[:, 20:] == 25).any()
        found += (changed == 25).any().item()
    assert found > 10


def test_lesion_masks_with_thick_slices_are_refused(tmp_path):
    path = tmp_path / "thick.nii.gz"
    nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.diag([1, 1, 3, 1.0])).to_filename(path)
    with pytest.raises(ValueError, match="not cubes"):
        read_lesion_shapes([path])


@pytest.mark.parametrize("name", sorted(contrast.CONTRASTS))
def test_left_equals_right_in_every_contrast(name):
    means, _ = contrast.label_intensities(seeded(1, 0), name)
    assert means[10] == means[49]
    darker, brighter = {"T1w": (4, 2), "FLAIR": (4, 2)}.get(name, (2, 3))
    assert means[darker] < means[brighter]
    assert set(contrast.CONTRASTS[name]) == set(contrast.TISSUES)


def test_integrated_velocity_is_invertible():
    generator = seeded(4, 0)
    velocity = deformation.smooth_noise((33, 33, 17), 6, generator, channels=3) * 3.0
    spacing = (2.0, 2.0, 2.0)
    forth = deformation.integrate(velocity, spacing)
    axes = [torch.arange(n, dtype=torch.float32) * 2.0 for n in forth.shape[1:]]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij")) + forth
    for axis in range(3):
        step = places[axis].diff(dim=axis)
        assert (step > 0).all()  # no fold along any axis
    assert 1.0 < forth.abs().max() < 12.0


def test_atrophy_shrinks_the_thalamus_and_keeps_its_lateral_border():
    axes = [torch.arange(-30.0, 31.0)] * 3
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    centre, lateral = torch.tensor([10.0, 0, 0]), torch.tensor([1.0, 0, 0])
    moved = deformation.shrink(points, centre, lateral, 0.2)

    def thalamus(p):
        return ((p[0] - 10) / 8) ** 2 + (p[1] / 12) ** 2 + (p[2] / 8) ** 2 < 1

    before, after = thalamus(points), thalamus(moved)
    assert 0.6 < after.sum() / before.sum() < 0.95
    edges = [points[0][mask].max().item() for mask in (before, after)]
    assert abs(edges[0] - edges[1]) <= 1.0
    assert points[0][after].min() > points[0][before].min()


def test_grid_of_a_patch_follows_the_request():
    assert opfer.recipe(64).grid == InputGrid((64, 64, 64), (1.0, 1.0, 1.0))
    assert opfer.recipe().grid.shape == (160, 160, 160)
