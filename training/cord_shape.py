"""A phantom's cord: its curve through the field of view, its outline, its canal.

Every voxel gets coordinates in the frame of the cord (mm to the right, to the front and along it).
In that frame cord and canal are radii about the axis, whose area is known exactly; what surrounds
them is read from the template by stretching each ray.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import grid_sample, interpolate

from training.cord_template import ANGLES, VOXEL_MM, CordTemplate
from training.randomness import chance, randn, uniform, whole_number


@dataclass(frozen=True)
class CordVariety:
    """Ranges of the cords drawn.

    ``area_mm2``: the widest cross-section in view; ``tilt_deg``: angle between the cord's mean
    direction and z, which bends add to but never beyond the range's end; ``level``: vertebral level
    (2.0 is the top of C2) at the middle of the field of view, None for anywhere, at times with the
    brain or the end of the cord in view; ``csf``: thickness of the CSF over the template's.
    ``compressed``: probability of a cord squeezed at some level; ``lesions``: of any lesion;
    ``flow``: of CSF that is darker or brighter where it flows.
    """

    area_mm2: tuple[float, float] = (34.0, 118.0)
    tilt_deg: tuple[float, float] = (0.0, 30.0)
    level: tuple[float, float] | None = None
    csf: tuple[float, float] = (0.05, 1.7)
    compressed: float = 0.3
    lesions: float = 0.5
    flow: float = 0.45


@dataclass(frozen=True)
class Curve:
    """The cord's axis at every 0.5 mm of z, well beyond the field of view on both sides.

    ``place`` (N, 2): x and y in mm; ``slope`` (N, 2): their change per mm of z; ``arc_mm`` (N,):
    length along the axis; ``start_mm``: z of the first node. The origin of x, y and z is voxel 0.
    ``roll``: turn of the cord about its axis, radians.
    """

    place: torch.Tensor
    slope: torch.Tensor
    arc_mm: torch.Tensor
    start_mm: float
    roll: float

    def at(self, z_mm):
        """Place (..., 2), slope (..., 2), change of slope (..., 2) and arc length (...) at z."""
        node = ((z_mm - self.start_mm) / VOXEL_MM).clamp(0, len(self.arc_mm) - 1.001)
        low = node.long()
        share = (node - low)[..., None]
        both = torch.cat([self.place, self.slope, self.arc_mm[:, None]], -1)
        values = torch.lerp(both[low], both[low + 1], share)
        bend = (self.slope[low + 1] - self.slope[low]) / VOXEL_MM
        return values[..., :2], values[..., 2:4], bend, values[..., 4]


def draw_curve(shape, variety: CordVariety, generator) -> Curve:
    """A smooth curve through the middle of a field of view of ``shape`` voxels of 0.5 mm."""
    device = generator.device
    size_mm = [n * VOXEL_MM for n in shape]
    margin_mm = 20 + 0.4 * (size_mm[0] + size_mm[1])
    nodes = int((size_mm[2] + 2 * margin_mm) / VOXEL_MM)
    along = torch.linspace(-1, 1, nodes, device=device) * (0.5 + margin_mm / size_mm[2])
    most = math.tan(math.radians(max(variety.tilt_deg[1], 0.01)))
    tilt = math.tan(math.radians(uniform(generator, *variety.tilt_deg)))
    towards = _tilt_direction(generator)
    slope = torch.stack([torch.full_like(along, tilt * f(towards)) for f in (math.cos, math.sin)])
    for axis, bend in ((0, 0.12), (1, 0.35)):  # lordosis and kyphosis bend it front to back
        amount = uniform(generator, -bend, bend) * min(1.0, size_mm[2] / 48, most / 0.3)
        wave = uniform(generator, -bend, bend) * 0.4 * min(1.0, size_mm[2] / 48, most / 0.3)
        phase = uniform(generator, 0, 2 * math.pi)
        # Beyond the field of view the curve goes on straight.
        within = along.clamp(-0.6, 0.6)
        slope[axis] += amount * within + wave * torch.sin(2 * math.pi * within + phase)
    steep = torch.linalg.norm(slope, dim=0)
    slope = (slope * (most / steep.clamp(min=1e-6)).clamp(max=1)).T
    place = torch.cumsum(slope, 0) * VOXEL_MM
    drawn = torch.tensor([uniform(generator, -0.12, 0.12) * mm for mm in size_mm[:2]])
    middle = torch.tensor(size_mm[:2]) / 2 + drawn
    place = place - place[nodes // 2] + middle.to(device)
    arc = torch.cumsum((1 + (slope**2).sum(-1)).sqrt(), 0) * VOXEL_MM
    roll = math.radians(uniform(generator, -12, 12))
    return Curve(place, slope, arc, size_mm[2] / 2 - nodes // 2 * VOXEL_MM, roll)


def _tilt_direction(generator) -> float:
    """Angle from the right: a neck leans mostly to the front or the back."""
    if chance(generator, 0.3):
        return uniform(generator, 0, 2 * math.pi)
    side = 1 if chance(generator, 0.5) else -1
    return side * math.pi / 2 + uniform(generator, -0.35, 0.35)


def cord_coordinates(curve: Curve, shape, device):
    """Right, front and along (3, x, y, z), in mm, of a lattice over the voxels of ``shape``.

    Every voxel is taken to the nearest point of the curve by Newton's method, so that a plane of
    equal ``along`` is perpendicular to the cord. The lattice has every fourth voxel and the
    corners; ``resize`` brings it to any other resolution.
    """
    axes = [torch.linspace(0, (n - 1) * VOXEL_MM, n // 4 + 1, device=device) for n in shape]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    z = points[..., 2].clone()
    for _ in range(5):
        place, slope, bend, _ = curve.at(z)
        away = points[..., :2] - place
        error = (away * slope).sum(-1) + points[..., 2] - z
        z = z + error / (1 + (slope**2).sum(-1) - (away * bend).sum(-1)).clamp(min=0.4)
    place, slope, _, arc = curve.at(z)
    away = torch.cat([points[..., :2] - place, (points[..., 2] - z)[..., None]], -1)
    right, front = cord_axes(slope, curve.roll)
    return torch.stack([(away * right).sum(-1), (away * front).sum(-1), arc])


def cord_axes(slope, roll: float):
    """Unit vectors (..., 3) to the cord's right and front where its slope is (..., 2)."""
    tangent = torch.cat([slope, torch.ones_like(slope[..., :1])], -1)
    tangent = tangent / torch.linalg.norm(tangent, dim=-1, keepdim=True)
    right = torch.stack([tangent[..., 2], torch.zeros_like(tangent[..., 0]), -tangent[..., 0]], -1)
    right = right / torch.linalg.norm(right, dim=-1, keepdim=True)
    front = torch.linalg.cross(tangent, right)
    c, s = math.cos(roll), math.sin(roll)
    return c * right + s * front, c * front - s * right


