"""The thalamus and the intracranial volume from a T1w image (Opfer 2022).

A fully convolutional encoder-decoder with residual blocks, instance normalisation and four
reductions looks at patches of 160x160x160 mm at 1 mm (Fig. 1) and knows five classes: background,
left thalamus, right thalamus, other deep grey matter and the remaining total intracranial volume.
Different from the paper: the patches slide over the whole head, the head is seen a second time
mirrored, and every class is also given as a summed probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from networks.geometry import (
    InputGrid,
    image_axes,
    mean_over_voxels,
    normalise,
    resample_to_grid,
)
from networks.sliding import mirrored_mean

NAME = "opfer-thalamus"
MIRRORED_CLASSES = (0, 2, 1, 3, 4)  # background first; left and right thalamus exchanged
CLASSES = ("left_thalamus", "right_thalamus", "deep_gray_matter", "intracranial")
# The whole intracranial space of large heads, with room for an off-centre brain mask.
CANVAS = InputGrid((192, 224, 208), (1.0, 1.0, 1.0))


class HeadNotFound(ValueError):
    """The network sees no intracranial space in the image."""


@dataclass
class HeadMap:
    """Result of the T1w network, on the image's own grid (X, Y, Z).

    ``probability``: float32 (4, X, Y, Z) in the order of CLASSES, mean over each voxel's volume;
    the classes exclude one another. ``labels``: uint8, 0 background, 1 to 4 in that order.
    ``clipped``: the intracranial space reaches the edge of the network's canvas.
    """

    probability: np.ndarray
    labels: np.ndarray
    clipped: bool


def segment_head(
    data: np.ndarray, affine: np.ndarray, brain_centre_mm, network, card: dict, device: str = "cpu"
) -> HeadMap:
    """Segment a T1w (X, Y, Z), voxel-to-world ``affine`` (mm, RAS+ world).

    ``brain_centre_mm`` is the centre of the brain in world mm; ``network`` and ``card`` come from
    ``networks.weights.load_network(NAME)``. Raises HeadNotFound when less than 100 mL are found
    to be intracranial.
    """
    canvas_affine = CANVAS.affine(np.asarray(brain_centre_mm, float), image_axes(affine))
    fine = _slide(data, affine, canvas_affine, network, card, device)
    inside = fine.sum(0) > 0.5
    if inside.sum() < 100_000:
        raise HeadNotFound("no brain was found in this image; is it a T1w of a head?")
    clipped = any(
        inside.take(i, axis).sum() > 500 for axis, i in ((0, 0), (0, -1), (1, 0), (1, -1), (2, -1))
    )
    probability = mean_over_voxels(fine, canvas_affine, data.shape, affine)
    return HeadMap(probability, _most_probable(probability), clipped)


def _slide(data, affine, canvas_affine, network, card, device) -> np.ndarray:
    """Class probabilities (4, X, Y, Z) on the canvas."""
    volume = normalise(resample_to_grid(data, affine, CANVAS, canvas_affine)).to(device)
    classes = mirrored_mean(
        volume[None], network, card["input"]["shape"], overlap=0.25,
        activation=lambda logits: logits.softmax(0), mirrored_classes=MIRRORED_CLASSES,
    )  # fmt: skip
    return _keep_largest_head(classes[1:].cpu().numpy())


def _keep_largest_head(fine: np.ndarray) -> np.ndarray:
    """Zero what is not connected to the largest intracranial part; keep one part a thalamus."""
    from scipy import ndimage

    def largest(mask):
        parts, count = ndimage.label(mask)
        return parts == 1 + np.bincount(parts.ravel())[1:].argmax() if count else mask

    head = ndimage.binary_dilation(largest(fine.sum(0) > 0.5), iterations=2)
    fine = fine * head
    for side in (0, 1):
        core = largest(fine[side] > 0.5)
        fine[side] *= ndimage.binary_dilation(core, iterations=3)
    return fine.astype(np.float32)


def _most_probable(probability: np.ndarray) -> np.ndarray:
    background = np.clip(1 - probability.sum(0), 0, 1)
    best = probability.argmax(0)
    inside = probability.sum(0) > background
    return np.where(inside, best + 1, 0).astype(np.uint8)
