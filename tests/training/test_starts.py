"""Weights kept to go on training from: their card fits them, and the app does not ship them."""

from pathlib import Path

import pytest

import training
from networks.weights import has_card, load_network

STARTS = Path(training.__file__).with_name("starts")


@pytest.mark.parametrize("name", ["lesion-unet-without-07", "lesion-unet-without-19"])
def test_the_unet_to_go_on_from_loads_and_is_not_shipped(name):
    network, card = load_network(name, STARTS)
    assert sum(p.numel() for p in network.parameters()) > 1_000_000
    assert card["limits"].startswith("Not good enough to measure with")
    assert card["figures"]
    assert (STARTS / f"{name}.safetensors").stat().st_size < 16e6
    assert not has_card(name)
