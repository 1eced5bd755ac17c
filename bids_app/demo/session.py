"""One simulated subject and session: head shape, atrophy, pose, images and their truth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from measures.lesion_regions import REGIONS

from .anatomy import Head, box_window
from .contrast import Slices, acquire, add_lesions, finish
from .deform import (
    Atrophy,
    Grid,
    HeadWarp,
    grid_points,
    random_head,
    random_pose,
    sample,
    solve_stretch,
    transform,
)
from .lesions import Lesion, draw_lesions, lesion_fraction


@dataclass(frozen=True)
class SubjectPlan:
    """What is known about a subject before anything is simulated.

    ``loss`` is the fraction of the (left, right) thalamus lost by ses-02; ``scale`` the head's
    size relative to the template (which is larger than an average head) along x, y, z;
    ``warp_mm`` the greatest displacement of the random head shape.
    """

    label: str
    scale: tuple[float, float, float]
    warp_mm: float
    loss: tuple[float, float]
    participant: dict = field(default_factory=dict)


SUBJECTS = (
    SubjectPlan(
        "01",
        (0.96, 0.96, 0.96),
        1.5,
        (0.10, 0.06),
        {"age": 34, "sex": "F", "group": "RRMS", "edss": 2.0},
    ),
    SubjectPlan(
        "02",
        (0.90, 0.93, 0.91),
        5.0,
        (0.05, 0.12),
        {"age": 47, "sex": "M", "group": "RRMS", "edss": 3.5},
    ),
)

T1W_GRID = Grid(
    (184, 232, 216),
    np.array([[1.0, 0, 0, -91.5], [0, 1, 0, -131.0], [0, 0, 1, -108.0], [0, 0, 0, 1]]),
)
# LPS: x and y run to the left and to the back. 52 slices of 3 mm.
_AXIAL = np.array([[-1.0, 0, 0, 95.0], [0, -1, 0, 105.0], [0, 0, 3, -66.0], [0, 0, 0, 1]])
AXIAL = Slices(Grid((192, 232, 52), _AXIAL), (-1.0, 0.0, 1.0))
VOLUME = Slices(T1W_GRID, (0.0,))
NOISE = {"T1w": 3.0, "FLAIR": 3.5, "T2w": 5.0}


@dataclass(frozen=True)
class Subject:
    """A subject's fixed traits: head shape, lesions, atrophy (by session) and random seeds."""

    plan: SubjectPlan
    warp: HeadWarp
    lesions: list[Lesion]
    atrophy: tuple[Atrophy, Atrophy]
    lesion_seed: int


@dataclass
class Scan:
    """A session's images and truths.

    ``images``: suffix to (int16 data, grid); ``thalamus``: space (T1w, FLAIR, T2w) to uint8
    labels (1 left, 2 right); ``lesion``: uint8 mask on the T1w grid; ``truth``: numbers of a row
    of truth.tsv.
    """

    images: dict[str, tuple[np.ndarray, Grid]]
    thalamus: dict[str, np.ndarray]
    lesion: np.ndarray
    truth: dict[str, float | int]


def atrophy_weights(head: Head) -> Atrophy:
    """Return the atrophy of ``head`` with no stretch yet: weights and anchors of both thalami."""
    window = box_window(head.grid, (-55, -60, -35), (55, 40, 50))
    affine = head.grid.affine.copy()
    affine[:3, 3] += [w.start for w in window]
    points = grid_points(head.grid, window)
    weights, anchors = [], []
    for name, sign in (("left", -1.0), ("right", 1.0)):
        mask = head.tissue[name][window] > 0.3
        distance = ndimage.distance_transform_edt(~mask)
        weight = np.exp(-((np.maximum(distance - 1.0, 0) / 7.0) ** 2))
        weight *= np.clip(sign * points[0] / 1.5, 0, 1)
        weights.append(weight.astype(np.float32))
        lateral = np.percentile(sign * points[0][mask], 97)
        centre = [points[k][mask].mean() for k in (1, 2)]
        anchors.append([sign * lateral * 0.9, *centre])
    grid = Grid(weights[0].shape, affine)
    return Atrophy(grid, np.stack(weights), np.array(anchors))


def _thalamus_volume(head: Head, warp: HeadWarp, atrophy: Atrophy, name: str, points) -> float:
    """Return the volume (ml) of a thalamus at 1 mm points (3, ...) of the subject's head."""
    source = atrophy(warp(points))
    return float(sample(head.tissue[name], head.grid, source).sum(dtype=np.float64)) / 1000.0


def make_subject(head: Head, plan: SubjectPlan, rng: np.random.Generator, maps=None) -> Subject:
    """Draw head shape and lesions of a subject and solve for the planned loss of thalamus."""
    warp = random_head(rng, head.grid, plan.warp_mm, plan.scale)
    lesions = draw_lesions(head, rng, maps)
    healthy = atrophy_weights(head)
    stretch = [0.0, 0.0]
    for side, (name, low, high) in enumerate((("left", -40, 0), ("right", 0, 40))):
        window = box_window(head.grid, (low - 6, -50, -28), (high + 6, 25, 40))
        points = grid_points(head.grid, window)

        def volume_of(s, side=side, name=name, points=points):
            trial = [0.0, 0.0]
            trial[side] = s
            shrunk = Atrophy(healthy.grid, healthy.weights, healthy.anchors, tuple(trial))
            return _thalamus_volume(head, warp, shrunk, name, points)

        loss = plan.loss[side]
        stretch[side] = solve_stretch(volume_of, (1 - loss) * volume_of(0.0), loss)
    atrophied = Atrophy(healthy.grid, healthy.weights, healthy.anchors, tuple(stretch))
    return Subject(plan, warp, lesions, (healthy, atrophied), int(rng.integers(2**31)))


