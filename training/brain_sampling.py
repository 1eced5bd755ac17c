"""Samples of the lesion networks: several contrasts of one head, and a class for every voxel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from networks.brain_classes import CLASSES, CONTRASTS, LESION, NUMBERS
from networks.deepscan import AXIAL, CORONAL, SAGITTAL, SLICES, planes
from networks.geometry import normalise, sample_volume
from networks.lesions import CANVAS
from training import randomness
from training.deformation import View, random_view
from training.joint_contrasts import (
    grow,
    implant,
    paint_all,
    scan,
    strip,
    uneven_white_matter,
    vary_tissues,
)
from training.lesion_contrast import CORTEX_RATIO, soft_lesions, tissue_damage
from training.lesions import WHITE_MATTER, LesionShapes, implant_lesions
from training.placement import (
    PersonalLesions,
    can_hold_lesions,
    place_infratentorial,
    place_lesions,
)
from training.randomness import chance, one_of, whole_number
from training.sampling import Sampler, label_table, nearest_labels, positions
from training.sources import Source

VIEW = View(jitter_mm=(6.0, 6.0, 6.0), warp_mm=2.5, rotation_deg=14.0, scaling=0.10)
IGNORED = 255
# Every brain is cut so many times, and the samples are taken from so many brains in turn: drawing
# one costs a CPU several times what learning from a cut of it does.
CUTS, POOL = 8, 4
# Share of the samples of a head with drawn lesions in which they are filled: a network that knows
# full heads only finds far too much in those with little.
HEALED = 0.5
# Voxels of drawn lesions from which on a head mostly gets no others. One with few gets them as any
# head does: from it, shown thrice as often, a network would learn that such scans have none.
MANY = 10_000
# Share of the real samples whose tissues are made brighter or darker than scanned.
VARIED = 0.7
# Share of the samples without any implanted lesion.
FREE = 0.15
# A head whose lesions are drawn is taken so many times as often as another real one.
DRAWN_WEIGHT = 3
# Share of a lesion's brightness from which a voxel of it can be seen.
VISIBLE = 0.4
# So many voxels from its border a lesion is judged by its brightness.
OUTER = 2
#: Which contrasts a sample keeps, and how often. Always FLAIR: without it a lesion is hardly
#: brighter than CSF and cortex beside it, and a CPU's few steps were lost on such samples.
PRESENT = (
    (("T1w", "T2w", "FLAIR"), 0.45),
    (("T1w", "FLAIR"), 0.20),
    (("T2w", "FLAIR"), 0.08),
    (("FLAIR",), 0.27),
)


def class_table() -> torch.Tensor:
    """Class of every FreeSurfer label, long (1024,); 0 for what is not named."""
    return label_table({number: labels for number, (_, labels) in enumerate(CLASSES)})


@dataclass
class BrainRecipe:
    """Where lesions come from: masks of whole persons, and single shapes."""

    people: list[PersonalLesions]
    shapes: LesionShapes | None = None


def draw_brain(source: Source, recipe: BrainRecipe, generator):
    """Contrasts (3, 160, 192, 160), zero where absent, and classes (160, 192, 160), long."""
    shape = CANVAS.shape
    points = random_view(source, source.brain_box_mm[0], CANVAS, VIEW, generator)
    labels = nearest_labels(source.labels, points, shape)
    drawn, unknown = (_mask(part, points) for part in (source.lesions, source.unknown))
    labels = torch.where(torch.isin(labels, torch.tensor([25, 57, 77])), WHITE_MATTER[0], labels)
    if drawn is not None:  # the teacher calls many of a lesion's voxels cortex
        labels = torch.where(drawn, WHITE_MATTER[0], labels)
    healed = None
    if source.filled and chance(generator, HEALED):
        healed, drawn = grow(drawn, 1), None
    lesions = _new_lesions(labels, points, source, recipe, generator)
    if drawn is not None and drawn.sum() > MANY and chance(generator, 0.75):
        lesions = torch.zeros_like(lesions)  # mostly as it is
    share, damage = soft_lesions(lesions, generator), tissue_damage(lesions, generator)
    bright = uneven_white_matter(labels, generator)
    kept = _kept_contrasts(source, generator)
    if source.is_real:
        images = {
            name: sample_volume(*positions(source.images[name], points, shape)).clamp(min=0)
            for name in kept
        }
        if healed is not None:
            images = _heal(images, source, healed, points)
        bright = bright * chance(generator, 0.3)  # real white matter is uneven by itself
        cortex = CORTEX_RATIO
        if chance(generator, VARIED):
            spared = [mask for mask in (drawn, unknown) if mask is not None]
            spared = torch.stack(spared).any(0) if spared else torch.zeros_like(lesions)
            images, cortex = vary_tissues(images, labels, spared, generator)
        images = implant(images, share, damage, bright, generator, cortex)
    else:
        images = paint_all(kept, labels, share, damage, bright, generator)
    classes = class_table()[labels]
    if unknown is not None:
        classes[unknown] = IGNORED
    if healed is not None:  # the filling is sure inside the lesions only
        classes[healed & ~torch.isin(labels, torch.tensor(WHITE_MATTER))] = IGNORED
    classes[lesions] = IGNORED  # too faint at its edge, or too small, for anybody to see
    classes[lesions & (share > VISIBLE)] = LESION
    if drawn is not None:
        classes[drawn] = LESION
    mask = strip(labels, generator)
    scanned = _scan_all(images, mask, generator, real=source.is_real)
    classes[_no_brighter_than_cortex(scanned, classes)] = IGNORED
    return scanned, classes


def _no_brighter_than_cortex(contrasts, classes):
    """Mask (X, Y, Z) of a lesion's outer voxels that FLAIR, as scanned, does not tell from cortex.

    Of drawn lesions one voxel in twenty is so faint as scanned, after blurring by thick slices one
    in six. Learnt as lesion, each of them would teach that cortex is. Inside, where water is free,
    lesions may be dark.
    """
    flair, lesion = contrasts[CONTRASTS.index("FLAIR")], classes == LESION
    cortex = flair[classes == NUMBERS["cortex"]]
    if not len(cortex) or not lesion.any():
        return torch.zeros_like(lesion)
    return lesion & (flair < cortex.median()) & grow(~lesion, OUTER)


def _heal(images: dict, source: Source, healed, points) -> dict:
    """Images by contrast, filled where the mask ``healed`` (X, Y, Z, bool) says."""
    return {
        name: torch.where(
            healed, sample_volume(*positions(source.filled[name], points, CANVAS.shape)), image
        )
        for name, image in images.items()
    }


def _mask(volume, points):
    """A source's mask on the canvas, or None."""
    if volume is None:
        return None
    return sample_volume(*positions(volume, points, CANVAS.shape)) > 0.5


