"""Scans with enhancing lesions that nobody had: lesions implanted in real heads without contrast.

What an enhancing lesion looks like before contrast agent is taken from the literature, and is
little. A thin T2-dark rim with oedema around was seen in 46.1 % of enhancing lesions and in 30.2 %
of others (Diagn Interv Radiol 2014;20:178-84, doi:10.5152/dir.2013.13313: sensitivity 0.461,
specificity 0.698). T1 and proton density differ on average (J Magn Reson Imaging 2013;38:1454-61,
doi:10.1002/jmri.24107; how far on our images is not known: SHIFT is a guess). A network trained on
this has learnt this, and has never seen enhancement.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch.nn.functional import avg_pool3d, max_pool3d

from networks.brain_classes import CONTRASTS
from networks.enhancement import LEAST_SHARE, cut_slices, onto_grid
from networks.geometry import InputGrid, sample_volume
from networks.lesions import CANVAS, Contrast
from training.brain_sampling import VIEW
from training.contrast import CONTRASTS as INTENSITIES
from training.deformation import random_view
from training.enhancement_scans import Scan
from training.joint_contrasts import grow, scan, strip
from training.lesion_contrast import soft_lesions
from training.placement import PersonalLesions, place_lesions
from training.randomness import chance, randn, seeded, uniform, whole_number
from training.sampling import nearest_labels, positions
from training.sources import Source

#: Share of scans with enhancement; the paper's cohort has 26 %, but training wants both kinds.
PREVALENCE = 0.5
#: Share of enhancing and of other lesions with a dark rim on T2w, and oedema around.
RIM = {True: 0.461, False: 0.302}
RIM_DEPTH, OEDEMA = 0.45, 0.35  # of the lesion's own contrast
#: How an enhancing lesion's mean differs, in SD between lesions: longer T1, more water.
SHIFT = {"T1w": -0.5, "T2w": 0.45, "FLAIR": 0.4}
#: Voxels (1 mm) of the lesions that may enhance: smaller ones have no inside that could be seen.
LEAST_ACTIVE = 30
MOST_ACTIVE = 3
KEPT_APART = 3  # voxels between an implanted lesion and one of the head's own


@dataclass(frozen=True)
class Places:
    """Lesions of a scan: number of the lesion in every voxel (X, Y, Z, long), and which enhance."""

    numbered: torch.Tensor
    active: frozenset[int]

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.numbered.max())

    def enhancing(self):
        """Mask (X, Y, Z, bool) of those that enhance."""
        return torch.isin(self.numbered, torch.tensor(sorted(self.active), dtype=torch.long))


def implanted_scans(
    heads: list[Source], people: list[PersonalLesions], card: dict, count: int, seed: int
) -> Iterator[Scan]:
    """Yield ``count`` scans of these heads in turn, each bent, with lesions of other people.

    ``card`` has the network's ``input``. A scan's ``subject`` is the head's, so that a split by
    subject keeps a head in one part. Where no lesion fits a head, the scan is left out.
    """
    for number in range(count):
        generator = seeded(seed, number)
        head = heads[number % len(heads)]
        found = implanted_scan(head, people, card, generator)
        if found is not None:
            images, labels = found
            subject = head.name.split("_")[0].removeprefix("sub-")
            yield Scan(subject, f"{number:04d}", images, labels, bool(labels.any()))


def implanted_scan(head: Source, people: list[PersonalLesions], card: dict, generator):
    """Slices (S, 3, H, W, half precision) of one scan and which of them enhance, or None."""
    points = random_view(head, head.brain_box_mm[0], CANVAS, VIEW, generator)
    labels = nearest_labels(head.labels, points, CANVAS.shape)
    lesions = place_lesions(labels, points, head, people, generator)
    for own in (head.lesions, head.unknown):
        if own is not None:  # whether those enhance is not known
            shown = sample_volume(*positions(own, points, CANVAS.shape)) > 0.5
            lesions &= ~grow(shown, KEPT_APART)
    places = draw_places(lesions, chance(generator, PREVALENCE), generator)
    if not places.count:
        return None
    images = {
        name: sample_volume(*positions(head.images[name], points, CANVAS.shape)).clamp(min=0)
        for name in CONTRASTS
    }
    images = paint_lesions(images, places, generator)
    mask = strip(labels, generator).numpy()
    given = [
        Contrast(name, scan(images[name], generator, real=True).numpy(), np.eye(4), np.eye(4))
        for name in CONTRASTS
    ]
    cut = cut_slices(given, mask, (places.numbered > 0).numpy(), card)
    if not len(cut.numbers):
        return None
    truth = onto_grid(places.enhancing(), np.eye(4), InputGrid.from_card(card), cut.affine)
    return cut.images.astype(np.float16), (truth >= LEAST_SHARE).any((0, 1))[cut.numbers]


def draw_places(lesions, enhancing: bool, generator) -> Places:
    """Number the lesions of a mask (X, Y, Z, bool); one to three large ones enhance, or none."""
    numbered, _ = ndimage.label(lesions.numpy(), np.ones((3, 3, 3)))
    sizes = np.bincount(numbered.ravel())[1:]
    large = list(1 + np.flatnonzero(sizes >= LEAST_ACTIVE))
    active = set()
    if enhancing and large:
        for _ in range(whole_number(generator, 1, MOST_ACTIVE + 1)):
            active.add(int(large[whole_number(generator, 0, len(large))]))
    return Places(torch.from_numpy(numbered.astype(np.int64)), frozenset(active))


def paint_lesions(images: dict, places: Places, generator) -> dict:
    """Images by contrast with the lesions painted in, as multiples of the tissue around them.

    Contrast differs from lesion to lesion, in part alike on all images; rims and oedema are drawn
    by RIM, and an enhancing lesion's contrast is moved by SHIFT.
    """
    lesions = places.numbered > 0
    share = soft_lesions(lesions, generator)
    solid = lesions.float()[None, None]
    rim = (solid + max_pool3d(-solid, 3, 1, 1))[0, 0]  # the outermost voxels
    around = avg_pool3d(solid, 7, 1, 3)[0, 0] * (1 - share).clamp(0, 1)
    nearest = max_pool3d(places.numbered.float()[None, None], 7, 1, 3)[0, 0].long()
    numbers = torch.where(lesions, places.numbered, nearest)
    rimmed = torch.tensor(
        [0.0] + [float(chance(generator, RIM[n in places.active])) for n in _numbers(places)]
    )
    alike = randn(places.count + 1, generator)
    oedema = rimmed * uniform(generator, 0.5, 1.5) * OEDEMA
    painted = {}
    for name, image in images.items():
        contrast = _ratios(name, places, alike, generator) - 1
        strength = share * contrast[numbers]
        if name != "T1w":
            strength = strength * (1 - RIM_DEPTH * rimmed[numbers] * rim)
        strength = strength + around * (oedema * contrast)[numbers]
        painted[name] = image * (1 + strength).clamp(min=0.1)
    return painted


def _numbers(places: Places) -> range:
    return range(1, places.count + 1)


def _ratios(name: str, places: Places, alike, generator):
    """Every lesion's intensity over its surroundings' (count + 1,); never too faint to be seen."""
    mean, deviation = INTENSITIES[name]["lesion"]
    own = randn(places.count + 1, generator)
    sign = 1 if mean > 1 else -1
    active = torch.tensor([float(n in places.active) for n in (0, *_numbers(places))])
    values = mean + deviation * (0.6 * sign * alike + 0.8 * own + SHIFT[name] * active)
    return values.clamp(max=0.95) if mean < 1 else values.clamp(min=1.15)
