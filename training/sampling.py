"""Training samples of every network: an image and its target, drawn by index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from networks.geometry import InputGrid, normalise, sample_volume
from training import acquisition, contrast, randomness
from training.acquisition import Protocol
from training.deformation import View, random_view, resize, transform
from training.lesions import LesionShapes, implant_lesions
from training.randomness import chance, uniform, whole_number
from training.sources import FIRST_EXTRACEREBRAL_LABEL, Source


@dataclass
class Recipe:
    """What one network's samples look like.

    ``centre(source)`` is the mean place (world mm) of the field of view; ``target(source, points)``
    the target (C, X, Y, Z) for coarse world ``points``. ``contrast`` is the contrast synthesised in
    ``contrast_fraction`` of the label-map samples; the others get random contrasts.
    ``stripped`` is the probability of a synthetic image without skull.
    """

    grid: InputGrid
    view: View
    centre: Callable
    target: Callable
    contrast: str
    contrast_fraction: float = 0.7
    stripped: float = 0.35
    protocol: Protocol = field(default_factory=Protocol)
    lesions: LesionShapes | None = None


@dataclass
class Sampler(torch.utils.data.Dataset):
    """Endless, indexable supply of (image, target): float tensors (1, X, Y, Z) and (C, X, Y, Z).

    Sample ``i`` depends on ``seed`` and ``i`` only, so a resumed run sees what the uninterrupted
    one would have seen. ``real_fraction`` is the share of samples taken from real images.
    """

    sources: list[Source]
    recipe: Recipe
    seed: int
    length: int
    real_fraction: float = 0.45
    start: int = 0
    device: str = "cpu"
    #: So many samples apart, two have nothing in common.
    spread = 1

    def __post_init__(self):
        self.real = [s for s in self.sources if s.is_real]
        self.maps = [s for s in self.sources if not s.is_real]

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        generator = randomness.seeded(self.seed, self.start + index, self.device)
        return self.draw(self.choose(generator), generator)

    def choose(self, generator) -> Source:
        """A source: a real one with probability ``real_fraction``, where there are both kinds."""
        use_real = bool(self.real) and (not self.maps or chance(generator, self.real_fraction))
        pool = self.real if use_real else self.maps
        return pool[whole_number(generator, 0, len(pool))]

    def draw(self, source: Source, generator):
        """One sample of a source."""
        return draw(source, self.recipe, generator)


def draw(source: Source, recipe: Recipe, generator):
    """One augmented pair from one source, on the generator's device."""
    grid, protocol = recipe.grid, recipe.protocol
    points = random_view(source, recipe.centre(source), grid, recipe.view, generator)
    target = recipe.target(source, points)
    real = source.is_real
    if real:
        image = sample_volume(*positions(source.image, points, grid.shape)).clamp(min=0)
    else:
        image = synthesise(source, points, recipe, generator)
    image = acquisition.disturb(image, generator, protocol.artefacts)
    image = acquisition.acquire(image, grid.voxel_mm[0], generator, protocol, real=real)
    image = acquisition.shade(image, generator)
    image = acquisition.cut_field_of_view(image, generator, protocol.cut)
    return normalise(image)[None], target


def positions(volume, points, shape):
    """A volume and the positions in it of a grid of ``shape``, ready for sample_volume."""
    matrix = torch.as_tensor(volume.world_to_voxel, dtype=torch.float32, device=points.device)
    voxels = transform(matrix[:3, :3], points) + matrix[:3, 3][:, None, None, None]
    return volume.on(points.device), resize(voxels, shape).movedim(0, -1)


def label_table(classes: dict[int, tuple[int, ...]]) -> torch.Tensor:
    """Class of every label number, long (1024,), from the labels of each class; 0 for the rest."""
    table = torch.zeros(1024, dtype=torch.long)
    for number, labels in classes.items():
        table[list(labels)] = number
    return table


def nearest_labels(volume, points, shape):
    """Label (long, ``shape``) nearest to every position; background outside the map."""
    data, voxels = positions(volume, points, shape)
    padded = torch.nn.functional.pad(data, (1, 1) * 3)
    x, y, z = ((voxels[..., axis] + 1.5).clamp(0, n + 1).int() for axis, n in enumerate(data.shape))
    flat = (x * padded.shape[1] + y) * padded.shape[2] + z
    return padded.flatten()[flat].long()


def synthesise(source: Source, points, recipe: Recipe, generator):
    """Paint an image from the source's label map, with lesions, at times without skull or face."""
    labels = nearest_labels(source.labels, points, recipe.grid.shape)
    if chance(generator, recipe.stripped):
        labels = labels * (labels < FIRST_EXTRACEREBRAL_LABEL)
    labels = implant_lesions(labels, generator, recipe.grid.voxel_mm[0], recipe.lesions)
    like = recipe.contrast if uniform(generator, 0, 1) < recipe.contrast_fraction else None
    image = contrast.paint(labels, generator, like)
    return acquisition.deface(image, labels, generator, recipe.protocol.deface)
