"""What lies around a phantom's canal: spine, muscle, fat, throat, vessels, skin, and the brain.

Painted at 1 mm from the coordinates of the cord's frame. None of it is meant to be exact: the cord
is to be the only thing of its kind among much that varies.
"""

from __future__ import annotations

import math

import torch

from networks.geometry import sample_volume
from training.cord_shape import CordShape
from training.cord_template import SPINE_VOXEL_MM, VOXEL_MM, CordTemplate
from training.deformation import smooth_noise
from training.randomness import chance, rand, randn, uniform

LAST_CERVICAL = 8.0  # the level at the upper border of T1
LAST_THORACIC = 20.0


def paint_surroundings(template, shape: CordShape, frame, tissue: dict, generator):
    """Image (X, Y, Z) of all outside the canal; ``frame`` is (3, X, Y, Z) from cord_coordinates.

    ``tissue``: see tissue_intensities. Inside the canal the image is of no use.
    """
    u, v, arc = frame
    radius = torch.hypot(u, v).clamp(min=1e-3)
    names = ("canal_mm", "template_canal_mm", "place")
    angle = torch.atan2(v, u).flatten()
    tables = shape.look_up(names, angle, arc.flatten())
    canal, template_canal, place = (t.reshape(u.shape) for t in tables)
    level = template.level_of_slice(torch.tensor(_middle(place), device=u.device)).item()
    image = _soft_tissue(u.shape, tissue, generator)
    image = _organs(image, u, v, arc, level, tissue, generator)
    image = _epidural(image, radius - canal, tissue, generator)
    stretch = torch.where(
        radius < canal,
        template_canal / canal,
        (template_canal + (radius - canal) / shape.body) / radius,
    )
    image = _spine(image, template, (u * stretch, v * stretch, place), tissue, generator)
    image = _skin(image, u, v, level, tissue, generator)
    above_mm = (place - template.last) * VOXEL_MM
    if (above_mm > -10).any():
        image = _head(image, (u, v, above_mm), tissue, generator)
    return image


