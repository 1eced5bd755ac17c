"""VGG16's convolutional blocks with a new dense head, and the network of a participant.

Narayana 2020, "Network Description" and Fig. 1: slices go through VGG16; the slices' scores go
through one hidden layer of four nodes to the participant's.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

#: Filters at full width and convolutions of the blocks; the fifth is not doubled (Fig. 1, B).
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
CHANNELS = 3  # pre-contrast T1w, T2w, FLAIR


def _features(width: float) -> nn.Sequential:
    """Layers in torchvision's order, so that ``features.N.weight`` means the same layer."""
    layers: list[nn.Module] = []
    before = CHANNELS
    for filters, count in BLOCKS:
        filters = max(1, round(filters * width))
        for _ in range(count):
            convolution = nn.Conv2d(before, filters, 3, padding=1)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            nn.init.zeros_(convolution.bias)
            layers += [convolution, nn.ReLU(inplace=True)]
            before = filters
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


class SliceNetwork(nn.Module):
    """Whether a slice shows enhancement: (N, 3, H, W) to logits (N,); H and W at least 32.

    ``architecture`` has ``width`` (1 is VGG16), ``hidden`` and ``dropout`` of the dense head. The
    paper does not give the head's size. Here the highest value of each feature map goes into it:
    an enhancing lesion is small and may lie anywhere, and the head then fits slices of any size.
    """

    def __init__(self, architecture: dict):
        super().__init__()
        self.features = _features(architecture["width"])
        filters = max(1, round(BLOCKS[-1][0] * architecture["width"]))
        self.head = nn.Sequential(
            nn.Linear(filters, architecture["hidden"]),
            nn.ReLU(),
            nn.Dropout(architecture["dropout"]),
            nn.Linear(architecture["hidden"], 1),
        )

    def forward(self, slices):
        return self.head(self.features(slices).amax((2, 3)))[:, 0]

    def last_block(self) -> nn.Sequential:
        """The fifth block's layers."""
        return self.features[-(2 * BLOCKS[-1][1] + 1) :]


class ParticipantNetwork(nn.Module):
    """Whether a participant has enhancement: sorted slice scores (N, K) to logits (N,).

    ``architecture`` has ``scores`` (K), ``nodes`` (the paper's four) and ``dropout``. Weights of
    the first layer start positive, as scores are: none of four nodes then starts dead.
    """

    def __init__(self, architecture: dict):
        super().__init__()
        first = nn.Linear(architecture["scores"], architecture["nodes"])
        with torch.no_grad():
            first.weight.abs_()
            first.bias.zero_()
        self.layers = nn.Sequential(
            first,
            nn.ReLU(),
            nn.Dropout(architecture["participant_dropout"]),
            nn.Linear(architecture["nodes"], 1),
        )

    def forward(self, scores):
        return self.layers(scores)[:, 0]


class EnhancementNetwork(nn.Module):
    """The cascade of both, one weight file; see SliceNetwork and ParticipantNetwork."""

    def __init__(self, architecture: dict):
        super().__init__()
        self.slices = SliceNetwork(architecture)
        self.participant = ParticipantNetwork(architecture)


def load_pretrained(network: SliceNetwork, path: Path) -> None:
    """Fill the convolutional blocks from torchvision's VGG16 state dict (.safetensors or .pth).

    Raises ValueError, one sentence, for a file that is none or does not fit the width.
    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each library has errors of its own
        raise ValueError(f"{path} cannot be read as weights: {error}") from None
    own = network.features.state_dict()
    given = {name: found.get(f"features.{name}") for name in own} if hasattr(found, "get") else {}
    missing = [name for name in own if given.get(name) is None]
    if missing:
        raise ValueError(
            f"{path} has no features.{missing[0]}; give torchvision's state dict of vgg16."
        )
    wrong = [name for name in own if given[name].shape != own[name].shape]
    if wrong:
        raise ValueError(
            f"features.{wrong[0]} of {path} is {tuple(given[wrong[0]].shape)} and not "
            f"{tuple(own[wrong[0]].shape)}; pretrained VGG16 weights need --width 1."
        )
    network.features.load_state_dict(given)
