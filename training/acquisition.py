"""From a noise-free image to a scan: field of view, motion, slices, noise, bias field, contrast.

Images are tensors (X, Y, Z) on the network's grid, right-anterior-superior, and stay on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import avg_pool3d

from training.deformation import smooth_noise
from training.randomness import chance, randn, uniform, whole_number
from training.sources import FIRST_EXTRACEREBRAL_LABEL


@dataclass(frozen=True)
class Protocol:
    """Ranges of an acquisition.

    ``in_plane_mm``: voxel size in plane. ``thickness_mm``: slice thickness, taken with
    probability ``thick``, else slices are as thin as the plane. ``axial``: share of thick slices
    that are axial, the others lie along one of ``aside``. ``artefacts``: probability of an artefact
    of k-space. ``cut``: of a field of view that ends inside the grid. ``deface``: of no face.
    ``noise``: SD of the noise over the image's mean.
    """

    in_plane_mm: tuple[float, float] = (0.6, 1.3)
    thickness_mm: tuple[float, float] = (1.0, 5.0)
    thick: float = 0.8
    axial: float = 0.8
    artefacts: float = 0.1
    cut: float = 0.1
    deface: float = 0.0
    aside: tuple[int, ...] = (0, 1)
    noise: tuple[float, float] = (0.0, 0.06)


def acquire(image, voxel_mm: float, generator, protocol: Protocol, real: bool):
    """Simulate acquisition: point spread, thick slices with partial volume, Rician noise.

    The result is on the image's grid, as a scan with thicker slices is after trilinear
    interpolation. A real image is only made coarser at times.
    """
    thickness = [uniform(generator, *protocol.in_plane_mm)] * 3
    if chance(generator, protocol.thick):
        axial = chance(generator, protocol.axial)
        axis = 2 if axial else protocol.aside[whole_number(generator, 0, len(protocol.aside))]
        thickness[axis] = uniform(generator, *protocol.thickness_mm)
    if real and chance(generator, 0.6):
        return image
    kernel = [
        min(n, max(1, round(mm / voxel_mm))) for mm, n in zip(thickness, image.shape, strict=True)
    ]
    low = image[None, None]
    if max(kernel) == 1:
        low = low.clone()
    else:
        # At least one whole slice is left of an image that is hardly thicker than it.
        offset = [
            whole_number(generator, 0, min(k, n - k + 1))
            for k, n in zip(kernel, image.shape, strict=True)
        ]
        low = low[:, :, offset[0] :, offset[1] :, offset[2] :]
        low = avg_pool3d(low, kernel, stride=kernel, ceil_mode=True, count_include_pad=False)
    low = rician(low, uniform(generator, *protocol.noise) * image.mean().clamp(min=0.05), generator)
    if max(kernel) == 1:
        return low[0, 0]
    return _back_to_grid(low, image.shape, kernel, offset)


def rician(image, noise, generator):
    """Magnitude of the image with complex Gaussian noise of SD ``noise``."""
    real = image + noise * randn(image.shape, generator)
    return torch.hypot(real, noise * randn(image.shape, generator))


def _back_to_grid(low, shape, kernel, offset):
    """Trilinear interpolation of pooled slices back to the grid they were taken from."""
    volume = low[0, 0]
    for n, o, k in zip(shape, offset, kernel, strict=True):
        m = volume.shape[0]
        place = torch.arange(n, dtype=torch.float32, device=volume.device)
        position = ((place - o - (k - 1) / 2) / k).clamp(0, m - 1)
        slices = torch.arange(m, device=volume.device)
        weights = (1 - (position[:, None] - slices).abs()).clamp(min=0)
        volume = torch.tensordot(volume, weights.T, dims=([0], [0]))  # the axis goes to the end
    return volume.contiguous()


def disturb(image, generator, probability: float):
    """With the given probability one artefact of k-space: motion, Gibbs ringing or a spike."""
    if not chance(generator, probability):
        return image
    kind = whole_number(generator, 0, 3)
    if kind == 0:
        return move_during_scan(image, generator)
    if kind == 1:
        from monai.transforms import GibbsNoise

        return torch.as_tensor(GibbsNoise(uniform(generator, 0.2, 0.55))(image[None])[0])
    return add_spike(image, generator)


def move_during_scan(image, generator):
    """Ghosts of a head that moved: k-space lines taken from a shifted copy of the image.

    A shift is a phase ramp in k-space, so no resampling is needed.
    """
    axis = whole_number(generator, 0, 2)  # in plane: slices are phase-encoded along x or y
    spectrum = torch.fft.fftn(image)
    n = image.shape[axis]
    frequency = torch.fft.fftfreq(n, device=image.device)
    shift = uniform(generator, 0.5, 4.0)
    shape = [1, 1, 1]
    shape[axis] = n
    ramp = torch.exp(-2j * math.pi * frequency * shift).reshape(shape)
    order = torch.argsort(frequency)
    start = (
        uniform(generator, 0.1, 0.35) if chance(generator, 0.5) else uniform(generator, 0.65, 0.9)
    )
    moved = torch.zeros(n, dtype=torch.bool, device=image.device)
    first, last = (0, int(start * n)) if start < 0.5 else (int(start * n), n)
    moved[order[first:last]] = True
    return torch.fft.ifftn(torch.where(moved.reshape(shape), spectrum * ramp, spectrum)).abs()


def add_spike(image, generator):
    """A spike of k-space: a faint plane wave over the whole image."""
    axes = [torch.arange(n, dtype=torch.float32, device=image.device) for n in image.shape]
    phase = uniform(generator, 0, 2 * math.pi)
    for axis, places in enumerate(axes):
        shape = [1, 1, 1]
        shape[axis] = -1
        phase = phase + (uniform(generator, -1.2, 1.2) * places).reshape(shape)
    strength = uniform(generator, 0.02, 0.08) * image.mean()
    return (image + strength * torch.cos(phase)).clamp(min=0)


def bias_field(image, generator):
    """An image times a smooth field, as coils far and near leave it."""
    field = smooth_noise(image.shape, 4, generator)[0] * uniform(generator, 0, 0.25)
    return image * torch.exp(field)


def shade(image, generator):
    """Multiplicative bias field, gamma and logarithmic intensity transforms."""
    image = bias_field(image, generator)
    top = image.max().clamp(min=1e-6)
    scaled = (image / top).clamp(min=0) ** math.exp(uniform(generator, -0.35, 0.35))
    if chance(generator, 0.15):
        scaled = torch.log1p(scaled * 4) / math.log(5)
    return scaled


def cut_field_of_view(image, generator, probability: float):
    """Now and then blank the grid beyond a plane, as at the edge of a scan's field of view."""
    if not chance(generator, probability):
        return image
    axis = whole_number(generator, 0, 3)
    margin = int(image.shape[axis] * uniform(generator, 0, 0.18))
    edge = slice(0, margin) if chance(generator, 0.5) else slice(image.shape[axis] - margin, None)
    index = [slice(None)] * 3
    index[axis] = edge
    image = image.clone()
    image[tuple(index)] = 0
    return image


def deface(image, labels, generator, probability: float):
    """Now and then remove the face: all that lies outside the brain, in front and below."""
    if not chance(generator, probability):
        return image
    brain = (labels > 0) & (labels < FIRST_EXTRACEREBRAL_LABEL)
    places = brain.nonzero().float()
    if not len(places):
        return image
    y, z = (
        torch.arange(n, device=image.device).reshape(shape)
        for n, shape in ((image.shape[1], (1, -1, 1)), (image.shape[2], (1, 1, -1)))
    )
    middle, level = places[:, 1].mean(), places[:, 2].mean()
    slope = uniform(generator, 0.5, 1.2)
    face = (z - level) < slope * (y - middle) - uniform(generator, 15, 35)
    return torch.where(face & ~brain, torch.zeros_like(image), image)
