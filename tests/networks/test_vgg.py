"""VGG16's blocks: layer names and sizes of torchvision's, any width, pretrained files."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from networks import weights
from networks.architectures import build
from networks.enhancement import ARCHITECTURE
from networks.vgg import EnhancementNetwork, SliceNetwork, load_pretrained

SMALL = ARCHITECTURE | {"width": 1 / 16, "hidden": 8, "scores": 5}
#: Convolutions of torchvision's vgg16: number in ``features`` -> filters.
VGG16 = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256,
         17: 512, 19: 512, 21: 512, 24: 512, 26: 512, 28: 512}  # fmt: skip


def test_full_width_has_the_layers_of_torchvision():
    with torch.device("meta"):
        features = SliceNetwork(ARCHITECTURE | {"width": 1}).features
    found = {name: tuple(p.shape) for name, p in features.named_parameters()}
    before = 3
    for number, filters in VGG16.items():
        assert found.pop(f"{number}.weight") == (filters, before, 3, 3)
        assert found.pop(f"{number}.bias") == (filters,)
        before = filters
    assert not found
    assert len(features) == 31  # up to the last pooling
    assert sum(p.numel() for p in features.parameters()) == 14_714_688


def test_slices_of_any_size_and_number():
    network = build(SMALL).eval()
    for shape in ((1, 3, 32, 32), (4, 3, 40, 64)):
        assert network.slices(torch.zeros(shape)).shape == shape[:1]
    assert network.participant(torch.zeros(7, 5)).shape == (7,)


def test_the_last_block_is_the_fifth():
    network = SliceNetwork(SMALL)
    kinds = [type(layer).__name__ for layer in network.last_block()]
    assert kinds == ["Conv2d", "ReLU"] * 3 + ["MaxPool2d"]
    assert network.last_block()[0] is network.features[24]


def test_no_node_of_the_participant_starts_dead():
    """Higher scores reach all four nodes at the start, whatever the seed."""
    for seed in range(20):
        torch.manual_seed(seed)
        first = EnhancementNetwork(SMALL).participant.layers[0]
        assert (first(torch.ones(1, 5)) > 0).all()


def test_the_default_fits_a_shipped_file(tmp_path):
    weights.save(EnhancementNetwork(ARCHITECTURE), tmp_path / "n.safetensors")
    assert (tmp_path / "n.safetensors").stat().st_size < 16e6
    again = EnhancementNetwork(ARCHITECTURE)
    weights.fill(again, tmp_path / "n.safetensors")


@pytest.fixture
def given(tmp_path):
    """A state dict like torchvision's at a small width, as .safetensors and as .pth."""
    state = {f"features.{k}": v + 0.5 for k, v in SliceNetwork(SMALL).features.state_dict().items()}
    state["classifier.0.weight"] = torch.zeros(2, 2)
    save_file(state, tmp_path / "vgg.safetensors")
    torch.save(state, tmp_path / "vgg.pth")
    return state


@pytest.mark.parametrize("name", ["vgg.safetensors", "vgg.pth"])
def test_pretrained_weights_are_taken_over(given, tmp_path, name):
    network = SliceNetwork(SMALL)
    head = network.head[0].weight.clone()
    load_pretrained(network, tmp_path / name)
    assert torch.equal(network.features[24].weight, given["features.24.weight"])
    assert torch.equal(network.features[0].bias, given["features.0.bias"])
    assert torch.equal(network.head[0].weight, head)


def test_a_file_that_does_not_fit_is_said(given, tmp_path):
    wide = SliceNetwork(SMALL | {"width": 1 / 8})
    with pytest.raises(ValueError, match="need --width 1"):
        load_pretrained(wide, tmp_path / "vgg.pth")
    del given["features.28.bias"]
    torch.save(given, tmp_path / "cut.pth")
    with pytest.raises(ValueError, match=r"no features\.28\.bias"):
        load_pretrained(SliceNetwork(SMALL), tmp_path / "cut.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="state dict of vgg16"):
        load_pretrained(SliceNetwork(SMALL), tmp_path / "list.pth")


class Evil:
    """Would write a file if it were unpickled."""

    def __reduce__(self):
        return (np.save, ("evil.npy", 1))


def test_a_pickle_with_code_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"features.0.weight": Evil()}, "evil.pth")
    with pytest.raises(ValueError, match="cannot be read as weights"):
        load_pretrained(SliceNetwork(SMALL), tmp_path / "evil.pth")
    assert not (tmp_path / "evil.npy").exists()
