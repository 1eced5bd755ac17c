"""Training of the two enhancement networks (Narayana 2020, "Network Training").

Stage 1 trains the new dense head on the features of frozen, pretrained blocks (Adam); stage 2 the
last block and the head (SGD, small rate, high momentum). Without pretrained weights frozen blocks
would be noise: stage 1 then trains all layers. Batches hold as many enhancing slices as others.
The state with the lowest loss on the validation subjects is kept; the paper does not say which.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from networks.enhancement import highest, score_slices
from networks.vgg import EnhancementNetwork, load_pretrained
from training.enhancement_scans import Scan


@dataclass(frozen=True)
class Recipe:
    """Settings; the defaults are the paper's where it has one.

    An epoch draws as many slices (or participants) as there are, half of them enhancing.
    """

    architecture: dict
    pretrained: Path | None = None
    epochs: int = 100
    fine_epochs: int = 100
    participant_epochs: int = 100
    rate: float = 1e-4
    fine_rate: float = 1e-4
    momentum: float = 0.9
    participant_rate: float = 1e-3
    batch: int = 32
    device: str = "cpu"


def fit(training: list[Scan], validation: list[Scan], recipe: Recipe, seed: int):
    """A trained EnhancementNetwork in evaluation mode; the same seed gives the same network."""
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = EnhancementNetwork(recipe.architecture).to(recipe.device)
        if recipe.pretrained is not None:
            load_pretrained(network.slices, recipe.pretrained)
        _fit_slices(network, training, validation, recipe, rng)
        _fit_participants(network, training, validation, recipe, rng)
    return network.eval()


def scan_scores(network, scans: list[Scan], device: str) -> list[np.ndarray]:
    """Slice scores (S,) of every scan, by a network in evaluation mode."""
    return [score_slices(scan.images, network, device) for scan in scans]


def _fit_slices(network, training, validation, recipe: Recipe, rng) -> None:
    drawn = _Slices(training)
    exam = _Slices(validation)

    def batch():
        images, labels = drawn.batch(recipe.batch, rng)
        return images.to(recipe.device), labels.to(recipe.device)

    def judge() -> float:
        scores = np.concatenate(scan_scores(network, validation, recipe.device))
        return balanced_loss(scores, exam.labels)

    steps = -(-len(drawn.labels) // recipe.batch)
    slices = network.slices
    new = slices.head if recipe.pretrained is not None else slices
    adam = torch.optim.Adam(_only(slices, [new]), lr=recipe.rate)
    _train(slices, adam, batch, judge, recipe.epochs, steps)
    parts = [slices.last_block(), slices.head]
    sgd = torch.optim.SGD(_only(slices, parts), lr=recipe.fine_rate, momentum=recipe.momentum)
    _train(slices, sgd, batch, judge, recipe.fine_epochs, steps)


def _fit_participants(network, training, validation, recipe: Recipe, rng) -> None:
    network.eval()
    count = recipe.architecture["scores"]

    def scores(scans):
        found = [highest(s, count) for s in scan_scores(network, scans, recipe.device)]
        return torch.from_numpy(np.stack(found)).to(recipe.device)

    inputs, exam = scores(training), scores(validation)
    enhancing = np.array([scan.enhancing for scan in training])
    truth = np.array([scan.enhancing for scan in validation])

    def batch():
        chosen = draw_balanced(enhancing, recipe.batch, rng)
        labels = torch.from_numpy(enhancing[chosen].astype(np.float32))
        return inputs[torch.from_numpy(chosen).to(recipe.device)], labels.to(recipe.device)

    def judge() -> float:
        with torch.inference_mode():
            return balanced_loss(network.participant(exam).sigmoid().cpu().numpy(), truth)

    adam = torch.optim.Adam(network.participant.parameters(), lr=recipe.participant_rate)
    steps = -(-len(training) // recipe.batch)
    _train(network.participant, adam, batch, judge, recipe.participant_epochs, steps)


def _train(network, optimiser, batch: Callable, judge: Callable, epochs: int, steps: int) -> None:
    """Train, and end with the state that ``judge`` (lower is better) liked best."""
    network.eval()
    best, kept = judge(), copy.deepcopy(network.state_dict())
    for _ in range(epochs):
        network.train()
        for _ in range(steps):
            images, labels = batch()
            loss = binary_cross_entropy_with_logits(network(images), labels)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        network.eval()
        loss = judge()
        if loss < best:
            best, kept = loss, copy.deepcopy(network.state_dict())
    network.load_state_dict(kept)


def _only(network, parts) -> list:
    """Parameters of some parts of a network; all others are frozen."""
    network.requires_grad_(False)
    for part in parts:
        part.requires_grad_(True)
    return [p for p in network.parameters() if p.requires_grad]


class _Slices:
    """The slices of several scans, drawn with as many enhancing ones as others."""

    def __init__(self, scans: list[Scan]):
        self._scans = scans
        self._places = [(s, n) for s, scan in enumerate(scans) for n in range(len(scan.labels))]
        self.labels = np.concatenate([scan.labels for scan in scans]).astype(bool)

    def batch(self, size: int, rng):
        """Images (B, 3, H, W), each turned or mirrored at random, and labels (B,)."""
        chosen = draw_balanced(self.labels, size, rng)
        places = [self._places[n] for n in chosen]
        images = [turn(self._scans[s].images[n], rng) for s, n in places]
        labels = self.labels[chosen].astype(np.float32)
        return torch.from_numpy(np.stack(images).astype(np.float32)), torch.from_numpy(labels)


def draw_balanced(labels: np.ndarray, size: int, rng) -> np.ndarray:
    """Indices of as many positives as negatives, drawn with replacement; ValueError lacking one."""
    kinds = [np.flatnonzero(labels), np.flatnonzero(~labels)]
    if not all(len(kind) for kind in kinds):
        raise ValueError("training needs cases with and without enhancement")
    half = max(1, size // 2)
    return np.concatenate([rng.choice(kind, half) for kind in kinds])


def turn(image: np.ndarray, rng) -> np.ndarray:
    """One of the eight 90-degree rotations and reflections of an image (C, H, W), H equal to W."""
    if image.shape[1] != image.shape[2]:
        raise ValueError(f"slices must be square to be turned, not {image.shape[1:]}")
    turned = np.rot90(image, rng.integers(4), axes=(1, 2))
    return turned[:, :, ::-1] if rng.integers(2) else turned


def balanced_loss(scores, labels) -> float:
    """Cross-entropy of probabilities, enhancing and other cases counting alike."""
    scores = np.clip(np.asarray(scores, float), 1e-6, 1 - 1e-6)
    labels = np.asarray(labels, bool)
    parts = [-np.log(scores[labels]), -np.log1p(-scores[~labels])]
    return float(np.mean([part.mean() for part in parts if part.size]))
