"""Phantoms of the spinal cord: an image of any contrast whose cord and lesions are known exactly.

An anatomy is drawn from PAM50 (cord_template, cord_shape, cord_surroundings, cord_lesions), painted
with a scan's intensities (cord_contrast), and scanned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch.nn.functional import grid_sample, interpolate

from networks.geometry import sample_volume
from training import acquisition
from training.acquisition import Protocol
from training.cord_contrast import tissue_intensities
from training.cord_lesions import draw_lesions
from training.cord_shape import (
    CordShape,
    CordVariety,
    Curve,
    cord_axes,
    cord_coordinates,
    draw_curve,
    draw_shape,
    look_up,
)
from training.cord_surroundings import paint_surroundings
from training.cord_template import GREY_REACH, VOXEL_MM, CordTemplate
from training.deformation import resize
from training.randomness import chance, one_of, randn, uniform, whole_number

_ANY = Protocol(in_plane_mm=(0.5, 1.2), artefacts=0.2, noise=(0.0, 0.12))
#: How cords are scanned, and how often: thick axial slices, sagittal slices, and 3D.
PROTOCOLS = (
    (replace(_ANY, thickness_mm=(2.0, 7.5), thick=1.0, axial=1.0), 0.5),
    (replace(_ANY, thickness_mm=(1.0, 3.0), thick=1.0, axial=0.0, aside=(0,)), 0.25),
    (replace(_ANY, thick=0.0), 0.25),
)


@dataclass(frozen=True)
class Phantom:
    """One sample on a grid of 0.5 mm in RAS order.

    ``image``: float (X, Y, Z), not negative. ``cord``: every voxel's share of cord (X, Y, Z), which
    ends at the top of C1. ``lesion``: bool (X, Y, Z), inside the cord. ``centreline``: voxel
    positions (N, 3) of the centre of the cord's cross-sections, one near each slice that shows it,
    upwards; ``area_mm2`` (N,): area of the cross-section perpendicular to the cord there;
    ``level`` (N,): vertebral level there (2.0 is the top of C2).
    """

    image: torch.Tensor
    cord: torch.Tensor
    lesion: torch.Tensor
    centreline: torch.Tensor
    area_mm2: torch.Tensor
    level: torch.Tensor


def draw_phantom(
    template: CordTemplate,
    shape: tuple[int, int, int],
    contrast: str | None,
    generator: torch.Generator,
    variety: CordVariety | None = None,
    protocol: Protocol | None = None,
) -> Phantom:
    """A scanned phantom of ``shape`` voxels of 0.5 mm, on the template's and generator's device.

    ``contrast``: ``T1w``, ``T2w``, ``T2starw`` or None for any intensities; raises KeyError for
    another. ``protocol``: the acquisition, one of PROTOCOLS by default.
    """
    phantom = draw_anatomy(template, shape, contrast, generator, variety or CordVariety())
    if protocol is None:
        protocol = one_of(PROTOCOLS, generator)
    return replace(phantom, image=scan(phantom.image, protocol, generator))


def draw_anatomy(
    template: CordTemplate, shape, contrast: str | None, generator, variety: CordVariety
) -> Phantom:
    """A phantom as draw_phantom makes it, before any scanner's blur, noise and shading."""
    tissue = tissue_intensities(generator, contrast)
    curve = draw_curve(shape, variety, generator)
    z_mm = torch.arange(shape[2], device=generator.device) * VOXEL_MM
    in_view = tuple(curve.at(z_mm[[0, -1]])[3].tolist())
    cord = draw_shape(template, curve, in_view, variety, generator)
    centreline, rows = _centreline(curve, cord, z_mm, shape)
    lesions = []
    wide = rows[cord.area_mm2()[rows] > 12]
    if len(wide) and chance(generator, variety.lesions):
        lesions = draw_lesions(cord, wide, generator)

    frame = cord_coordinates(curve, shape, generator.device)
    coarse = resize(frame, [n // 2 + 1 for n in shape])
    image = paint_surroundings(template, cord, coarse, tissue, generator)
    image = resize(image[None], shape)[0]
    u, v, arc = resize(frame, shape)
    reach = cord.canal_mm[int(in_view[0] / VOXEL_MM) : int(in_view[1] / VOXEL_MM) + 2].max() + 2
    near = (u * u + v * v < reach**2).nonzero(as_tuple=True)
    points = torch.stack([part[near] for part in (u, v, arc)])
    parts = _paint_canal(
        template, cord, points, image[near], (tissue, lesions, variety.flow), generator
    )
    volumes = [image, torch.zeros_like(image), torch.zeros_like(image, dtype=torch.bool)]
    for volume, part in zip(volumes, parts, strict=True):
        volume[near] = part
    level = template.level_of_slice(cord.place[rows])
    return Phantom(*volumes, centreline, cord.area_mm2()[rows], level)


def _centreline(curve: Curve, cord: CordShape, z_mm, shape):
    """Voxel positions (N, 3) of the cord's centre, and its rows (N,) in the cord's tables."""
    place, slope, _, arc = curve.at(z_mm)
    rows = (arc / VOXEL_MM).round().long()
    right, front = cord_axes(slope, curve.roll)
    aside = cord.centre_mm()[rows]
    middle = torch.cat([place, z_mm[:, None]], -1)
    voxels = (middle + aside[:, :1] * right + aside[:, 1:] * front) / VOXEL_MM
    size = torch.tensor(shape, device=voxels.device)
    inside = ((voxels >= 0) & (voxels <= size - 1)).all(-1) & (cord.area_mm2()[rows] > 1)
    return voxels[inside], rows[inside]


def _paint_canal(template, cord: CordShape, points, around, what, generator):
    """Image, share of cord and lesion mask (N,) at points (3, N) of the cord's frame.

    ``around``: the image (N,) without canal; ``what``: the tissues' intensities, the lesions, and
    how probably CSF's flow is seen.
    """
    tissue, lesions, flow = what
    u, v, arc = points
    radius, angle = torch.hypot(u, v), torch.atan2(v, u)
    names = ("cord_mm", "canal_mm", "template_cord_mm", "steepness", "is_cord", "place")
    outline, canal, template_cord, steep, is_cord, place = cord.look_up(names, angle, arc)
    # The cord's end is a point, which no voxel holds.
    stem = ((outline - radius) * steep / VOXEL_MM + 0.5).clamp(0, 1) * (outline > 0.25)
    share = stem * is_cord
    shrink = template_cord / outline.clamp(min=0.25)
    grey = _grey_matter(template, u * shrink, v * shrink, place, generator)
    inside = 1.0 + is_cord * grey * (tissue["grey"] - 1.0)
    if chance(generator, 0.3):  # the central canal
        canal_share = uniform(generator, 0.1, 0.5) * torch.exp(-((radius / 0.5) ** 2))
        inside = inside + canal_share * (tissue["csf"] - inside)
    mask = torch.zeros_like(stem, dtype=torch.bool)
    softness_mm = uniform(generator, 0.4, 1.2)
    for lesion in lesions:
        part = lesion.share(u, v, arc, softness_mm)
        value = 1.0 + lesion.strength * (tissue["lesion"] - 1.0)
        inside = torch.lerp(inside, torch.full_like(inside, max(value, 0.0)), part)
        mask |= (part >= 0.5) & (share >= 0.5)
    texture = uniform(generator, 0, 0.05) * randn(u.shape, generator)
    fluid = _fluid(cord, (u, v, arc, angle), outline, (tissue, flow), generator)
    value = torch.lerp(fluid, (inside + texture).clamp(min=0), stem)
    dura = torch.exp(-(((radius - canal - 0.3) / uniform(generator, 0.3, 0.7)) ** 2))
    around = torch.lerp(
        around, torch.full_like(around, tissue["ligament"]), uniform(generator, 0, 0.9) * dura
    )
    image = torch.lerp(around, value, ((canal - radius) / VOXEL_MM + 0.5).clamp(0, 1))
    return image, share, mask


def _grey_matter(template, u, v, place, generator):
    """Grey matter's share (N,), a little wider or thinner than the template's."""
    size = uniform(generator, 0.85, 1.15) / VOXEL_MM
    points = torch.stack([u * size + GREY_REACH, v * size + GREY_REACH, place], -1)
    return sample_volume(template.grey, points)


def _fluid(cord: CordShape, where, outline, what, generator):
    """CSF (N,) with nerve roots, which fill much of it below the cord, and flow voids."""
    u, v, arc, angle = where
    tissue, flowing = what
    streaks = randn((1, 1, 64, 64), generator)
    fan = 1 + 0.004 * arc  # roots run along the cord and spread a little
    grid = torch.stack([u / fan / 20, v / fan / 20], -1)[None, None]
    roots = grid_sample(streaks, grid, padding_mode="reflection", align_corners=True)[0, 0, 0]
    below = (1 - (outline - 1.0) / 1.5).clamp(0, 1)
    few, many = uniform(generator, 0.8, 2.0), uniform(generator, -0.2, 0.6)
    share = (2 * (roots - few + (few - many) * below)).clamp(0, 1)
    fluid = torch.lerp(
        torch.full_like(u, tissue["csf"]), torch.full_like(u, tissue["root"]), 0.8 * share
    )
    if chance(generator, flowing):
        count = len(cord.place)
        knots = randn((1, 1, max(3, count // 24), 6), generator)
        patches = interpolate(knots, (count, cord.cord_mm.shape[1]), mode="bilinear")[0]
        flow = (look_up(patches, angle, arc)[0] - uniform(generator, -0.3, 0.7)).clamp(0, 1)
        fluid = fluid * (1 + uniform(generator, -0.85, 0.3) * flow)
    return fluid


def scan(image, protocol: Protocol, generator):
    """What a scanner makes of a noise-free image (X, Y, Z) of 0.5 mm, on the same grid.

    No gamma, unlike images of the brain: a scanner is linear, so that a voxel half of cord and half
    of CSF is as bright as their mean. With a random gamma areas could not be learnt to within 10 %.
    """
    if chance(generator, 0.6):
        image = _soften(image, uniform(generator, 0, 0.3))
    image = _coil(image, generator)
    if chance(generator, 0.25):
        image = _ghost(image, generator)
    image = acquisition.disturb(image, generator, protocol.artefacts)
    image = acquisition.acquire(image, VOXEL_MM, generator, protocol, real=False)
    return acquisition.bias_field(image, generator)


def _soften(image, share: float):
    """Blur by a three-point kernel along each axis that takes ``share`` from either neighbour."""
    for axis in range(3):
        n = image.shape[axis]
        first, last = image.narrow(axis, 0, 1), image.narrow(axis, n - 1, 1)
        sides = torch.cat([first, image.narrow(axis, 0, n - 1)], axis)
        sides = sides + torch.cat([image.narrow(axis, 1, n - 1), last], axis)
        image = image * (1 - 2 * share) + share * sides
    return image


def _coil(image, generator):
    """Coils behind the spine see the back best; at times a saturation band darkens the throat."""
    y_mm = (torch.arange(image.shape[1], device=image.device) - image.shape[1] / 2) * VOXEL_MM
    fall = uniform(generator, -0.003, 0.02)
    factor = torch.exp(-fall * y_mm)
    if chance(generator, 0.3):
        band = torch.sigmoid((y_mm - uniform(generator, 14, 40)) / uniform(generator, 1, 4))
        factor = factor * (1 - uniform(generator, 0.5, 0.95) * band)
    return image * factor[:, None]


def _ghost(image, generator):
    """Faint copies of what pulsates or swallows, a fraction of the field of view away."""
    axis = whole_number(generator, 0, 2)
    shift = round(image.shape[axis] / uniform(generator, 2, 7))
    copies = image.roll(shift, axis) + image.roll(-shift, axis)
    return image + uniform(generator, 0.01, 0.09) * copies
