"""The spinal cord's networks over a whole image (Gros 2019, section 2.2).

Volumes here have the image's own axes, reordered to right-anterior-superior, and voxels of 0.5 mm;
the paper's "RPI" is the same order seen from the other ends of the first two axes. The centreline
between the two steps is traced in measures.centreline.
"""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np

from networks.geometry import InputGrid, image_axes, mean_over_voxels
from networks.nyul import standardise

#: Weights of CNN1 and of both CNN2, in the order of their use. Where there are none of the last, as
#: in a folder of one's own with the cord's alone, lesions are not looked for.
NAMES = ("cord-detector", "cord")
LESIONS = "cord-lesions"
IN_PLANE_MM = 0.5
# The centreline is smooth: a slice every 2 mm finds it as well as one every 0.5 mm.
DETECTION_STEP_MM = 2.0
#: Slices of 0.5 mm that a window goes on beyond the centreline, in training and in use.
BEYOND = 8


def names_used(model_dir=None, contrast: str | None = None) -> tuple[str, ...]:
    """Names of the weights that the cord's branch uses on a contrast (any, without one).

    Those of the lesions only where there is a card, and not on a contrast that does not show
    lesions, by the card's ``contrasts``.
    """
    from networks import weights

    if not weights.has_card(LESIONS, model_dir):
        return NAMES
    shown = weights.read_card(LESIONS, model_dir)["input"].get("contrasts", (contrast,))
    return (*NAMES, LESIONS) if contrast is None or contrast in shown else NAMES


@dataclass
class CordImage:
    """An image (X, Y, Z), its voxel-to-world affine (4x4, mm) and the cord's grid over it."""

    data: np.ndarray
    affine: np.ndarray

    def grid(self, step_mm: float) -> tuple[InputGrid, np.ndarray]:
        """The grid that covers the image, ``step_mm`` from slice to slice, and its affine.

        Its sides in plane are multiples of 4, as the networks need.
        """
        order = np.argsort(nib.io_orientation(self.affine)[:, 0])  # the image's axis along x, y, z
        voxel_mm = np.array([IN_PLANE_MM, IN_PLANE_MM, step_mm])
        extent_mm = (np.array(self.data.shape) * nib.affines.voxel_sizes(self.affine))[order]
        count = np.ceil(extent_mm / voxel_mm - 1e-3).astype(int)
        count[:2] += -count[:2] % 4
        grid = InputGrid(tuple(int(n) for n in count), tuple(float(mm) for mm in voxel_mm))
        middle = (np.array(self.data.shape) - 1) / 2
        centre_mm = self.affine[:3, :3] @ middle + self.affine[:3, 3]
        return grid, grid.affine(centre_mm, image_axes(self.affine))

    def padded(self) -> CordImage:
        """With its outermost voxels once more all around.

        Half of a voxel lies beyond its centre, where interpolation would fade it into nothing: of
        slices 5 mm thick, 2.5 mm.
        """
        affine = self.affine.copy()
        affine[:3, 3] -= affine[:3, :3].sum(1)
        return CordImage(np.pad(self.data, 1, mode="edge"), affine)


def window_points(centres, first: int, side: int):
    """Grid voxels of a window of ``side`` x ``side`` that follows the centreline: (S, S, N, 3).

    ``centres`` (N, 2) are its whole-numbered middle in each slice from ``first`` on.
    """
    centres = np.asarray(centres)
    offset = np.arange(side) - side // 2
    points = np.empty((side, side, len(centres), 3), np.float32)
    points[..., 0] = offset[:, None, None] + centres[:, 0]
    points[..., 1] = offset[None, :, None] + centres[:, 1]
    points[..., 2] = first + np.arange(len(centres))
    return points


def window_centres(line, slices: int):
    """Whole-numbered middles (N, 2) of windows along a centreline, and the first slice.

    ``line`` (n, 3) are voxel coordinates, one point or more a slice apart along the third axis.
    """
    line = np.asarray(line, float)
    line = line[np.argsort(line[:, 2])]
    first = int(np.clip(np.ceil(line[0, 2] - 0.5), 0, slices - 1))
    last = int(np.clip(np.floor(line[-1, 2] + 0.5), first, slices - 1))
    levels = np.arange(first, last + 1)
    middles = [np.interp(levels, line[:, 2], line[:, axis]) for axis in (0, 1)]
    return np.round(np.stack(middles, 1)).astype(int), first


def read_window(image: CordImage, affine, points):
    """The image (float32, as ``points`` without the last axis) at grid voxels ``points``.

    ``affine`` (4x4) is the grid's; trilinear, zero outside of the image.
    """
    import torch

    from networks.geometry import antialias, sample_volume

    image = image.padded()
    voxel_mm = np.linalg.norm(image.affine[:3, :3], axis=0)
    smooth = antialias(image.data.astype(np.float32), voxel_mm, np.full(3, IN_PLANE_MM))
    matrix = np.linalg.inv(image.affine) @ affine
    places = points @ matrix[:3, :3].T.astype(np.float32) + matrix[:3, 3].astype(np.float32)
    return sample_volume(torch.from_numpy(np.ascontiguousarray(smooth)), torch.from_numpy(places))


