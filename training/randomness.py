"""Seeded random draws for the synthesis, on the device of the generator passed in."""

from __future__ import annotations

import numpy as np
import torch


def seeded(seed: int, index: int, device: str = "cpu") -> torch.Generator:
    """Generator of sample ``index``: the same whatever the number of workers or a resume."""
    state = np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state) & 0x7FFF_FFFF_FFFF_FFFF)


def rand(shape, generator) -> torch.Tensor:
    """Uniform numbers in [0, 1) on the generator's device."""
    return torch.rand(shape, generator=generator, device=generator.device)


def randn(shape, generator) -> torch.Tensor:
    """Standard normal numbers on the generator's device."""
    return torch.randn(shape, generator=generator, device=generator.device)


def uniform(generator, low: float, high: float) -> float:
    """One number drawn uniformly from [low, high)."""
    return low + (high - low) * rand((), generator).item()


def chance(generator, probability: float) -> bool:
    """True with the given probability."""
    return rand((), generator).item() < probability


def one_of(weighted, generator):
    """One of pairs (value, how often it is drawn)."""
    often = torch.tensor([share for _, share in weighted], device=generator.device)
    return weighted[torch.multinomial(often, 1, generator=generator).item()][0]


def whole_number(generator, low: int, high: int) -> int:
    """One of low, ..., high - 1."""
    return min(int(uniform(generator, low, high)), high - 1)