@dataclass(frozen=True)
class CordShape:
    """Outlines at every 0.5 mm along the cord, from ``arc_mm`` 0 on.

    ``cord_mm`` and ``canal_mm``: outer radii (A, 96), see CordTemplate, also beyond the cord's
    end where the first is the brain stem's. ``place``: the template's slice (A,). ``is_cord``
    (A,): whether the label is cord. ``body``: size of the vertebrae over the template's.
    """

    cord_mm: torch.Tensor
    canal_mm: torch.Tensor
    template_cord_mm: torch.Tensor
    template_canal_mm: torch.Tensor
    place: torch.Tensor
    is_cord: torch.Tensor
    body: float

    def area_mm2(self):
        """Area (A,) of the cord's cross-section; zero where there is none."""
        return _area_mm2(self.cord_mm) * self.is_cord

    def centre_mm(self):
        """Centre of mass (A, 2) of the cross-section, to the right and to the front."""
        angles = _angles(self.cord_mm.device)
        moments = self.cord_mm**3 * (2 * math.pi / ANGLES / 3)
        sums = torch.stack([(moments * angles.cos()).sum(-1), (moments * angles.sin()).sum(-1)], -1)
        return sums / _area_mm2(self.cord_mm).clamp(min=1e-3)[:, None]

    def look_up(self, names, angle, arc_mm):
        """Values (len(names), N) of the named tables, see look_up."""
        return look_up(torch.stack([self._table(name) for name in names]), angle, arc_mm)

    def _table(self, name: str):
        if name == "steepness":  # cosine between a ray and the outline's normal
            step = (self.cord_mm.roll(-1, 1) - self.cord_mm.roll(1, 1)) * (ANGLES / 4 / math.pi)
            return self.cord_mm / torch.hypot(self.cord_mm, step).clamp(min=1e-3)
        if name in ("place", "is_cord"):
            return getattr(self, name).float()[:, None].expand(-1, ANGLES)
        return getattr(self, name)


