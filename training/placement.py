"""Lesions where people have them: masks of whole persons, brought into another head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from scipy import ndimage

from networks.geometry import brain_extent, image_axes, sample_volume
from training.deformation import random_affine, transform
from training.joint_contrasts import CORTEX, grow
from training.lesions import LesionShapes, add_lesion
from training.randomness import chance, rand, uniform, whole_number
from training.sampling import positions
from training.sources import Volume

# Cerebral and cerebellar white matter, brain stem, ventral diencephalon, corpus callosum.
CAN_HOLD_LESIONS = (2, 41, 7, 46, 16, 28, 60, 25, 57, 77, 251, 252, 253, 254, 255)

INFRATENTORIAL = (7, 46, 16)
# How often lesions may reach into the cortex that borders on white matter.
LEUKOCORTICAL = 0.5


@dataclass
class PersonalLesions:
    """All lesions of one person, with the place and size (mm) of the brain they lie in.

    ``numbered`` holds the number of the lesion in every voxel, from 1 to ``count``.
    """

    name: str
    numbered: Volume
    count: int
    axes: np.ndarray
    brain_centre_mm: np.ndarray
    brain_size_mm: np.ndarray


def read_personal_lesions(lesion_masks: list[Path]) -> list[PersonalLesions]:
    """Read ``*_label-lesion_mask`` files, each with its ``*_label-brain_mask`` beside it.

    Raises FileNotFoundError for a lesion mask without one.
    """
    found = []
    for path in map(Path, lesion_masks):
        brain_path = path.with_name(path.name.replace("label-lesion", "label-brain"))
        lesions = nib.as_closest_canonical(nib.load(path))
        brain = nib.as_closest_canonical(nib.load(brain_path))
        centre, size = brain_extent(np.asarray(brain.dataobj) > 0, brain.affine)
        numbered, count = ndimage.label(np.asarray(lesions.dataobj) > 0, np.ones((3, 3, 3)))
        volume = Volume(numbered.astype(np.float32), np.linalg.inv(lesions.affine))
        axes = image_axes(lesions.affine)
        found.append(PersonalLesions(path.name.split("_")[0], volume, count, axes, centre, size))
    return found


def place_lesions(labels, points, source, people: list[PersonalLesions], generator):
    """Mask (X, Y, Z) of another person's lesions where this head's white matter and stem allow.

    ``labels`` (X, Y, Z, long) are the head's on the network's grid, ``points`` the world mm of the
    source for a coarse lattice of it (see random_view). Brains are matched by centre and size, then
    the lesions are moved a little, turned, scaled and at times mirrored, so that no two heads have
    the same ones. Half of the time only some of them are taken: the people lent have 10 to 50 mL,
    most patients less.
    """
    person = people[whole_number(generator, 0, len(people))]

    def tensor(array):
        return torch.as_tensor(np.asarray(array), dtype=torch.float32, device=points.device)

    centre, size = source.brain_box_mm
    offset = points - tensor(centre)[:, None, None, None]
    local = transform(tensor(source.axes).T, offset)
    scale = torch.diag(tensor(person.brain_size_mm) / tensor(size))
    turn = random_affine(generator, rotation_deg=6, scaling=0.08, shear=0.03)
    shift = tensor([uniform(generator, -3, 3) for _ in range(3)])
    local = transform(turn @ scale, local) + shift[:, None, None, None]
    world = transform(tensor(person.axes), local)
    world = world + tensor(person.brain_centre_mm)[:, None, None, None]
    numbered, voxels = positions(person.numbered, world, labels.shape)
    mask = _some_lesions(numbered.long(), person.count, generator)
    lesions = sample_volume(mask, voxels) > 0.5
    allowed = can_hold_lesions(labels)
    if chance(generator, LEUKOCORTICAL):
        cortex = torch.isin(labels, torch.tensor(CORTEX, device=labels.device))
        allowed |= cortex & grow(allowed, 1)
    return lesions & allowed


def place_infratentorial(labels, shapes: LesionShapes | None, generator, most: int = 4):
    """Mask (X, Y, Z) of a few single lesions in brain stem and cerebellar white matter.

    Whole persons' masks have few there, and where they do, they seldom meet another head's stem.
    """
    places = torch.isin(labels, torch.tensor(INFRATENTORIAL, device=labels.device))
    chosen = places.nonzero()
    lesions = torch.zeros_like(places)
    if not len(chosen):
        return lesions
    for _ in range(whole_number(generator, 1, most + 1)):
        centre = chosen[whole_number(generator, 0, len(chosen))].float()
        add_lesion(lesions, centre, shapes, generator, 1.0)
    return lesions & places


def _some_lesions(numbered, count: int, generator):
    """Mask (float) of all of a person's lesions, or of a random part of them."""
    share = uniform(generator, 0, 1) ** 2 if chance(generator, 0.5) else 1.0
    kept = rand(count + 1, generator) < share
    kept[0] = False
    return kept[numbered].float()


def can_hold_lesions(labels):
    """Where a label map (tensor, long) has white matter, brain stem or ventral diencephalon."""
    return torch.isin(labels, torch.tensor(CAN_HOLD_LESIONS, device=labels.device))
