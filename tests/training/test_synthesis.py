"""Training samples are seeded, shaped and labelled as the networks need them."""

import nibabel as nib
import numpy as np
import pytest
import torch

from training import synthesis
from training.deepgrai import STAGES, Sampler
from training.sources import label_source


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A head of nested boxes with two thalami and a third ventricle."""
    labels = np.zeros((120, 120, 110), np.int16)
    labels[10:110, 5:115, 5:105] = 515
    labels[16:104, 12:108, 12:98] = 2
    labels[40:57, 45:75, 50:70] = 10
    labels[63:80, 45:75, 50:70] = 49
    labels[57:63, 45:75, 50:70] = 14
    path = tmp_path_factory.mktemp("labels") / "box_dseg.nii.gz"
    nib.Nifti1Image(labels, np.diag([1.0, 1, 1, 1])).to_filename(path)
    return label_source(path, 55.0)


def test_sample_depends_on_its_index_only(source):
    whole = Sampler([source], 2, seed=3, length=6)
    resumed = Sampler([source], 2, seed=3, length=2, start=4)
    for first, second in zip(whole[5], resumed[1], strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(whole[4][0], whole[5][0])


@pytest.mark.parametrize("stage", [1, 2])
def test_sample_has_the_network_s_shape_and_a_thalamus(source, stage):
    image, target = Sampler([source], stage, seed=1, length=4)[0]
    assert image.shape == target.shape == (1, *STAGES[stage]["input"]["shape"])
    assert torch.isfinite(image).all()
    assert set(target.unique().tolist()) == {0.0, 1.0}
    voxel_ml = np.prod(STAGES[stage]["input"]["voxel_mm"]) / 1000
    true_ml = 2 * 17 * 30 * 20 / 1000
    # scaled by at most 14% and 6% an axis, and cut at times by the field of view
    assert 0.3 * true_ml < target.sum().item() * voxel_ml < 2.0 * true_ml


def test_thick_slices_keep_position_and_mean():
    generator = torch.Generator().manual_seed(0)
    ramp = torch.linspace(1, 2, 64)[None, None, :].expand(32, 32, 64).contiguous()
    for _ in range(10):
        image = synthesis.acquire(ramp, 0.5, generator, real=False)
        inner = (slice(10, -10),) * 2 + (slice(12, -12),)
        assert (image[inner] - ramp[inner]).mean().abs() < 0.02


def test_lesions_lie_in_white_matter_and_left_equals_right():
    generator = torch.Generator().manual_seed(0)
    labels = torch.zeros((40, 40, 40), dtype=torch.long)
    labels[:, :20] = 2
    for _ in range(20):
        changed = synthesis.implant_lesions(labels, generator, 1.0)
        assert not (changed[:, 20:] == 25).any()
    means, _ = synthesis.label_intensities(generator, flair_like=True)
    assert means[10] == means[49]
    assert means[4] < means[2] < means[25]
