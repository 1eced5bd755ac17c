"""The cord's U-Nets: shapes, two downsamplings, dilation, dropout."""

import pytest
import torch

from networks.architectures import build

CNN1 = {"kind": "cord_unet", "dims": 2, "filters": [4, 6, 8], "dilation": 3, "dropout": 0.2}
CNN2 = {"kind": "cord_unet", "dims": 3, "filters": [4, 6, 8], "dropout": 0.4}


@pytest.mark.parametrize(("card", "shape"), [(CNN1, (16, 24)), (CNN2, (8, 12, 16))])
def test_logits_have_the_image_s_shape(card, shape):
    image = torch.randn(2, 1, *shape, generator=torch.Generator().manual_seed(1))
    assert build(card)(image).shape == image.shape


@pytest.mark.parametrize(("card", "shape"), [(CNN1, (16, 18)), (CNN2, (8, 12, 15))])
def test_sides_that_cannot_be_halved_twice_are_refused(card, shape):
    with pytest.raises(ValueError, match="multiples of 4"):
        build(card)(torch.zeros(1, 1, *shape))


def reach(card, side=80):
    """How far a voxel's influence goes along x."""
    torch.manual_seed(0)
    network = build(card | {"filters": [8, 8, 8]}).eval()
    shape = (side,) + (16,) * (card["dims"] - 1)
    image = torch.zeros(1, 1, *shape)
    image.requires_grad_()
    middle = tuple(n // 2 for n in shape)
    network(image + torch.rand_like(image))[(0, 0, *middle)].backward()
    touched = image.grad[0, 0].abs().flatten(1).sum(1).nonzero()[:, 0]
    return int(touched.max() - touched.min())


def test_dilation_widens_what_the_detector_sees():
    plain = reach({**CNN1, "dilation": 1})
    assert plain < 48
    assert reach(CNN1) > plain + 20


def test_only_the_contracting_path_is_dilated():
    network = build(CNN1)
    for path, dilation in ((network.down, 3), (network.up, 1)):
        kinds = [m.dilation for m in path.modules() if isinstance(m, torch.nn.Conv2d)]
        assert set(kinds) == {(dilation, dilation)}


def test_dropout_and_batch_norm_follow_every_convolution():
    network = build(CNN2)
    kinds = [type(m).__name__ for m in network.down[0]]
    assert kinds == ["Conv3d", "BatchNorm3d", "ReLU", "Dropout3d"] * 2
    assert {m.p for m in network.modules() if isinstance(m, torch.nn.Dropout3d)} == {0.4}
