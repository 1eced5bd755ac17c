"""Precision by what the hardware can do."""

import pytest
import torch

from networks.device import fast_autocast


@pytest.mark.parametrize(
    ("able", "wanted"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx2": True, "avx512_bf16": False}, torch.float32),  # it would be emulated, slowly
        ({}, torch.float32),
    ],
)
def test_bfloat16_only_where_the_cpu_has_it(able, wanted, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    with fast_autocast("cpu"):
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype == wanted
