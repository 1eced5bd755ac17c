"""Training of the T1w network: thalami, deep grey matter, intracranial volume (Opfer 2022)."""

from __future__ import annotations

import torch

from networks.geometry import InputGrid
from training.acquisition import Protocol
from training.deformation import View
from training.sampling import Recipe, label_table, nearest_labels
from training.sources import FIRST_EXTRACEREBRAL_LABEL

# Paper, Fig. 1: patches of 160 voxels of 1 mm; four reductions, residual blocks.
SETTINGS = {
    "architecture": {
        "channels": [16, 32, 64, 128, 256],
        "residual_units": 2,
        "out_channels": 5,
    },
    "input": {"shape": [160, 160, 160], "voxel_mm": [1.0, 1.0, 1.0]},
}
# FreeSurfer's numbers to classes 1 to 3; every other intracranial label is class 4.
CLASS_LABELS = {1: (10,), 2: (49,), 3: (11, 12, 13, 26, 50, 51, 52, 58)}
# 3D gradient echo mostly, thick 2D slices at times, faces removed as public datasets have them.
PROTOCOL = Protocol(
    in_plane_mm=(0.7, 1.3),
    thickness_mm=(1.0, 5.0),
    thick=0.5,
    axial=0.6,
    artefacts=0.15,
    deface=0.2,
)


def class_table() -> torch.Tensor:
    """Class (0 to 4) of every label number, long (1024,)."""
    return label_table({4: tuple(range(1, FIRST_EXTRACEREBRAL_LABEL)), **CLASS_LABELS})


def recipe(patch: int | None = None, lesions=None) -> Recipe:
    """The samples: T1w-like patches about the thalami; ``patch`` voxels a side (default 160)."""
    shape = (patch,) * 3 if patch else tuple(SETTINGS["input"]["shape"])
    grid = InputGrid(shape, tuple(SETTINGS["input"]["voxel_mm"]))
    table = class_table()

    def target(source, points):
        labels = nearest_labels(source.labels, points, grid.shape)
        return _right_side_up(table.to(labels.device)[labels], source, points)[None].float()

    def centre(source):
        # Half way between thalami and brain: patches then see the vertex as often as the neck.
        return (source.thalamus_centre_mm + source.brain_centre_mm) / 2

    view = View(jitter_mm=(30.0, 35.0, 35.0), warp_mm=3.0, scaling=0.12)
    return Recipe(
        grid, view, centre, target, contrast="T1w", contrast_fraction=0.8, stripped=0.3,
        protocol=PROTOCOL, lesions=lesions,
    )  # fmt: skip


def _right_side_up(classes, source, points):
    """Exchange left and right thalamus where the view mirrors the head (paper: label swap)."""
    axes = torch.as_tensor(source.axes, dtype=torch.float32, device=points.device)
    step = points[:, -1].mean((1, 2)) - points[:, 0].mean((1, 2))
    if (step @ axes[:, 0]) > 0:
        return classes
    swapped = classes.clone()
    swapped[classes == 1] = 2
    swapped[classes == 2] = 1
    return swapped


def dice_and_cross_entropy(logits, target):
    """Mean of soft Dice over the classes and cross-entropy.

    The paper's loss is in its supplement, which we do not have: this is the field's common choice.
    """
    from monai.losses import DiceCELoss

    loss = DiceCELoss(softmax=True, to_onehot_y=True, include_background=True, batch=True)
    return loss(logits, target)