def standardised(window, scale):
    """A window (tensor, (X, Y, Z)) by Nyúl's landmarks ``scale``, and as it is: (2, X, Y, Z).

    Each of zero mean and unit variance, for training and inference alike. The paper has the first
    alone. It bends intensities, so that a voxel half of cord and half of CSF is no longer as
    bright as their mean: from the second the share of cord in a voxel can be read. A window of
    nearly the same intensity everywhere shows nothing: ValueError.
    """
    import torch

    given = window.cpu().numpy()
    both = np.stack([standardise(given, scale), given]).astype(np.float32)
    axes = (1, 2, 3)
    spread = both.std(axes, keepdims=True, dtype=np.float64)
    both = (both - both.mean(axes, keepdims=True, dtype=np.float64)) / np.maximum(spread, 1e-20)
    return torch.from_numpy(both.astype(np.float32)).to(window.device)


def segment_window(window, network, card: dict, device: str = "cpu") -> np.ndarray:
    """CNN2's probability (S, S, N) in a window that follows the centreline (tensor, (S, S, N)).

    ``card``'s input has the ``shape`` of a patch and the ``scale`` of Nyúl's landmarks, its
    architecture how many of the channels of :func:`standardised` are seen (1 as in the paper, or
    2). A window of nearly the same intensity everywhere shows nothing: zero.
    """
    import torch
    from monai.inferers import sliding_window_inference

    try:
        seen = standardised(window, card["input"]["scale"])
    except ValueError:
        return np.zeros(tuple(window.shape), np.float32)
    seen = seen[: card["architecture"].get("in_channels", 1)]
    with torch.inference_mode():
        logits = sliding_window_inference(
            seen[None].to(device), tuple(card["input"]["shape"]), sw_batch_size=2,
            predictor=network, overlap=0.5, mode="gaussian",
        )  # fmt: skip
    return logits[0, 0].sigmoid().float().cpu().numpy()


def paste_window(values: np.ndarray, centres, first: int, shape) -> np.ndarray:
    """A window's values (S, S, N) back on the grid: float32 of ``shape``, zero elsewhere."""
    side = values.shape[0]
    whole = np.zeros(shape, np.float32)
    for n, (x, y) in enumerate(np.asarray(centres) - side // 2):
        here = [slice(max(0, a), min(a + side, m)) for a, m in zip((x, y), shape[:2], strict=True)]
        there = [slice(h.start - a, h.stop - a) for h, a in zip(here, (x, y), strict=True)]
        whole[(*here, first + n)] = values[(*there, n)]
    return whole


def extended(line, slice_mm: float) -> np.ndarray:
    """A centreline (n, 3) in voxels, upwards, that goes on for 4 mm beyond both of its ends.

    Straight along the third axis, as in training; ``slice_mm`` is the voxels' edge along it.
    """
    line = np.asarray(line, float)
    step = np.array([0, 0, BEYOND * IN_PLANE_MM / slice_mm])
    return np.vstack([line[:1] - step, line, line[-1:] + step])


def segment_along(image: CordImage, line_mm, cord, lesion, device: str = "cpu") -> np.ndarray:
    """Share of cord and of lesion in every voxel of an image: float32 (2, X, Y, Z), 0 to 1.

    Without a network for lesions (None) the cord's alone: (1, X, Y, Z).

    ``line_mm`` (n, 3) is the centreline in world mm, upwards; ``cord`` and ``lesion`` are a
    network of CNN2 and its card each. What is not cord on the networks' grid of 0.5 mm is no
    lesion. A voxel's value is the mean over its volume.
    """
    grid, affine = image.grid(IN_PLANE_MM)
    line = nib.affines.apply_affine(np.linalg.inv(affine), line_mm)
    centres, first = window_centres(extended(line, IN_PLANE_MM), grid.shape[2])
    networks = [cord, lesion] if lesion else [cord]
    sides = [card["input"]["shape"][0] for _, card in networks]
    widest = max(sides)
    corner = centres.min(0) - widest // 2
    box = (*(centres.max(0) - corner + widest), len(centres))
    window = read_window(image, affine, window_points(centres, first, widest))
    maps = []
    for (network, card), side in zip(networks, sides, strict=True):
        inner = slice(widest // 2 - side // 2, widest // 2 - side // 2 + side)
        found = segment_window(window[inner, inner], network, card, device)
        maps.append(paste_window(found, centres - corner, 0, box))
    for found in maps[1:]:
        found[maps[0] <= 0.5] = 0
    # The image may reach a little beyond the centres of the grid's outermost slices.
    ends = (int(first == 0), int(first + len(centres) == grid.shape[2]))
    maps = np.pad(np.stack(maps), ((0, 0), (0, 0), (0, 0), ends), mode="edge")
    placed = affine.copy()
    placed[:3, 3] += affine[:3, :3] @ [*corner, first - ends[0]]
    return mean_over_voxels(maps, placed, image.data.shape, image.affine)