def look_up(tables, angle, arc_mm):
    """Values (C, N) of tables (C, A, 96) at an angle (radians) and a place along the cord."""
    closed = torch.cat([tables, tables[..., :1]], -1)
    turn = torch.remainder(angle / (2 * math.pi), 1) * 2 - 1
    along = 2 * arc_mm / (VOXEL_MM * (tables.shape[1] - 1)) - 1
    grid = torch.stack([turn, along], -1)[None, None]
    return grid_sample(closed[None], grid, padding_mode="border", align_corners=True)[0, :, 0]


def _area_mm2(radii_mm):
    return 0.5 * (radii_mm**2).sum(-1) * (2 * math.pi / ANGLES)


def draw_shape(template: CordTemplate, curve: Curve, in_view, variety, generator) -> CordShape:
    """Outlines of a phantom's cord and canal along a curve.

    ``in_view``: first and last arc length (mm) of the field of view. The cord's widest
    cross-section within it has an area drawn from ``variety.area_mm2``.
    """
    device = generator.device
    count = int(curve.arc_mm[-1] / VOXEL_MM) + 1
    arc = torch.arange(count, device=device) * VOXEL_MM
    stretch = uniform(generator, 0.85, 1.15)
    level = _draw_level(template, variety, (in_view[1] - in_view[0]) / stretch, generator)
    middle = sum(in_view) / 2
    place = template.slice_of_level(level) + (arc - middle) / (VOXEL_MM * stretch)
    cord, canal = (_rows(table, place) for table in (template.cord_mm, template.canal_mm))
    drawn = cord * _wobble(count, generator)
    squeeze, tight = _compression(arc, in_view, variety, generator)
    drawn = drawn * squeeze
    is_cord = (place <= template.last) & (place >= 0)
    visible = is_cord & (arc >= in_view[0]) & (arc <= in_view[1])
    widest = _area_mm2(drawn)[visible].max() if visible.any() else _area_mm2(drawn).max()
    drawn = drawn * (uniform(generator, *variety.area_mm2) / widest.clamp(min=1)).sqrt()
    drawn = drawn * (place >= 0)[:, None]
    gap = (canal - cord).clamp(min=0.3) * _gap_factor(count, variety, generator) * tight
    above_mm = ((place - template.last) * VOXEL_MM).clamp(min=0)
    stem, gap = _brain_stem(drawn, gap, above_mm, generator)
    return CordShape(
        cord_mm=stem,
        canal_mm=stem + gap.clamp(min=0.15),
        template_cord_mm=cord,
        template_canal_mm=canal,
        place=place,
        is_cord=is_cord,
        body=uniform(generator, 0.85, 1.2),
    )


def _draw_level(template, variety, length_mm: float, generator) -> float:
    """Vertebral level at the middle of the field of view: most are cervical."""
    if variety.level is not None:
        return uniform(generator, *variety.level)
    bottom = len(template.tops)
    kind = uniform(generator, 0, 1)
    if kind < 0.2:  # the brain comes into view
        below = uniform(generator, 0, 0.3) * length_mm / VOXEL_MM
        place = torch.tensor(template.last - below, device=generator.device)
        return template.level_of_slice(place).item()
    if kind < 0.65:
        return uniform(generator, 1.0, min(8.0, bottom))
    # Lower than the last ones only the cord's tip would be in view, blown up to the area drawn.
    if kind < 0.85:
        return uniform(generator, min(8.0, bottom - 2), bottom - 2)
    return uniform(generator, max(1.0, bottom - 2.5), bottom - 1.3)  # the cord's end is in view


def _rows(table, place):
    """Rows (A, 96) of a table at fractional places, those of its ends beyond them."""
    place = place.clamp(0, len(table) - 1.001)
    low = place.long()
    return torch.lerp(table[low], table[low + 1], (place - low)[:, None])


