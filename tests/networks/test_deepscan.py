"""DeepSCAN: stacks cut from a volume and put back, and what the network makes of them."""

import pytest
import torch

from networks import deepscan
from networks.deepscan import AXIAL, CORONAL, SAGITTAL, DeepSCAN, planes, volume_of

TINY = {
    "in_channels": 3, "classes": 4, "stem": 4, "channels": [4, 6, 8], "growth": 2, "blocks": 2,
    "features": 8,
}  # fmt: skip
DIRECTIONS = pytest.mark.parametrize("direction", [AXIAL, CORONAL, SAGITTAL])
SHAPE = (8, 12, 8)


@pytest.fixture
def small_canvas(monkeypatch):
    """A canvas of 8 x 12 x 8, with its volume of two contrasts."""
    monkeypatch.setattr(deepscan, "PLANE", (8, 12))
    return torch.rand((2, *SHAPE), generator=torch.Generator().manual_seed(1)) + 1


@pytest.fixture
def network():
    torch.manual_seed(0)
    return DeepSCAN(TINY).eval()


def stacks(count=2, seed=0):
    return torch.randn((count, 3, 5, 16, 24), generator=torch.Generator().manual_seed(seed))


@DIRECTIONS
def test_slices_go_back_where_they_were(small_canvas, direction):
    length = SHAPE[direction]
    cut = planes(small_canvas, direction, 0, length)
    assert cut.shape == (2, length, 8, 12)
    assert torch.equal(volume_of(cut, direction, SHAPE), small_canvas)


@DIRECTIONS
def test_a_slice_is_put_back_by_itself(small_canvas, direction):
    back = volume_of(planes(small_canvas, direction, 3, 5), direction, SHAPE)
    assert torch.equal(back, small_canvas.narrow(1 + direction, 3, 2))


@DIRECTIONS
def test_slices_beyond_the_volume_are_empty(small_canvas, direction):
    length = SHAPE[direction]
    cut = planes(small_canvas, direction, -2, length + 3)
    assert cut.shape[1] == length + 5
    assert not cut[:, :2].any()
    assert not cut[:, -3:].any()
    assert torch.equal(cut[:, 2:-3], planes(small_canvas, direction, 0, length))


@pytest.mark.parametrize(("direction", "axes"), [(AXIAL, "xy"), (CORONAL, "xz"), (SAGITTAL, "zy")])
def test_rows_and_columns_of_the_real_canvas(direction, axes):
    """A marked voxel (20, 31, 47) lies where the docstring says, whatever pads the plane."""
    volume = torch.zeros((1, 160, 192, 160), dtype=torch.uint8)
    place = {"x": 20, "y": 31, "z": 47}
    volume[0, 20, 31, 47] = 1
    middle = (20, 31, 47)[direction]
    cut = planes(volume, direction, middle - 2, middle + 3)
    assert cut.shape == (1, 5, 160, 192)
    padding = 0 if axes[1] == "y" else 16
    assert cut.nonzero().tolist() == [[0, 2, place[axes[0]], place[axes[1]] + padding]]


def test_output_is_a_label_and_a_flip_for_every_class(network):
    assert network(stacks()).shape == (2, 2, 4, 16, 24)


@pytest.mark.parametrize("count", [3, 7])
def test_another_number_of_slices_is_refused(network, count):
    with pytest.raises(ValueError, match="5 slices"):
        network(torch.zeros(1, 3, count, 16, 24))


@torch.no_grad()
def test_the_network_is_told_which_contrasts_there_are(network):
    """One voxel of 1e-6 changes no image, but the contrast is there then."""
    absent = stacks(1)
    absent[:, 1] = 0
    present = absent.clone()
    present[0, 1, 0, 0, 0] = 1e-6
    with_it, without = network(present), network(absent)
    assert (with_it - without).abs().max() > 1e-3
    other = absent.clone()
    other[0, 0, 0, 0, 0] += 1e-6  # a contrast that was there already
    assert (network(other) - without).abs().max() < 1e-4


@torch.no_grad()
def test_a_sample_does_not_depend_on_its_batch(network):
    both = stacks(2)
    both[1, 1] = 0  # the second head lacks a contrast
    alone = torch.cat([network(both[:1]), network(both[1:])])
    assert torch.allclose(network(both), alone, atol=1e-5)


@torch.no_grad()
def test_all_five_slices_count(network):
    stack = stacks(1)
    found = network(stack)
    for number in range(5):
        changed = stack.clone()
        changed[:, :, number, 4:8, 4:8] += 3
        assert (network(changed) - found).abs().max() > 1e-3, number


def test_gradients_in_bfloat16_and_channels_last_are_finite():
    """oneDNN's weight gradients of dilated bf16 convolutions were NaN, but on whole planes only."""
    from training.loop import channels_last

    torch.manual_seed(0)
    half = TINY | {"stem": 8, "channels": [16, 32, 48], "growth": 12}
    network = channels_last(DeepSCAN(half))
    images = torch.randn(2, 3, 5, 160, 192).to(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(images)
    logits.float().square().mean().backward()
    for name, weights in network.named_parameters():
        assert torch.isfinite(weights.grad).all(), name
    dilated = [m for m in network.modules() if getattr(m, "dilation", None) == (8, 8)]
    assert len(dilated) == half["blocks"]
    assert all(layer.weight.grad.abs().max() > 0 for layer in dilated)