def head_region(head: Head, warp: HeadWarp, pose: np.ndarray) -> np.ndarray:
    """Return a mask (bool, the T1w grid) that holds the whole head and little of the air.

    Found on every fourth voxel and widened by two of those, so that air need not be computed.
    """
    affine = T1W_GRID.affine.copy()
    affine[:3, :3] *= 4
    coarse = Grid(tuple(n // 4 for n in T1W_GRID.shape), affine)
    points = warp(transform(pose, grid_points(coarse)))
    full = sample(head.solid, head.grid, points) > 0.02
    near = ndimage.binary_dilation(full, np.ones((3, 3, 3)), iterations=2)
    for axis in range(3):
        near = np.repeat(near, 4, axis=axis)
    return near


def _thalamus_labels(truth, grid: Grid, slices: Slices, pose) -> np.ndarray:
    """Return labels (uint8, 1 left 2 right): voxels at least half thalamus, slice-averaged."""
    labels = np.zeros(slices.grid.shape, np.uint8)
    corners = np.array(np.meshgrid((-50, 50), (-65, 45), (-35, 50))).reshape(3, -1)
    corners = slices.grid.to_voxel(corners.astype(float))
    low = np.maximum(np.floor(corners.min(axis=1)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(axis=1)).astype(int), slices.grid.shape)
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    left, right = (acquire(t, grid, slices, pose, window) for t in truth)
    labels[window] = np.where(left + right >= 0.5, np.where(left >= right, 1, 2), 0)
    return labels


def _region_truth(head: Head, subject: Subject, session: int, points) -> dict[str, float | int]:
    """Return volume (mL, sum of fractions) and number of the lesions planned in each region.

    ``points`` (3, N) are the template points of the T1w's 1 mm voxels that hold any lesion.
    """
    row: dict[str, float | int] = {}
    for region in REGIONS:
        rng = np.random.default_rng(subject.lesion_seed)
        part = lesion_fraction(head, subject.lesions, session, rng, region)
        total = sample(part, head.grid, points).sum(dtype=np.float64)
        here = [lesion for lesion in subject.lesions if lesion.region == region]
        row[f"lesion_{region}_ml"] = round(float(total) / 1000.0, 4)
        row[f"lesion_{region}_count"] = sum(lesion.session <= session for lesion in here)
    return row


def simulate(
    head: Head, signals: dict[str, np.ndarray], subject: Subject, session: int, rng
) -> Scan:
    """Simulate session 1 or 2 of a subject: T1w, FLAIR, T2w and the truth.

    ``signals`` holds the healthy head's ``contrast_map`` of each suffix. The session's frame is
    the T1w scan: template maps are brought into it once, and the thick slices of FLAIR and T2w,
    with a head position of their own, are averaged from there. Volumes of the truth are sums of
    fractions on the T1w's 1 mm grid.
    """
    lesion = lesion_fraction(
        head, subject.lesions, session, np.random.default_rng(subject.lesion_seed)
    )
    pose = random_pose(rng, 3.0, 3.0)
    inside = head_region(head, subject.warp, pose)
    points = transform(pose, grid_points(T1W_GRID)[:, inside])
    points = subject.atrophy[session - 1](subject.warp(points))

    def bring(volume):
        brought = np.zeros(T1W_GRID.shape, np.float32)
        brought[inside] = sample(volume, head.grid, points)
        return brought

    truth = [bring(head.tissue[name]) for name in ("left", "right")]
    lesions = bring(lesion)
    regions = _region_truth(head, subject, session, points[:, lesions[inside] > 0])
    images, thalamus = {}, {}
    for suffix in ("T1w", "FLAIR", "T2w"):
        volume = add_lesions(bring(signals[suffix]), lesions, suffix)
        slices, move = (VOLUME, np.eye(4)) if suffix == "T1w" else (AXIAL, random_pose(rng, 3, 3))
        if suffix != "T1w":
            volume = acquire(volume, T1W_GRID, slices, move)
        images[suffix] = (finish(volume, rng, NOISE[suffix]), slices.grid)
        thalamus[suffix] = _thalamus_labels(truth, T1W_GRID, slices, move)
    mask = (lesions >= 0.5).astype(np.uint8)
    ml = [float(v.sum(dtype=np.float64)) / 1000.0 for v in (*truth, lesions)]
    row = {
        "thalamus_left_ml": round(ml[0], 4),
        "thalamus_right_ml": round(ml[1], 4),
        "thalamus_ml": round(ml[0] + ml[1], 4),
        "lesion_ml": round(ml[2], 4),
        "lesion_count": int(ndimage.label(mask, np.ones((3, 3, 3)))[1]),
        **regions,
    }
    return Scan(images, thalamus, mask, row)
