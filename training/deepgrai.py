"""Training samples of DeepGRAI's two stages (Dwyer 2021, sections 2.1 and 2.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import interpolate

from networks.geometry import InputGrid, normalise, sample_volume
from training import synthesis
from training.sources import FIRST_EXTRACEREBRAL_LABEL, Source
from training.synthesis import chance, uniform

STAGES = {
    1: {
        "architecture": {"channels": [16, 32, 64, 128, 256], "residual_units": 0},
        "input": {"shape": [128, 128, 64], "voxel_mm": [2.0, 2.0, 2.0]},
        "crop_jitter_mm": 20.0,
        "warp_mm": 3.0,
    },
    2: {
        "architecture": {"channels": [32, 64, 128, 256, 512], "residual_units": 0},
        "input": {"shape": [128, 128, 64], "voxel_mm": [0.5, 0.5, 0.5]},
        "crop_jitter_mm": 15.0,
        "warp_mm": 2.5,
    },
}


@dataclass
class Sampler(torch.utils.data.Dataset):
    """Endless, indexable supply of (image, thalamus) pairs: float tensors (1, X, Y, Z).

    Sample ``i`` depends on ``seed`` and ``i`` only, so a resumed run sees what the uninterrupted
    one would have seen. ``real_fraction`` is the share of samples taken from real images.
    """

    sources: list[Source]
    stage: int
    seed: int
    length: int
    real_fraction: float = 0.45
    flair_fraction: float = 0.7
    start: int = 0

    def __post_init__(self):
        self.grid = InputGrid.from_card(STAGES[self.stage])
        self.real = [s for s in self.sources if s.image is not None]
        self.maps = [s for s in self.sources if s.labels is not None]

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        generator = synthesis.seeded(self.seed, self.start + index)
        use_real = bool(self.real) and (not self.maps or chance(generator, self.real_fraction))
        pool = self.real if use_real else self.maps
        source = pool[int(uniform(generator, 0, len(pool)))]
        return draw(source, self.stage, self.grid, generator, self.flair_fraction)


def draw(source: Source, stage: int, grid: InputGrid, generator, flair_fraction: float):
    """One augmented pair from one source."""
    points = _world_points(source, stage, grid, generator)
    half = [n // 2 for n in grid.shape]
    target = _resize(sample_volume(*_at(source.thalamus, points, half))[None], grid.shape)[
        0
    ].round()
    if source.image is not None:
        image = sample_volume(*_at(source.image, points, grid.shape)).clamp(min=0)
    else:
        image = _synthesise(source, points, grid, generator, flair_fraction)
    image = synthesis.acquire(image, grid.voxel_mm[0], generator, real=source.image is not None)
    image = synthesis.cut_field_of_view(synthesis.shade(image, generator), generator)
    return normalise(image)[None], target[None]


def _world_points(source: Source, stage: int, grid: InputGrid, generator):
    """World mm of the grid after random pose, size, warp and crop position: (3, 33, 33, 17).

    The map is smooth, so it is made on a coarse lattice with the grid's own corners.
    """
    settings = STAGES[stage]
    centre = source.thalamus_centre_mm if stage == 2 else source.brain_centre_mm
    lattice = [n // 4 + 1 for n in grid.shape]
    half_mm = [(n - 1) / 2 * mm for n, mm in zip(grid.shape, grid.voxel_mm, strict=True)]
    axes = [torch.linspace(-h, h, n) for h, n in zip(half_mm, lattice, strict=True)]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    # Paper 2.2.1: the crop's place is random by about 1.5 cm in each direction. z has half the
    # field of view, where so large a shift would cut the thalamus away.
    reach = settings["crop_jitter_mm"]
    jitter = torch.tensor([uniform(generator, -reach, reach) for _ in range(3)])
    if stage == 2:
        jitter = jitter * torch.tensor([0.8, 0.8, 0.5]) * uniform(generator, 0, 1)
    warp = synthesis.smooth_noise(lattice, 6, generator, channels=3)
    warp = warp * uniform(generator, 0, settings["warp_mm"])
    pose = synthesis.random_affine(generator, rotation_deg=18, scaling=0.14, shear=0.06)
    axes = torch.as_tensor(source.axes, dtype=torch.float32)
    local = _transform(pose, offsets + jitter[:, None, None, None]) + warp
    centre = torch.as_tensor(centre, dtype=torch.float32)
    return _transform(axes, local) + centre[:, None, None, None]


def _transform(matrix, points):
    return torch.einsum("ij,jxyz->ixyz", matrix, points)


def _resize(field, shape):
    """Trilinear resize of (C, X, Y, Z) that keeps the corners in place."""
    size = tuple(shape)
    return interpolate(field[None], size=size, mode="trilinear", align_corners=True)[0]


def _at(volume, points, shape):
    """A volume and the positions in it of a grid of ``shape``, ready for sample_volume."""
    matrix = torch.as_tensor(volume.world_to_voxel, dtype=torch.float32)
    voxels = _transform(matrix[:3, :3], points) + matrix[:3, 3][:, None, None, None]
    return torch.from_numpy(volume.data), _resize(voxels, shape).movedim(0, -1)


def _synthesise(source, points, grid, generator, flair_fraction):
    data, voxels = _at(source.labels, points, grid.shape)
    padded = torch.nn.functional.pad(data, (1, 1) * 3)  # whatever lies outside is background
    x, y, z = ((voxels[..., axis] + 1.5).clamp(0, n + 1).int() for axis, n in enumerate(data.shape))
    flat = (x * padded.shape[1] + y) * padded.shape[2] + z
    labels = padded.flatten()[flat].long()
    if chance(generator, 0.35):  # a skull-stripped image
        labels = labels * (labels < FIRST_EXTRACEREBRAL_LABEL)
    labels = synthesis.implant_lesions(labels, generator, grid.voxel_mm[0])
    return synthesis.paint(labels, generator, chance(generator, flair_fraction))


def soft_dice_loss(logits, target):
    """Soft Dice (paper, 2.2.2), as intersection over the sum of the two volumes, by sample."""
    from monai.losses import DiceLoss

    return DiceLoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0)(logits, target)


def validation_dice(samples: list):
    """A validation measure: mean Dice at threshold 0.5 over fixed (image, thalamus) pairs."""

    def validate(network) -> float:
        scores = []
        for image, target in samples:
            mask = network(image[None])[0] > 0
            overlap = (mask & (target > 0)).sum() * 2 / (mask.sum() + target.sum()).clamp(min=1)
            scores.append(overlap.item())
        return sum(scores) / len(scores)

    return validate
