"""Samples of the cord networks: axial slices for CNN1, windows along the centreline for CNN2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import avg_pool3d, max_pool3d, pad

from networks.cord import BEYOND, standardised, window_centres, window_points
from networks.geometry import normalise
from networks.nyul import landmarks, standard_scale
from training.cord_sources import CONTRASTS, CordSource, draw_scene
from training.randomness import chance, seeded, uniform, whole_number
from training.sampling import Sampler

SLICES_SCENE = (208, 208, 48)
MARGIN = 24  # voxels beside a window, for a cord that leans by up to 30 degrees
SCALE_SCENES = 48


@dataclass
class CordRecipe:
    """``shape`` of a scene, the phantoms' ``contrasts`` (see cord_sources.CONTRASTS), and a cut.

    ``cut(scene, generator)`` gives the network's input and target, (N, 1, ...) each.
    """

    shape: tuple[int, int, int]
    cut: Callable
    contrasts: tuple = CONTRASTS


@dataclass
class CordSampler(Sampler):
    """Endless, indexable supply of a cord network's samples; ``recipe`` is a CordRecipe."""

    def draw(self, source: CordSource, generator):
        """One sample of a source."""
        scene = draw_scene(source, self.recipe.shape, generator, self.recipe.contrasts)
        return self.recipe.cut(scene, generator)


def cut_slices(scene, generator, count: int = 12, side: int = 96):
    """Axial slices of a scene and the cord in them: two tensors (count, 1, side, side).

    Two in three lie about the cord, at most 10 mm off its middle (the paper shifts by 10 voxels,
    here the network is to find the cord in a whole field of view), the others anywhere.
    """
    image = normalise(scene.image)
    found, targets = [], []
    for _ in range(count):
        z = whole_number(generator, 0, image.shape[2])
        middle = [whole_number(generator, 0, n) for n in image.shape[:2]]
        if len(scene.centreline) and chance(generator, 0.67):
            nearest = (scene.centreline[:, 2] - z).abs().argmin()
            middle = [int(v) + whole_number(generator, -20, 21) for v in scene.centreline[nearest]]
        low = [min(max(m - side // 2, 0), n - side) for m, n in zip(middle[:2], image.shape[:2],
                                                                    strict=True)]  # fmt: skip
        box = (slice(low[0], low[0] + side), slice(low[1], low[1] + side), z)
        found.append(image[box])
        targets.append(scene.cord[box])
    return torch.stack(found)[:, None], torch.stack(targets)[:, None]


def window_scene(shape) -> tuple[int, int, int]:
    """Shape of a scene that windows of ``shape`` are cut from."""
    return (shape[0] + 2 * MARGIN, shape[1] + 2 * MARGIN, shape[2] + 4)


def read_scene_window(scene, shape, generator):
    """Image, cord and lesion in a window that follows a centreline found with some error.

    Three tensors (S, S, N), N at most ``shape[2]``; None where the scene shows no cord.
    """
    line = _found_line(scene.centreline.cpu().numpy(), scene.image.shape, generator)
    if line is None:
        return None
    centres, first = window_centres(line, scene.image.shape[2])
    most = max(1, len(centres) - shape[2] + 1)
    start = whole_number(generator, 0, most)
    centres, first = centres[start : start + shape[2]], first + start
    side = shape[0]
    points = torch.from_numpy(window_points(centres, first, side)).long()
    x, y, z = (points + torch.tensor([side, side, 0])).unbind(-1)
    return [
        pad(volume.float(), (0, 0, side, side, side, side))[x, y, z]
        for volume in (scene.image, scene.cord, scene.lesion)
    ]


def _found_line(line, shape, generator):
    """The true centreline as a network would find it: shifted, wavy, and too long or short."""
    if len(line) < 2:
        return None
    line = line[np.argsort(line[:, 2])]
    low, high = line[0, 2], line[-1, 2]
    low = max(0.0, low + uniform(generator, -BEYOND, BEYOND / 2))
    high = min(shape[2] - 1.0, high + uniform(generator, -BEYOND / 2, BEYOND))
    levels = np.arange(np.ceil(low), max(np.ceil(low), np.floor(high)) + 1)
    found = np.stack([*(np.interp(levels, line[:, 2], line[:, a]) for a in (0, 1)), levels], 1)
    wave, phase = uniform(generator, 0, 2.5), uniform(generator, 0, 6.3)
    turn = uniform(generator, 0, 6.3)
    aside = wave * np.sin(levels / uniform(generator, 8, 40) + phase)
    found[:, 0] += aside * np.cos(turn) + uniform(generator, -2.5, 2.5)
    found[:, 1] += aside * np.sin(turn) + uniform(generator, -2.5, 2.5)
    return found


def cut_window(scene, generator, shape, scale, lesions: bool = False):
    """A window of :func:`standardised` intensities (1, 2, *shape) and its target (1, 1, *shape).

    The target is every voxel's share of cord or, with ``lesions``, the lesion mask, whose edge is
    eroded or dilated at times (paper, 2.2.3). A scene without cord gives an empty target.
    """
    parts = read_scene_window(scene, shape, generator)
    if parts is None:
        box = tuple(slice((n - m) // 2, (n - m) // 2 + m) for n, m in
                    zip(scene.image.shape, shape, strict=True))  # fmt: skip
        parts = [v[box].float() for v in (scene.image, scene.cord, scene.lesion)]
    image, cord, lesion = parts
    target = _moved_edge(lesion, generator) * (cord > 0.5) if lesions else cord
    try:
        image = standardised(image, scale)
    except ValueError:  # nothing to see, as at the edge of a field of view
        image = torch.zeros((2, *image.shape), device=image.device)
    missing = shape[2] - image.shape[-1]
    around = (missing // 2, missing - missing // 2)
    return pad(image, around)[None], pad(target, around)[None, None]


def _moved_edge(lesion, generator):
    """A lesion mask (X, Y, Z, float) eroded or dilated here and there by a voxel."""
    if not chance(generator, 0.3):
        return lesion
    volume = lesion[None, None]
    grown = max_pool3d(volume, 3, 1, 1)
    if chance(generator, 0.5):
        grown = -max_pool3d(-volume, 3, 1, 1)
    noise = torch.rand(volume.shape, generator=generator, device=volume.device)
    where = avg_pool3d(noise, 5, 1, 2, count_include_pad=False) > 0.5
    return torch.where(where, grown, volume)[0, 0]


def learn_scale(source: CordSource, shape, contrasts, seed: int = 1) -> list[float]:
    """Nyul's standard scale (11 landmarks from 0 to 1) of the windows of a source's phantoms."""
    marks = []
    for number in range(SCALE_SCENES):
        generator = seeded(seed, number)
        scene = draw_scene(source, window_scene(shape), generator, contrasts)
        parts = read_scene_window(scene, shape, generator)
        if parts is not None and np.ptp(parts[0].numpy()) > 0:
            marks.append(landmarks(parts[0].numpy()))
    return [round(float(v), 4) for v in standard_scale(marks)]
