"""What is drawn, what is frozen, and that a seed gives one network."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from networks.enhancement import ARCHITECTURE
from networks.vgg import SliceNetwork
from training import enhancement_fit
from training.enhancement_fit import Recipe, balanced_loss, draw_balanced, fit, turn
from training.enhancement_simulation import simulate_cohort

TINY = ARCHITECTURE | {"width": 1 / 32, "hidden": 4, "scores": 4}


def test_batches_hold_as_many_of_either_class():
    labels = np.arange(100) < 3
    drawn = draw_balanced(labels, 32, np.random.default_rng(1))
    assert labels[drawn].sum() == 16 and len(drawn) == 32
    with pytest.raises(ValueError, match="with and without"):
        draw_balanced(labels & False, 32, np.random.default_rng(1))


def test_eight_rotations_and_reflections_of_all_channels_alike():
    image = np.arange(32.0).reshape(2, 4, 4)
    rng = np.random.default_rng(1)
    seen = {turn(image, rng).tobytes() for _ in range(200)}
    assert len(seen) == 8
    for data in seen:
        turned = np.frombuffer(data).reshape(2, 4, 4)
        assert np.array_equal(turned[1] - turned[0], np.full((4, 4), 16.0))
    with pytest.raises(ValueError, match="square"):
        turn(np.zeros((3, 4, 5)), rng)


def test_a_rare_class_weighs_as_much():
    labels = np.array([True] + [False] * 9)
    assert balanced_loss(np.full(10, 0.5), labels) == pytest.approx(np.log(2))
    wrong = np.where(labels, 0.1, 0.1)
    assert balanced_loss(wrong, labels) == pytest.approx((-np.log(0.1) - np.log(0.9)) / 2)


@pytest.fixture(scope="module")
def scans():
    return simulate_cohort(12, 3.0, np.random.default_rng(2))


def trained(scans, **settings):
    recipe = Recipe(TINY, **{"epochs": 1, "fine_epochs": 1, "participant_epochs": 1} | settings)
    return fit(scans[:16], scans[16:], recipe, seed=3)


def test_the_same_seed_gives_the_same_network(scans):
    first, again = (trained(scans).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize(("fine", "moved"), [(0, set()), (1, {"24", "26", "28"})])
def test_pretrained_blocks_stay_but_the_last(scans, tmp_path, monkeypatch, fine, moved):
    """Stage 1 trains the head alone, stage 2 the fifth block too."""
    given = SliceNetwork(TINY).features.state_dict()
    save_file({f"features.{k}": v for k, v in given.items()}, tmp_path / "vgg.safetensors")
    losses = iter(range(1000, 0, -1))  # every epoch is the best, so that none is taken back
    monkeypatch.setattr(enhancement_fit, "balanced_loss", lambda *_: next(losses))
    network = trained(
        scans, pretrained=tmp_path / "vgg.safetensors", fine_epochs=fine, fine_rate=0.1, rate=0.1
    )
    found = network.slices.features.state_dict()
    changed = {name.split(".")[0] for name in given if not torch.equal(found[name], given[name])}
    assert changed == moved


def test_without_pretrained_weights_all_blocks_learn(scans, monkeypatch):
    losses = iter(range(1000, 0, -1))
    monkeypatch.setattr(enhancement_fit, "balanced_loss", lambda *_: next(losses))
    start, end = (trained(scans, epochs=n, fine_epochs=0, rate=0.01) for n in (0, 1))
    names = [n for n in start.state_dict() if n.startswith("slices.features") and "weight" in n]
    assert len(names) == 13
    first, last = start.state_dict(), end.state_dict()
    assert all(not torch.equal(first[name], last[name]) for name in names)


def test_the_best_epoch_is_kept(scans, monkeypatch):
    """Where validation only gets worse, the network stays as it started."""
    losses = iter(range(1000))
    monkeypatch.setattr(enhancement_fit, "balanced_loss", lambda *_: next(losses))
    start, end = (trained(scans, epochs=n, fine_epochs=n, participant_epochs=n) for n in (0, 2))
    first, last = start.state_dict(), end.state_dict()
    assert all(torch.equal(first[name], last[name]) for name in first)