def _new_lesions(labels, points, source, recipe: BrainRecipe, generator):
    """Mask of implanted lesions: a person's, single ones, both, or none."""
    lesions = torch.zeros(labels.shape, dtype=torch.bool)
    if chance(generator, FREE):
        return lesions
    if recipe.people and chance(generator, 0.8):
        lesions |= place_lesions(labels, points, source, recipe.people, generator)
    if chance(generator, 0.3):
        single = implant_lesions(labels, generator, 1.0, recipe.shapes, most=20)
        lesions |= (single != labels) & can_hold_lesions(labels)
    if chance(generator, 0.2):
        lesions |= place_infratentorial(labels, recipe.shapes, generator)
    return lesions


def _kept_contrasts(source, generator) -> list[str]:
    """Contrasts of a sample: a user's data are not complete either."""
    wanted = one_of(PRESENT, generator)
    return [name for name in wanted if not source.is_real or name in source.images] or ["FLAIR"]


def _scan_all(images: dict, mask, generator, *, real: bool):
    """Scan, strip and normalise the contrasts; those that are missing are zero."""
    stack = torch.zeros((len(CONTRASTS), *CANVAS.shape))
    for name, image in images.items():
        scanned = scan(image, generator, real=real) * mask
        stack[CONTRASTS.index(name)] = normalise(scanned) * mask
    return stack


