"""What every trainable network brings: its samples, loss, validation measure and architecture.

A new network is a function here that returns a Plan; the loop, the checkpoints, the log, the
pictures and the model card are shared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from training import deepgrai, opfer, sources
from training.lesions import LesionShapes
from training.sampling import Recipe
from training.validation import validation_dice

STAGE2_CROP_MM = 62.0  # half the source cube of stage 2: field of view, crop jitter and rotation


@dataclass
class Plan:
    """One network: how its samples are drawn, judged and learnt.

    ``suffix`` is the contrast of its real images; ``crop_mm`` the half-width its sources are cut
    to; ``label_groups`` see sources.resample_labels; ``validate(samples)`` makes a measure.
    """

    recipe: Recipe
    architecture: dict
    input: dict
    loss: Callable
    validate: Callable
    suffix: str
    crop_mm: float | None = None
    label_groups: list | None = None


def _deepgrai(stage: int, patch, lesions: LesionShapes | None) -> Plan:
    settings = deepgrai.STAGES[stage]
    if patch:
        raise ValueError("DeepGRAI sees its whole grid; --patch is for opfer-thalamus")
    return Plan(
        deepgrai.recipe(stage, lesions), settings["architecture"], settings["input"],
        deepgrai.soft_dice_loss, partial(validation_dice, classes=(1,)), "FLAIR",
        crop_mm=STAGE2_CROP_MM if stage == 2 else None,
    )  # fmt: skip


def _opfer(patch, lesions: LesionShapes | None) -> Plan:
    known = [list(group) for group in opfer.CLASS_LABELS.values()]
    named = {number for group in known for number in group}
    rest = [n for n in range(1, sources.FIRST_EXTRACEREBRAL_LABEL) if n not in named]
    return Plan(
        opfer.recipe(patch, lesions), opfer.SETTINGS["architecture"], opfer.SETTINGS["input"],
        opfer.dice_and_cross_entropy, partial(validation_dice, classes=(1, 2)), "T1w",
        label_groups=[*known, rest],
    )  # fmt: skip


NETWORKS: dict[str, Callable[..., Plan]] = {
    "deepgrai-stage1": lambda patch, lesions: _deepgrai(1, patch, lesions),
    "deepgrai-stage2": lambda patch, lesions: _deepgrai(2, patch, lesions),
    "opfer-thalamus": _opfer,
}
