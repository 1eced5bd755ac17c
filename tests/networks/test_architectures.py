"""Every kind of network a model card can ask for."""

import pytest
import torch

from networks.architectures import build
from networks.deepscan import DeepSCAN

DYNUNET = {
    "kind": "dynunet", "in_channels": 3, "classes": 17, "filters": [4, 8, 8], "supervised": 1,
}  # fmt: skip


@pytest.mark.parametrize("kind", [{}, {"kind": "unet"}])
def test_a_card_without_a_kind_asks_for_a_unet(kind):
    network = build({"channels": [2, 4], "out_channels": 5} | kind)
    assert network(torch.zeros(1, 1, 8, 8, 8)).shape == (1, 5, 8, 8, 8)


def test_deepscan():
    network = build({
        "kind": "deepscan", "in_channels": 3, "classes": 17, "stem": 2, "channels": [2, 2, 2],
        "growth": 2, "blocks": 1, "features": 4,
    })  # fmt: skip
    assert isinstance(network, DeepSCAN)
    assert network(torch.rand(1, 3, 5, 8, 8)).shape == (1, 2, 17, 8, 8)


def test_dynunet_is_supervised_deeply_while_it_trains():
    network = build(DYNUNET)
    images = torch.rand(1, 3, 16, 16, 16)
    fine, coarse = network.train()(images)
    assert fine.shape == (1, 17, 16, 16, 16)
    assert coarse.shape == (1, 17, 8, 8, 8)
    with torch.no_grad():
        assert network.eval()(images).shape == (1, 17, 16, 16, 16)


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match="kind transformer"):
        build({"kind": "transformer"})
