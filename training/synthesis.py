"""Images synthesised from label maps, and the augmentation shared with real images.

The idea is SynthSeg's (Billot 2023, doi:10.1016/j.media.2023.102789): a network that has seen
every contrast, resolution and artefact generalises to the one it is given. All randomness comes
from the torch generator passed in.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn.functional import avg_pool3d, interpolate

N_LABELS = 1024

# FLAIR intensity relative to white matter: mean and between-scan SD, as measured in the training
# subjects of the kit (median inside SAMSEG's labels), CSF corrected for partial volume.
FLAIR_CONTRAST = {
    (2, 41): (1.0, 0.03),
    (7, 46): (0.97, 0.05),
    (3, 42): (1.20, 0.07),
    (8, 47): (1.17, 0.07),
    (10, 49): (0.96, 0.08),
    (11, 50, 26, 58): (1.09, 0.06),
    (12, 51): (1.01, 0.06),
    (13, 52): (0.79, 0.07),
    (17, 18, 53, 54): (1.10, 0.06),
    (28, 60): (0.92, 0.09),
    (16,): (0.93, 0.09),
    (4, 5, 14, 15, 43, 44, 72): (0.22, 0.14),
    (24,): (0.30, 0.18),
    (25, 57, 77, 99): (1.32, 0.15),
    (31, 63, 136, 137, 163, 164): (0.75, 0.25),
    (30, 62, 85): (0.7, 0.25),
}
MIRROR_PAIRS = ((2, 41), (3, 42), (4, 43), (5, 44), (7, 46), (8, 47), (10, 49), (11, 50), (12, 51),
                (13, 52), (17, 53), (18, 54), (25, 57), (26, 58), (28, 60), (30, 62), (31, 63),
                (136, 163), (137, 164))  # fmt: skip


def uniform(generator, low: float, high: float) -> float:
    """One number drawn uniformly from [low, high)."""
    return low + (high - low) * torch.rand((), generator=generator).item()


def chance(generator, probability: float) -> bool:
    """True with the given probability."""
    return torch.rand((), generator=generator).item() < probability


def smooth_noise(shape, nodes: int, generator, channels: int = 1):
    """Smooth random field (channels, X, Y, Z) of unit variance at its ``nodes`` control points."""
    coarse = torch.randn((1, channels, nodes, nodes, nodes), generator=generator)
    return interpolate(coarse, size=tuple(shape), mode="trilinear", align_corners=True)[0]


def random_affine(generator, rotation_deg: float, scaling: float, shear: float):
    """Random 3x3: rotations about the three axes, anisotropic scaling, shear, left-right flip."""
    matrix = torch.eye(3)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        angle = math.radians(uniform(generator, -rotation_deg, rotation_deg))
        turn = torch.eye(3)
        turn[first, first] = turn[second, second] = math.cos(angle)
        turn[first, second], turn[second, first] = -math.sin(angle), math.sin(angle)
        matrix = matrix @ turn
    common = uniform(generator, 1 - scaling, 1 + scaling)
    scales = torch.tensor([common * uniform(generator, 0.94, 1.06) for _ in range(3)])
    matrix = matrix @ torch.diag(scales)
    skew = torch.eye(3) + shear * (2 * torch.rand((3, 3), generator=generator) - 1)
    matrix = matrix @ skew
    if chance(generator, 0.5):
        matrix = torch.diag(torch.tensor([-1.0, 1.0, 1.0])) @ matrix
    return matrix


def label_intensities(generator, flair_like: bool):
    """Random mean and SD of every label's tissue: two tensors (1024,).

    ``flair_like`` draws around FLAIR_CONTRAST, otherwise every structure gets any intensity.
    Labels outside the brain are arbitrary either way.
    """
    means = torch.rand(N_LABELS, generator=generator) * 1.4
    spread = torch.rand(N_LABELS, generator=generator) * 0.12 + 0.02
    for group, (mean, deviation) in FLAIR_CONTRAST.items():
        if flair_like:
            value = mean + deviation * torch.randn((), generator=generator).item()
        else:
            value = uniform(generator, 0, 1.4)
        for label in group:
            means[label] = max(value, 0.0)
    for left, right in MIRROR_PAIRS:
        means[right] = means[left]
        spread[right] = spread[left]
    means[0], spread[0] = 0.0, 0.01
    return means, spread


def paint(labels, generator, flair_like: bool):
    """Image (X, Y, Z) from a label volume (long): Gaussian tissue, texture, smooth unevenness."""
    means, spread = label_intensities(generator, flair_like)
    image = means[labels]
    texture = torch.randn(labels.shape, generator=generator) * spread[labels]
    # Nuclei and tracts make tissue uneven on a scale of several mm: two smooth fields.
    brain = (labels > 0).float()
    for nodes, strength in ((6, 0.06), (14, 0.06)):
        amount = uniform(generator, 0, strength)
        image = image + brain * amount * smooth_noise(labels.shape, nodes, generator)[0]
    thalamus = (labels == 10) | (labels == 49)
    uneven = uniform(generator, 0, 0.08) * smooth_noise(labels.shape, 9, generator)[0]
    return (image + 0.7 * texture + thalamus * uneven).clamp(min=0)


def implant_lesions(labels, generator, voxel_mm: float, most: int = 12):
    """Turn random blobs of white matter (and now and then thalamus) into lesion label 25."""
    lesions = torch.zeros(labels.shape, dtype=torch.bool)
    shape = torch.tensor(labels.shape, dtype=torch.float32)
    for _ in range(int(uniform(generator, 0, most))):
        centre = torch.rand(3, generator=generator) * shape
        radius = torch.tensor([uniform(generator, 1.0, 5.0) / voxel_mm for _ in range(3)])
        low = (centre - radius).floor().clamp(min=0).int().tolist()
        high = torch.minimum((centre + radius).ceil() + 1, shape).int().tolist()
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        axes = [
            ((torch.arange(a, b) - c) / r) ** 2
            for a, b, c, r in zip(low, high, centre.tolist(), radius.tolist(), strict=True)
        ]
        lesions[box] |= (axes[0][:, None, None] + axes[1][:, None] + axes[2]) < 1
    allowed = (labels == 2) | (labels == 41)
    if chance(generator, 0.2):
        allowed |= (labels == 10) | (labels == 49)
    return torch.where(lesions & allowed, torch.full_like(labels, 25), labels)


def acquire(image, voxel_mm: float, generator, real: bool):
    """Simulate acquisition: point spread, thick slices with partial volume, noise, resampling.

    ``image`` is (X, Y, Z) on the network's grid; the result is on the same grid, as a scan with
    thicker slices is after trilinear interpolation. A real image is only made coarser at times.
    """
    thickness = [uniform(generator, 0.6, 1.3)] * 3
    if chance(generator, 0.8):
        axis = 2 if chance(generator, 0.8) else int(uniform(generator, 0, 2))
        thickness[axis] = uniform(generator, 1.0, 5.0)
    if real and chance(generator, 0.6):
        return image
    kernel = [max(1, round(mm / voxel_mm)) for mm in thickness]
    low = image[None, None]
    if max(kernel) == 1:
        low = low.clone()
    else:
        offset = [int(uniform(generator, 0, k)) for k in kernel]
        low = low[:, :, offset[0] :, offset[1] :, offset[2] :]
        low = avg_pool3d(low, kernel, stride=kernel, ceil_mode=True, count_include_pad=False)
    noise = uniform(generator, 0.0, 0.06) * image.mean().clamp(min=0.05)
    real_part = low + noise * torch.randn(low.shape, generator=generator)
    low = torch.sqrt(real_part**2 + (noise * torch.randn(low.shape, generator=generator)) ** 2)
    if max(kernel) == 1:
        return low[0, 0]
    return _back_to_grid(low, image.shape, kernel, offset)


def _back_to_grid(low, shape, kernel, offset):
    """Trilinear interpolation of pooled slices back to the grid they were taken from."""
    volume = low[0, 0]
    for n, o, k in zip(shape, offset, kernel, strict=True):
        m = volume.shape[0]
        position = ((torch.arange(n, dtype=torch.float32) - o - (k - 1) / 2) / k).clamp(0, m - 1)
        weights = (1 - (position[:, None] - torch.arange(m)).abs()).clamp(min=0)
        volume = torch.tensordot(volume, weights.T, dims=([0], [0]))  # the axis goes to the end
    return volume.contiguous()


def shade(image, generator):
    """Multiplicative bias field, gamma and logarithmic intensity transforms."""
    bias = smooth_noise(image.shape, 4, generator)[0] * uniform(generator, 0, 0.25)
    image = image * torch.exp(bias)
    top = image.max().clamp(min=1e-6)
    scaled = (image / top).clamp(min=0) ** math.exp(uniform(generator, -0.35, 0.35))
    if chance(generator, 0.15):
        scaled = torch.log1p(scaled * 4) / math.log(5)
    return scaled


def cut_field_of_view(image, generator):
    """Now and then blank the grid beyond a plane, as at the edge of a scan's field of view."""
    if chance(generator, 0.1):
        axis = int(uniform(generator, 0, 3))
        margin = int(image.shape[axis] * uniform(generator, 0, 0.18))
        edge = (
            slice(0, margin) if chance(generator, 0.5) else slice(image.shape[axis] - margin, None)
        )
        index = [slice(None)] * 3
        index[axis] = edge
        image = image.clone()
        image[tuple(index)] = 0
    return image


def seeded(seed: int, index: int):
    """Generator of sample ``index``: the same whatever the number of workers or a resume."""
    state = np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & 0x7FFF_FFFF_FFFF_FFFF)
