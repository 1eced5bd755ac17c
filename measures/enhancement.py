"""Candidates of gadolinium enhancement: what is brighter after contrast agent, in and near lesions.

Candidates only: vessels, choroid plexus and misalignment look alike, and a reader decides. At least
7 voxels, as in Narayana 2020 ("Study Participants"); the rest is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from measures.components import label_components, voxel_geometry

MIN_VOXELS = 7
#: How far from a lesion's mask enhancement still belongs to it.
NEAR_MM = 3.0
#: In robust SDs of the difference in tissue without lesions.
LEAST_SD = 3.0
#: Gain and bias field are taken for constant within this distance (sigma of a Gaussian).
LOCAL_MM = 20.0
#: The first pass is wrong where the brain ends on one side only; each further one takes away most.
GAIN_PASSES = 3


@dataclass(frozen=True)
class Candidate:
    """A component: its number in the labels, size, centre (world mm) and highest difference."""

    number: int
    voxels: int
    volume_mm3: float
    centre_mm: tuple[float, float, float]
    peak_sd: float


def near_lesions(lesions, brain, voxel_mm) -> np.ndarray:
    """Lesions and the brain within NEAR_MM of them (X, Y, Z, bool)."""
    lesions, brain = np.asarray(lesions, bool), np.asarray(brain, bool)
    if not lesions.any():
        return np.zeros(lesions.shape, bool)
    return (ndimage.distance_transform_edt(~lesions, sampling=voxel_mm) <= NEAR_MM) & brain


def difference_sd(pre, post, brain, lesions, voxel_mm) -> np.ndarray:
    """Post minus pre in robust SDs of the brain away from lesions (X, Y, Z); 0 outside the brain.

    ``post`` is first brought to the intensities of ``pre`` by the local ratio of both away from
    lesions: scans differ in gain, and bias fields change slowly. Raises ValueError where too little
    tissue is left to compare with, and where both images are the same.
    """
    pre, post = np.asarray(pre, np.float32), np.asarray(post, np.float32)
    brain = np.asarray(brain, bool)
    tissue = brain & ~near_lesions(lesions, brain, voxel_mm) & (pre > 0) & (post > 0)
    if tissue.sum() < 1000:
        raise ValueError("fewer than 1000 voxels of brain away from lesions to compare with")
    sigma = LOCAL_MM / np.asarray(voxel_mm)
    before = ndimage.gaussian_filter(pre * tissue, sigma)
    for _ in range(GAIN_PASSES):
        after = ndimage.gaussian_filter(post * tissue, sigma)
        post = post * np.where(after > 0, before / np.maximum(after, 1e-12), 0)
    difference = (post - pre) * brain
    inside = difference[tissue]
    middle = np.median(inside)
    spread = 1.4826 * np.median(np.abs(inside - middle))
    if not spread > 0:
        raise ValueError("the images before and after contrast agent do not differ at all")
    return np.where(brain, (difference - middle) / spread, 0).astype(np.float32)


def find_candidates(pre, post, brain, lesions, affine) -> tuple[np.ndarray, list[Candidate]]:
    """Candidates of enhancement: (labels int32 (X, Y, Z), one Candidate each, the largest first).

    All arrays lie on the grid of ``affine`` (4 x 4, mm). Components are 18-connected.
    """
    voxel_mm, voxel_mm3 = voxel_geometry(affine)
    sd = difference_sd(pre, post, brain, lesions, voxel_mm)
    bright = (sd >= LEAST_SD) & near_lesions(lesions, brain, voxel_mm)
    labels = label_components(bright, voxel_mm3, MIN_VOXELS * voxel_mm3)
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        own = labels[box] == number
        centre = np.argwhere(own).mean(0) + [part.start for part in box]
        world = affine[:3, :3] @ centre + affine[:3, 3]
        voxels = int(own.sum())
        peak = float(sd[box][own].max())
        place = tuple(float(v) for v in world)
        found.append(Candidate(number, voxels, voxels * voxel_mm3, place, peak))
    return labels, found