@dataclass
class BrainSampler(Sampler):
    """Endless, indexable supply of a lesion network's samples; ``recipe`` is a BrainRecipe.

    ``cut(contrasts, classes, generator)`` makes a network's input of a drawn brain. A new brain
    comes every ``CUTS`` samples; each is cut from one of the last ``POOL``, so that neighbouring
    samples differ. ``lanes`` processes that take batches of ``batch`` samples in turn, as a
    DataLoader's workers do, have brains of their own, so that none is drawn twice.
    """

    cut: Callable = None
    lanes: int = 1
    batch: int = 1
    spread = CUTS

    def __post_init__(self):
        super().__post_init__()
        drawn = [source for source in self.real if source.lesions is not None]
        self.real = self.real + drawn * (DRAWN_WEIGHT - 1)
        self._brains = {}

    def __getitem__(self, index):
        place = self.start + index
        turn, within = divmod(place, self.batch)
        turn, lane = divmod(turn, self.lanes)
        own = turn * self.batch + within  # its number among the samples of its lane
        newest = own // CUTS
        number = max(0, newest - own % POOL) * self.lanes + lane
        if number not in self._brains:
            generator = randomness.seeded(self.seed, number, self.device)
            self._brains[number] = draw_brain(self.choose(generator), self.recipe, generator)
        brain = self._brains[number]
        oldest = (newest - POOL + 1) * self.lanes
        self._brains = {n: b for n, b in self._brains.items() if n >= oldest}
        return self.cut(*brain, randomness.seeded(self.seed + 1, place, self.device))


def cut_stacks(contrasts, classes, generator, count: int = 8):
    """``count`` stacks (count, 3, 5, 160, 192) in all three directions, and their middle classes.

    A quarter of them show ten voxels of lesion or more, where the head has such slices: half of
    them in McKinley 2021, whose patients are many; probabilities learnt so are too high.
    """
    stacks, targets = [], []
    for number in range(count):
        direction = (AXIAL, CORONAL, SAGITTAL)[number % 3]
        others = tuple(axis for axis in range(3) if axis != direction)
        wanted = (classes == LESION).sum(others) >= 10
        if not chance(generator, 0.25) or not wanted.any():
            wanted = (classes > 0).sum(others) >= 100
        choices = wanted.nonzero()[:, 0]
        middle = choices[whole_number(generator, 0, len(choices))].item()
        reach = SLICES // 2
        stacks.append(planes(contrasts, direction, middle - reach, middle + reach + 1))
        targets.append(planes(classes[None], direction, middle, middle + 1)[0, 0])
    return torch.stack(stacks), torch.stack(targets)


def cut_patch(contrasts, classes, generator, size: int = 128):
    """A cube (3, size, size, size) and its classes: half about a voxel of lesion, half of brain."""
    chosen = (classes == LESION).nonzero()
    if not len(chosen) or not chance(generator, 0.5):
        chosen = ((classes > 0) & (classes != IGNORED)).nonzero()
    middle = chosen[whole_number(generator, 0, len(chosen))].tolist()
    start = []
    for place, n in zip(middle, classes.shape, strict=True):
        jittered = place - size // 2 + whole_number(generator, -24, 25)
        start.append(min(max(jittered, 0), n - size))
    box = tuple(slice(s, s + size) for s in start)
    return contrasts[(slice(None), *box)], classes[box]


def join_stacks(samples: list):
    """Stacks of several brains as one batch: (N, 3, 5, H, W) and (N, H, W)."""
    stacks, targets = zip(*samples, strict=True)
    return torch.cat(stacks), torch.cat(targets)
