"""A picture of training: what the network sees, what it should say and what it says."""

from __future__ import annotations

from pathlib import Path

import torch

from training.validation import classes_of


def volume_layers(network, sample):
    """Image, truth and finding (X, Y) of a volume in its fullest axial slice."""
    image, target = sample
    truth = classes_of(target, logits=False)
    found = classes_of(network(image[None])[0].float(), logits=True)
    wanted = (truth == 1) | (truth == 2) if truth.max() > 1 else truth == 1
    z = int(wanted.sum((0, 1)).argmax())
    return image[0, :, :, z], truth[:, :, z], found[:, :, z]


def save_picture(network, samples: list, path: Path, layers=volume_layers) -> None:
    """Write a PNG with a row a sample: image, label and finding.

    ``layers(network, sample)`` gives these three as 2D tensors.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(len(samples), 3, figsize=(9, 3.2 * len(samples)), squeeze=False)
    for row, sample in zip(axes, samples, strict=True):
        image, truth, found = (layer.cpu() for layer in layers(network, sample))
        for axis, layer, name in zip(
            row, (None, truth, found), ("image", "label", "found"), strict=True
        ):
            axis.imshow(image.T.float().numpy(), cmap="gray", origin="lower")
            if layer is not None:
                shown = layer.T.float()
                shown[shown == 0] = torch.nan
                axis.imshow(shown.numpy(), cmap="tab10", vmin=0, vmax=9, alpha=0.5, origin="lower")
            axis.set_title(name, fontsize=8)
            axis.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)
