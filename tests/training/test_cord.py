"""Losses and validation of the cord networks, and a first step of each."""

import json

import pytest
import torch

from training import cli, cord
from training.cord import area_loss, dice_loss, join, pooled_dice, share_loss

CORD_NETWORKS = ("cord-detector", "cord", "cord-lesions")


def test_dice_is_that_of_the_whole_batch():
    target = torch.zeros(2, 1, 8, 8)
    target[0, :, :4] = 1
    sure = 40 * (target - 0.5)
    assert dice_loss(sure, target).item() == pytest.approx(0, abs=1e-4)
    assert dice_loss(-sure, target).item() == pytest.approx(1, abs=0.02)
    half = sure.clone()
    half[0, :, :2] = -20
    assert dice_loss(half, target).item() == pytest.approx(1 - 33 / 49, abs=1e-3)


def test_shares_of_cord_are_learnt_as_they_are():
    target = torch.full((1, 1, 4, 4, 4), 0.3)
    target[..., :2] = 1
    right = torch.logit(target.clamp(1e-4, 1 - 1e-4))
    binary = 12 * ((target > 0.2).float() - 0.5)
    assert share_loss(right, target) < share_loss(binary, target)


def test_an_outline_too_far_out_costs_more_than_scattered_errors():
    target = torch.zeros(1, 1, 16, 16, 4)
    target[:, :, 4:12, 4:12] = 1
    outwards, scattered = target.clone(), target.clone()
    outwards[:, :, 3, 4:12] = 0.5
    scattered[:, :, 3, 4:8] = 0.5
    scattered[:, :, 4, 8:12] = 0.5
    to_logits = [torch.logit(t.clamp(1e-4, 1 - 1e-4)) for t in (outwards, scattered)]
    assert share_loss(to_logits[0], target) == pytest.approx(
        share_loss(to_logits[1], target).item(), rel=0.01
    )
    assert area_loss(to_logits[0], target) > 1.2 * area_loss(to_logits[1], target)


def test_validation_pools_its_samples():
    truth = torch.zeros(2, 1, 4, 4)
    truth[0, :, :2] = 1
    empty = torch.zeros(1, 1, 4, 4)
    found = truth.clone()
    found[0, :, 0] = 0
    validate = pooled_dice([(found, truth), (empty, empty)])
    assert validate(lambda image: image - 0.5) == pytest.approx(2 * 4 / (4 + 8))


def test_samples_are_joined_to_a_batch():
    image, target = join([(torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4))] * 3)
    assert image.shape == target.shape == (6, 1, 4, 4)


@pytest.mark.parametrize("name", CORD_NETWORKS)
def test_pam50_must_be_given(name, tmp_path):
    with pytest.raises(ValueError, match="--pam50"):
        cli.main([name, "--output", str(tmp_path)])


@pytest.mark.slow
@pytest.mark.parametrize("name", CORD_NETWORKS)
def test_cord_networks_train_and_load(name, pam50_folder, tmp_path, monkeypatch):
    from networks.weights import load_network

    for settings in ("DETECTOR", "CORD", "LESION"):
        full = getattr(cord, settings)
        tiny = full | {"architecture": full["architecture"] | {"filters": [2, 2, 2]}}
        if settings != "DETECTOR":
            tiny["input"] = full["input"] | {"shape": [16, 16, 16]}
        monkeypatch.setattr(cord, settings, tiny)
    monkeypatch.setattr("training.networks.NETWORKS", _plans_again())
    monkeypatch.setattr("training.cord_sampling.SCALE_SCENES", 2)
    out = tmp_path / "run"
    words = [name, "--output", str(out), "--pam50", str(pam50_folder), "--workers", "0"]
    assert cli.main([*words, "--steps", "2", "--batch", "2", "--contrast", "T2w"]) == 0
    network, card = load_network(name, out)
    assert card["trained_on"] == ["PAM50"]
    assert str(tmp_path) not in json.dumps(card)
    assert ("scale" in card["input"]) == (name != "cord-detector")
    assert (out / "progress.png").exists()
    assert not network.training


def _plans_again():
    """The table of plans with the settings as they are now."""
    import importlib

    from training import networks

    return importlib.reload(networks).NETWORKS