def _along(count: int, spacing_mm: float, generator):
    """Smooth random course (A,) of unit variance at knots ``spacing_mm`` apart."""
    knots = randn((1, 1, max(4, int(count * VOXEL_MM / spacing_mm))), generator)
    return interpolate(knots, size=count, mode="linear", align_corners=True)[0, 0]


def _angles(device):
    return torch.arange(ANGLES, device=device) * (2 * math.pi / ANGLES)


def _wobble(count: int, generator):
    """Factor (A, 96) on the cord's radii: its girth, flatness and irregularities."""
    angles = _angles(generator.device)
    girth = 1 + uniform(generator, 0, 0.06) * _along(count, 20, generator)
    flat = uniform(generator, -0.06, 0.13) + 0.02 * _along(count, 15, generator)
    factor = girth[:, None] * (1 + flat[:, None] * torch.cos(2 * angles))
    for order in (3, 4, 5):
        shift = uniform(generator, 0, 2 * math.pi)
        amount = uniform(generator, 0, 0.02) * _along(count, 12, generator)
        factor = factor * (1 + amount[:, None] * torch.cos(order * angles + shift))
    return factor.clamp(0.5, 1.6)


def _compression(arc, in_view, variety, generator):
    """Factors (A, 96) on the cord's radii and on the CSF's thickness.

    A disc presses on the cord mostly from the front; atrophy thins it over a longer stretch.
    """
    angles = _angles(generator.device)
    squeeze = torch.ones((len(arc), ANGLES), device=arc.device)
    tight = torch.ones_like(squeeze)
    if chance(generator, variety.compressed):
        for _ in range(whole_number(generator, 1, 4)):
            near = _bump(arc, in_view, uniform(generator, 3, 9), generator)
            front = math.pi / 2 if chance(generator, 0.75) else uniform(generator, 0, 2 * math.pi)
            facing = torch.cos(angles - front).clamp(min=0) ** 1.5
            squeeze = squeeze * (1 - uniform(generator, 0.0, 0.4) * near * facing)
            around = uniform(generator, 0, 1)
            tight = tight * (1 - 0.97 * near * torch.lerp(facing, torch.ones_like(facing), around))
    if chance(generator, variety.compressed):
        near = _bump(arc, in_view, uniform(generator, 8, 30), generator)
        squeeze = squeeze * (1 - uniform(generator, 0, 0.25) * near)
    return squeeze, tight


def _bump(arc, in_view, width_mm: float, generator):
    """A Gaussian (A, 1) along the cord about a random place in view."""
    return torch.exp(-(((arc - uniform(generator, *in_view)) / width_mm) ** 2))[:, None]


def _gap_factor(count: int, variety, generator):
    """Factor (A, 96) on the CSF's thickness: the canal is oval to triangular, and the cord may lie
    off its middle."""
    angles = _angles(generator.device)
    course = (1 + 0.2 * _along(count, 20, generator)).clamp(0.5, 1.5)
    aside = uniform(generator, 0, 2 * math.pi)
    uneven = 1 + uniform(generator, 0, 0.65) * torch.cos(angles - aside)
    uneven = uneven + uniform(generator, -0.1, 0.25) * torch.cos(2 * angles)
    uneven = uneven + uniform(generator, -0.05, 0.22) * torch.sin(3 * angles)  # a corner behind
    factor = uniform(generator, *variety.csf) * course[:, None] * uneven
    return factor.clamp(0.02, max(2.0, variety.csf[1]))


def _brain_stem(cord, gap, above_mm, generator):
    """Radii and CSF thickness (A, 96), going over to the medulla and the pons above the cord."""
    angles = _angles(generator.device)
    medulla = cord * (1 + 0.35 * smooth_step(above_mm / 10))[:, None]
    pons = uniform(generator, 11.5, 15) * (1 + 0.1 * torch.cos(2 * angles) + 0.1 * angles.sin())
    share = smooth_step((above_mm - 5) / uniform(generator, 14, 22))[:, None]
    cistern = gap.new_tensor(uniform(generator, 1.0, 4.0))
    near = smooth_step(above_mm / 15)[:, None]
    return torch.lerp(medulla, pons.expand_as(cord), share), torch.lerp(gap, cistern, near)


def smooth_step(value):
    """0 below 0, 1 above 1, without a corner in between."""
    value = value.clamp(0, 1)
    return value * value * (3 - 2 * value)