def _middle(place) -> float:
    return place[tuple(n // 2 for n in place.shape)].item()


def _field(shape, size_mm: tuple[float, float], generator):
    """Smooth noise (X, Y, Z) whose features have a size drawn from a range, at times longer in z.

    As the image is painted at 1 mm, the size is also one in voxels.
    """
    size = uniform(generator, *size_mm)
    long = uniform(generator, 1, 3) if chance(generator, 0.5) else 1.0
    nodes = [
        max(2, round(n / s) + 1) for n, s in zip(shape, (size, size, size * long), strict=True)
    ]
    return smooth_noise(shape, nodes, generator)[0]


def _soft_tissue(shape, tissue, generator):
    """Muscle in bundles with fat between them and small vessels; at times any patches instead."""
    coarse, fine, rough = (
        _field(shape, size_mm, generator) for size_mm in ((12, 25), (5, 12), (2, 4))
    )
    if chance(generator, 0.2):
        values = rand(16, generator) * 1.6
        return values[((coarse + 0.5 * fine) * 2.5 + 8).long().clamp(0, 15)] * (1 + 0.1 * rough)
    fatty = torch.sigmoid((coarse + 0.5 * fine - uniform(generator, 0.0, 1.8)) * 5)
    blend = uniform(generator, 0, 0.35)  # ragged bundles
    septa = torch.exp(-(((fine + blend * rough) / uniform(generator, 0.05, 0.25)) ** 2))
    share = torch.maximum(fatty, uniform(generator, 0, 0.9) * septa)
    muscle = tissue["muscle"] * (1 + uniform(generator, 0, 0.25) * rough).clamp(min=0)
    image = torch.lerp(muscle, tissue["fat"] * (1 + 0.15 * rough), share)
    specks = ((rough - uniform(generator, 1.3, 2.5)) * 2).clamp(0, 1)
    return torch.lerp(image, image.new_tensor(tissue["vessel"]), specks)


def _organs(image, u, v, arc, level: float, tissue, generator):
    """Throat and vessels of the neck; lungs, airway and aorta of the chest; aorta of the belly."""
    if level < LAST_CERVICAL:
        image = _throat(image, u, v, arc, tissue, generator)
        tubes = (((11, 16), (1, 7), (1, 2.2)), ((16, 30), (10, 26), (2, 4)),
                 ((20, 36), (8, 22), (2.5, 6)))  # fmt: skip
    elif level < LAST_THORACIC:
        lung = tissue["air"] + uniform(generator, 0, 0.15)
        across, front = uniform(generator, 22, 40), uniform(generator, -25, 5)
        share = torch.sigmoid(torch.minimum(u.abs() - across, v - front))
        image = torch.lerp(image, image.new_tensor(lung), share)
        tubes = (((4, 18), (28, 45), (6, 12)), ((3, 10), (30, 45), (1.5, 3)))
    else:
        tubes = (((2, 10), (35, 50), (6, 10)),)
    for sides, fronts, radii in tubes:
        for side in (-1, 1):
            place = (side * uniform(generator, *sides), uniform(generator, *fronts))
            image = _vessel(image, u, v, arc, place, uniform(generator, *radii), tissue, generator)
    return image


def _vessel(image, u, v, arc, place, radius_mm: float, tissue, generator):
    """A tube along the cord that swings a little from side to side."""
    swing = uniform(generator, 0, 3) * torch.sin(arc / uniform(generator, 8, 30))
    depth = radius_mm - torch.hypot(u - place[0] - swing, v - place[1] - 0.5 * swing)
    value = max(0.0, tissue["vessel"] * uniform(generator, 0.5, 1.4))
    return torch.lerp(image, image.new_tensor(value), (depth + 0.5).clamp(0, 1))


def _throat(image, u, v, arc, tissue, generator):
    """An airway with a wall of mucosa in front of the vertebral bodies."""
    side, front = uniform(generator, -4, 4), uniform(generator, 28, 44)
    lean = uniform(generator, -0.2, 0.2) * (arc - arc.mean())
    across, deep = uniform(generator, 4, 13), uniform(generator, 3, 11)
    wall = uniform(generator, 1.5, 5)
    away = torch.hypot((u - side) / across, (v - front - lean) / deep)
    depth = (1 - away) * min(across, deep)
    image = torch.lerp(
        image, image.new_tensor(tissue["mucosa"]), (depth + wall).div(1.5).clamp(0, 1)
    )
    return torch.lerp(image, image.new_tensor(tissue["air"]), (depth + 0.5).clamp(0, 1))


def _epidural(image, outside_mm, tissue, generator):
    """Fat, veins and ligaments next to the canal."""
    patches = torch.sigmoid(4 * _field(image.shape, (4, 10), generator))
    fill = torch.lerp(
        image.new_tensor(tissue["ligament"]), image.new_tensor(tissue["fat"]), patches
    )
    near = torch.exp(-((outside_mm / uniform(generator, 1.5, 4)) ** 2))
    return torch.lerp(image, fill, near)


def _spine(image, template: CordTemplate, where, tissue, generator):
    """Bone with a dark rim and discs, read from the template at (right, front, slice)."""
    u, v, place = where
    x, y = (
        w / SPINE_VOXEL_MM + middle for w, middle in zip((u, v), template.spine_axis, strict=True)
    )
    points = torch.stack([x, y, (place - 0.5) / 2], -1)
    bone, disc = (sample_volume(part, points) for part in template.spine)
    numbers = template.level_of_slice(place).long().clamp(0, 31)
    marrow = tissue["marrow"] * (1 + uniform(generator, 0, 0.2) * randn(32, generator))[numbers]
    marrow = marrow * (1 + 0.1 * _field(image.shape, (2, 6), generator))
    rim = uniform(generator, 0.3, 1.0) * (4 * bone * (1 - bone)).clamp(0, 1)
    inside = torch.lerp(marrow.clamp(min=0), image.new_tensor(tissue["bone"]), rim)
    image = torch.lerp(image, inside, (1.6 * bone).clamp(0, 1))
    # A disc's nucleus holds water unless it is worn; its ring is fibrous. It belongs to the two
    # vertebrae it lies between, so its number turns over at their middles.
    numbers = (template.level_of_slice(place) + 0.5).long().clamp(0, 31)
    nucleus = tissue["disc"] * (1 + 0.35 * randn(32, generator)).clamp(0.2, 2)[numbers]
    content = torch.lerp(image.new_tensor(tissue["ligament"]), nucleus, disc.clamp(0, 1) ** 2)
    return torch.lerp(image, content, (1.6 * disc).clamp(0, 1))


def _skin(image, u, v, level: float, tissue, generator):
    """Fat under the skin and air around the neck, or behind the back."""
    if level < LAST_CERVICAL:
        across, deep = uniform(generator, 42, 80), uniform(generator, 42, 80)
        front = uniform(generator, 0, 20)
    else:
        across, deep = uniform(generator, 100, 160), uniform(generator, 80, 120)
        front = deep - uniform(generator, 35, 75)
    away = ((u / across).abs() ** 2.5 + ((v - front) / deep).abs() ** 2.5) ** 0.4
    depth = (1 - away) * min(across, deep)
    layer = uniform(generator, 1.5, 14)
    under = ((layer - depth) / 2 + 0.5).clamp(0, 1)
    image = torch.lerp(image, image.new_tensor(tissue["fat"] * uniform(generator, 0.8, 1.3)), under)
    return torch.lerp(image, image.new_tensor(tissue["air"]), (0.5 - depth).clamp(0, 1))


def _head(image, where, tissue, generator):
    """Cerebellum and cerebrum in CSF and skull above the cord, and the skull's base in front."""
    u, v, above = where
    base = (torch.sigmoid(above) * torch.sigmoid(v - 8)).clamp(0, 1)
    patches = _field(image.shape, (6, 14), generator)
    clivus = torch.lerp(
        image.new_tensor(tissue["marrow"]),
        image.new_tensor(tissue["air"]),
        torch.sigmoid(4 * patches - 3),
    )
    image = torch.lerp(image, clivus, base)
    centres = ((-uniform(generator, 20, 30), uniform(generator, 20, 32)), (5.0, 88.0))
    radii = ((48, 26, uniform(generator, 18, 25)), (68, 82, 60))
    depth = torch.full_like(image, -math.inf)
    for (front, up), (across, deep, high) in zip(centres, radii, strict=True):
        away = ((u / across) ** 2 + ((v - front) / deep) ** 2 + ((above - up) / high) ** 2).sqrt()
        depth = torch.maximum(depth, (1 - away) * min(across, deep, high))
    skull, csf = uniform(generator, 3, 7), uniform(generator, 1, 4)
    folds = torch.sin(6 * _field(image.shape, (3, 8), generator))
    brain = torch.lerp(
        image.new_tensor(tissue["white"]), image.new_tensor(tissue["brain_grey"]), folds * 0.5 + 0.5
    )
    for value, at_mm in (
        (image.new_tensor(tissue["bone"]), -csf - skull), (image.new_tensor(tissue["csf"]), -csf),
        (brain, 0.0),
    ):  # fmt: skip
        image = torch.lerp(image, value, (depth - at_mm + 0.5).clamp(0, 1))
    return image
