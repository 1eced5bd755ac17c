"""Model cards and weights: what is missing or altered is refused."""

import json

import pytest
import torch
from safetensors.torch import save_file

from networks import weights
from networks.unet import build_unet


@pytest.fixture
def model_dir(tmp_path):
    """A folder with one tiny network and its card."""
    import hashlib

    card = {"architecture": {"channels": [4, 8], "residual_units": 0}}
    torch.manual_seed(0)
    network = build_unet(card["architecture"])
    path = tmp_path / "tiny.safetensors"
    save_file({k: v.half() for k, v in network.state_dict().items()}, path)
    card["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "tiny.json").write_text(json.dumps(card))
    return tmp_path


def test_network_loads_from_its_card(model_dir):
    network, card = weights.load_network("tiny", model_dir)
    assert not network.training
    assert network(torch.zeros(1, 1, 8, 8, 8)).shape == (1, 1, 8, 8, 8)
    assert len(card["sha256"]) == 64


def test_altered_weights_are_refused(model_dir):
    path = model_dir / "tiny.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(weights.WeightsError, match="SHA-256"):
        weights.load_network("tiny", model_dir)


@pytest.mark.parametrize("card", ["[]", "{}", '{"sha256": 1}'])
def test_a_card_without_a_hash_is_refused(model_dir, card):
    (model_dir / "tiny.json").write_text(card)
    with pytest.raises(weights.WeightsError, match=r"tiny\.json has no 'sha256'"):
        weights.load_network("tiny", model_dir)


def test_a_pickle_under_the_name_of_weights_is_not_loaded(model_dir):
    """Not even with the right hash: safetensors holds numbers only."""
    import hashlib
    import pickle

    path = model_dir / "tiny.safetensors"
    path.write_bytes(pickle.dumps({"weights": [1, 2]}))
    card = json.loads((model_dir / "tiny.json").read_text())
    card["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (model_dir / "tiny.json").write_text(json.dumps(card))
    with pytest.raises(Exception, match=r"deserializ|header"):
        weights.load_network("tiny", model_dir)


def test_missing_files_are_named(model_dir):
    with pytest.raises(weights.WeightsError, match=r"nothing\.json"):
        weights.read_card("nothing", model_dir)
    (model_dir / "tiny.safetensors").unlink()
    with pytest.raises(weights.WeightsError, match="missing"):
        weights.load_network("tiny", model_dir)


@pytest.mark.parametrize("name", ["deepgrai-stage1", "deepgrai-stage2"])
def test_shipped_weights_match_their_cards(name):
    card = weights.read_card(name)
    path = weights.verified_weights(name, card)
    assert path.stat().st_size <= 16 * 1024**2
    for key in ("trained_on", "intended_use", "limits", "command", "input", "figures"):
        assert card[key], key
