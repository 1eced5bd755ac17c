"""What every trainable network brings: its samples, loss, validation measure and architecture.

A new network is a function here that returns a Plan; the loop, the checkpoints, the log, the
pictures and the model card are shared.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from training import (
    brain_sampling,
    cord,
    cord_sampling,
    cord_sources,
    deepgrai,
    lesion_networks,
    opfer,
    sources,
)
from training.cord_template import read_template
from training.heads import find_heads
from training.lesions import read_lesion_shapes
from training.pictures import volume_layers
from training.placement import read_personal_lesions
from training.sampling import Sampler
from training.validation import validation_dice

STAGE2_CROP_MM = 62.0  # half the source cube of stage 2: field of view, crop jitter and rotation


@dataclass
class Request:
    """What the command line asks of a plan.

    Patch size, masks of lesions to implant, PAM50's folder and the one contrast of its phantoms.
    """

    patch: int | None = None
    lesion_masks: list[Path] = field(default_factory=list)
    pam50: Path | None = None
    contrast: str | None = None

    def shapes(self):
        """Single lesions of the masks, or None. ValueError for a brain mask among them."""
        for path in map(Path, self.lesion_masks):
            if "label-brain" in path.name:
                raise ValueError(
                    f"{path} is a brain mask: list lesion masks, it is found by theirs"
                )
        return read_lesion_shapes(self.lesion_masks) if self.lesion_masks else None

    def people(self):
        """Lesions of whole persons: the masks that have a brain mask beside them."""
        whole = [p for p in map(Path, self.lesion_masks) if "label-lesion" in p.name]
        return read_personal_lesions(whole)


@dataclass
class Plan:
    """One network: how its samples are drawn, judged and learnt.

    ``sampler(sources, seed, length, **settings)`` makes a dataset; ``real_sources(options,
    label_files, subjects)`` reads real images; ``crop_mm`` is the half-width label maps are cut to;
    ``validate(samples)`` makes a measure; ``layers`` see pictures.save_picture; ``join`` is the
    collate function of its batches, None for the usual one; ``own_sources`` are those that no label
    map or image of the command line stands for; ``card`` what else its model card says;
    ``on_cpu`` whether workers make its samples on the CPU, whatever the network runs on.
    """

    sampler: Callable
    architecture: dict
    input: dict
    loss: Callable
    validate: Callable
    real_sources: Callable
    layers: Callable = volume_layers
    crop_mm: float | None = None
    join: Callable | None = None
    own_sources: list = field(default_factory=list)
    card: dict = field(default_factory=dict)
    on_cpu: bool = False


def _one_contrast(suffix, crop_mm, voxel_mm, label_groups=None):
    """Reader of real images of one contrast; see sources.real_source for the arguments."""

    def read(options, labels, subjects):
        files = sources.find_real_files(options.data, labels, subjects, suffix)
        geometry = (crop_mm, voxel_mm, label_groups, labels.thalamus_numbers)
        return [sources.real_source(one, *geometry) for one in files]

    return read


def _sampler(recipe, found, seed, length, **settings):
    return Sampler(found, recipe, seed, length, **settings)


def _deepgrai(stage: int, request: Request) -> Plan:
    settings = deepgrai.STAGES[stage]
    if request.patch:
        raise ValueError("DeepGRAI sees its whole grid; --patch is for opfer-thalamus")
    crop_mm = STAGE2_CROP_MM if stage == 2 else None
    return Plan(
        partial(_sampler, deepgrai.recipe(stage, request.shapes())),
        settings["architecture"], settings["input"],
        deepgrai.soft_dice_loss, partial(validation_dice, classes=(1,)),
        _one_contrast("FLAIR", crop_mm, settings["input"]["voxel_mm"]), crop_mm=crop_mm,
    )  # fmt: skip


def _opfer(request: Request) -> Plan:
    known = [list(group) for group in opfer.CLASS_LABELS.values()]
    named = {number for group in known for number in group}
    rest = [n for n in range(1, sources.FIRST_EXTRACEREBRAL_LABEL) if n not in named]
    voxel_mm = opfer.SETTINGS["input"]["voxel_mm"]
    return Plan(
        partial(_sampler, opfer.recipe(request.patch, request.shapes())),
        opfer.SETTINGS["architecture"], opfer.SETTINGS["input"],
        opfer.dice_and_cross_entropy, partial(validation_dice, classes=(1, 2)),
        _one_contrast("T1w", None, voxel_mm, [*known, rest]),
    )  # fmt: skip


def _lesions(settings, loss, cut, request: Request, join=None) -> Plan:
    recipe = brain_sampling.BrainRecipe(request.people(), request.shapes())

    def sampler(found, seed, length, **settings):
        return brain_sampling.BrainSampler(found, recipe, seed, length, cut=cut, **settings)

    def read(options, labels, subjects):
        generator = np.random.default_rng(options.seed)
        return find_heads(options.data, labels, subjects, options.lesions, generator)

    return Plan(
        sampler, settings["architecture"], settings["input"], loss,
        lesion_networks.validation_score, read, layers=lesion_networks.middle_layers, join=join,
        card=lesion_networks.CARD, on_cpu=True,
    )  # fmt: skip


def _deepscan(request: Request) -> Plan:
    if request.patch:
        raise ValueError("DeepSCAN sees whole planes; --patch is for the 3D networks")
    return _lesions(
        lesion_networks.DEEPSCAN, lesion_networks.label_flip_loss, brain_sampling.cut_stacks,
        request, join=brain_sampling.join_stacks,
    )  # fmt: skip


def _lesion_unet(request: Request) -> Plan:
    size = request.patch or lesion_networks.UNET["input"]["shape"][0]
    cut = partial(brain_sampling.cut_patch, size=size)
    return _lesions(lesion_networks.UNET, lesion_networks.supervised_loss, cut, request)


def _cord(settings, loss, recipe, request: Request, contrasts=cord_sources.CONTRASTS) -> Plan:
    """A cord network; ``recipe(template, settings, contrasts)`` makes its CordRecipe."""
    if request.patch:
        raise ValueError("the cord networks have the paper's patches; --patch is for brains")
    if request.pam50 is None:
        raise ValueError("the cord networks learn from phantoms: give PAM50's folder with --pam50")
    template = cord_sources.CordSource("PAM50", read_template(request.pam50))
    settings = deepcopy(settings)
    if request.contrast:
        contrasts = ((request.contrast, 1.0),)
    made = recipe(template, settings, contrasts)

    def sampler(found, seed, length, **options):
        return cord_sampling.CordSampler(found, made, seed, length, **options)

    def read(options, labels, subjects):
        return cord_sources.find_drawn_cords(options.data, labels.folder, subjects)

    return Plan(
        sampler, settings["architecture"], settings["input"], loss, cord.pooled_dice, read,
        layers=cord.middle_layers, join=cord.join, own_sources=[template],
    )  # fmt: skip


def _slices_recipe(_template, _settings, contrasts):
    return cord_sampling.CordRecipe(cord_sampling.SLICES_SCENE, cord_sampling.cut_slices, contrasts)


def _window_recipe(template, settings, contrasts, lesions=False):
    """Windows; their standard scale is learnt here and kept in the model card."""
    shape = settings["input"]["shape"]
    settings["input"]["scale"] = cord_sampling.learn_scale(template, shape, contrasts)
    if lesions:  # on others the cord is measured and lesions are not looked for
        settings["input"]["contrasts"] = [name for name, _ in contrasts]
    cut = partial(
        cord_sampling.cut_window, shape=shape, scale=settings["input"]["scale"], lesions=lesions
    )
    return cord_sampling.CordRecipe(cord_sampling.window_scene(shape), cut, contrasts)


NETWORKS: dict[str, Callable[[Request], Plan]] = {
    "deepgrai-stage1": partial(_deepgrai, 1),
    "deepgrai-stage2": partial(_deepgrai, 2),
    "opfer-thalamus": _opfer,
    "deepscan": _deepscan,
    "lesion-unet": _lesion_unet,
    "cord-detector": partial(_cord, cord.DETECTOR, cord.dice_loss, _slices_recipe),
    "cord": partial(_cord, cord.CORD, cord.area_loss, _window_recipe),
    "cord-lesions": partial(
        _cord,
        cord.LESION,
        cord.lesion_loss,
        partial(_window_recipe, lesions=True),
        contrasts=cord_sources.LESION_CONTRASTS,
    ),
}
