"""Training of the two lesion networks: losses, validation, pictures (McKinley 2021)."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from networks.brain_classes import CLASSES, CONTRASTS, LESION
from networks.deepscan import PLANE, SLICES
from training.brain_sampling import CANVAS, IGNORED

# The paper gives growth 12, dilations 1 to 8 and 320 features at the highest resolution; the other
# widths are ours, so that a brain takes less than a minute on two cores.
DEEPSCAN = {
    "architecture": {
        "kind": "deepscan", "in_channels": len(CONTRASTS), "classes": len(CLASSES), "stem": 16,
        "channels": [32, 64, 96], "growth": 12, "blocks": 3, "features": 320,
    },
    "input": {"shape": list(CANVAS.shape), "voxel_mm": [1.0, 1.0, 1.0],
              "stack": [SLICES, *PLANE]},
}  # fmt: skip
UNET = {
    "architecture": {
        "kind": "dynunet", "in_channels": len(CONTRASTS), "classes": len(CLASSES),
        "filters": [8, 24, 48, 96, 128], "supervised": 1,
    },
    "input": {"shape": [96, 96, 96], "voxel_mm": [1.0, 1.0, 1.0]},
}  # fmt: skip

LABEL_FLIP_WEIGHT = 0.1  # per class
# A voxel of lesion counts so many times in the cross-entropy: one in a hundred is lesion, and few
# steps would be spent on them (with 5, a new network learnt none in 900 steps). The odds learnt are
# too high by this factor, which the model card's ``calibration`` takes off again.
LESION_WEIGHT = 20.0
# So much the structures' Dice counts beside the cross-entropy of all.
STRUCTURES_WEIGHT = 0.5
CALIBRATION = {"slope": 1.0, "offset": -math.log(LESION_WEIGHT)}
CARD = {"calibration": CALIBRATION, "lesion_contrasts": ["FLAIR"]}


def label_flip_loss(logits, target):
    """Dice and cross-entropy of the classes plus the label-flip loss of each (McKinley 2021).

    ``logits`` (N, 2, K, H, W): label and flip; ``target`` (N, H, W) class numbers, IGNORED where
    unknown. With the class's probability p, its truth t and the flip probability q, the label is
    held to t attenuated by q, t(1-q) + (1-t)q, and q to whether p and t disagree. Where labels are
    weak q grows and takes their weight away, which is how weak structures and expert lesions are
    learnt side by side. Different from the paper: soft Dice of the structures, which
    learn faster by it (our steps are few, the paper has 200 000), but not of the lesion, whose
    probability it would push far too high where lesions are few; q has no gradient from the
    label's part.
    """
    known = target != IGNORED
    label, flip = (part.movedim(1, -1)[known] for part in logits.unbind(1))
    truth = target[known]
    likelihood = functional.log_softmax(label, -1)
    probability = likelihood.exp().clamp(1e-6, 1 - 1e-6)
    one_hot = torch.zeros_like(label).scatter_(1, truth[:, None], 1.0)
    doubt = flip.detach().sigmoid()
    attenuated = one_hot * (1 - doubt) + (1 - one_hot) * doubt
    label_part = functional.binary_cross_entropy(probability, attenuated)
    wrong = ((probability.detach() > 0.5) != (one_hot > 0.5)).float()
    flip_part = functional.binary_cross_entropy_with_logits(flip, wrong)
    overlap = _dice_and_cross_entropy(likelihood, truth, of=slice(LESION + 1, None))
    return overlap + LABEL_FLIP_WEIGHT * len(CLASSES) * (label_part + flip_part)


def supervised_loss(outputs: list, target):
    """nnU-Net's loss: Dice and cross-entropy of every output of deep supervision, 1, 1/2, 1/4...

    ``outputs`` are logits (N, K, X, Y, Z), each half as fine as the one before; ``target``
    (N, X, Y, Z).
    """
    total = 0
    for n, output in enumerate(outputs):
        one = (..., *[slice(None, None, 2**n)] * 3)
        total = total + 0.5**n * dice_and_cross_entropy(output, target[one])
    return total / sum(0.5**n for n in range(len(outputs)))


def dice_and_cross_entropy(logits, target):
    """Soft Dice loss of the structures (mean) and cross-entropy, in which lesion is weighted.

    No Dice of the lesion: soft Dice calls a voxel lesion from half the Dice within reach on, which
    finds far too much where lesions are few, and nothing takes it off afterwards. IGNORED voxels do
    not count, for which MONAI's Dice of several classes has no option.
    """
    likelihood = functional.log_softmax(logits.movedim(1, -1).flatten(0, -2), -1)
    return _dice_and_cross_entropy(likelihood, target.flatten(), of=slice(LESION + 1, None))


def _dice_and_cross_entropy(likelihood, truth, of: slice):
    """The same of log-likelihoods (V, K) and class numbers (V,), with the Dice ``of`` some.

    IGNORED rows are multiplied away: to pick the others costs a tenth of a training step.
    """
    known = truth != IGNORED
    weights = torch.ones_like(likelihood[0])
    weights[LESION] = LESION_WEIGHT
    crossed = functional.nll_loss(
        likelihood, truth, weights, reduction="sum", ignore_index=IGNORED
    ) / known.sum()  # fmt: skip
    probability, truth = likelihood.exp(), truth.where(known, 0)
    sums = known.to(probability.dtype) @ probability
    sums = sums + torch.bincount(truth[known], minlength=likelihood.shape[1])
    correct = probability.gather(1, truth[:, None])[:, 0] * known
    shared = torch.zeros_like(sums).index_add(0, truth, correct)
    dice = (2 * shared + 1) / (sums + 1)
    return STRUCTURES_WEIGHT * (1 - dice[of].mean()) + crossed


def found_classes(network, image):
    """Class numbers the network finds: (N, H, W) of stacks, (X, Y, Z) of a patch."""
    if image.ndim == 5:
        return network(image)[:, 0].argmax(1)
    return network(image[None])[0].argmax(0)


def validation_score(samples: list):
    """A validation measure: Dice of the lesions of all samples together."""

    def validate(network) -> float:
        shared = total = 0
        for image, target in samples:
            known = target != IGNORED
            found = (found_classes(network, image) == LESION) & known
            truth = target == LESION
            shared += 2 * (found & truth).sum().item()
            total += (found.sum() + truth.sum()).item()
        return shared / max(total, 1)

    return validate


def middle_layers(network, sample):
    """For a picture: FLAIR or else T2w, truth and finding in one plane with much lesion."""
    image, target = sample
    found = found_classes(network, image)
    if image.ndim == 5:
        n = int((target == LESION).sum((1, 2)).argmax())
        planes = image[n, :, SLICES // 2], target[n], found[n]
    else:
        z = int((target == LESION).sum((0, 1)).argmax())
        planes = image[..., z], target[..., z], found[..., z]
    shown = planes[0][2] if planes[0][2].any() else planes[0][1]
    return shown, *planes[1:]
