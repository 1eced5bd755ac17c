"""Losses, validation and pictures of the lesion networks."""

import numpy as np
import pytest
import torch

from networks.brain_classes import CLASSES, LESION, NUMBERS
from training.brain_sampling import IGNORED
from training.lesion_networks import (
    CALIBRATION,
    LABEL_FLIP_WEIGHT,
    LESION_WEIGHT,
    STRUCTURES_WEIGHT,
    dice_and_cross_entropy,
    found_classes,
    label_flip_loss,
    middle_layers,
    supervised_loss,
    validation_score,
)

K = len(CLASSES)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def truth(*shape):
    """Classes with a tenth of the voxels IGNORED."""
    generator = torch.Generator().manual_seed(4)
    target = torch.randint(0, K, shape, generator=generator)
    target[torch.rand(shape, generator=generator) < 0.1] = IGNORED
    return target


def confident(target):
    """Logits (N, K, ...) of one who knows; the IGNORED voxels count as background."""
    classes = target.where(target != IGNORED, 0)
    return 12 * torch.nn.functional.one_hot(classes, K).movedim(-1, 1).float()


def flipped(label, doubt):
    """DeepSCAN's logits: a label, and one doubt for all."""
    return torch.stack([label, torch.full_like(label, doubt)], 1)


def crossed(logits, target):
    """Cross-entropy with lesion weighted, over the voxels that are not IGNORED."""
    weights = torch.ones(K)
    weights[LESION] = LESION_WEIGHT
    summed = torch.nn.functional.cross_entropy(
        logits, target, weights, ignore_index=IGNORED, reduction="sum"
    )
    return summed / (target != IGNORED).sum()


def make_loss(name):
    """A loss of logits (N, K, ...), and the target's shape it takes."""
    if name == "flip":
        return lambda logits, target: label_flip_loss(flipped(logits, -5.0), target), (2, 9, 7)
    if name == "dice":
        return dice_and_cross_entropy, (2, 6, 5, 4)
    return lambda logits, target: supervised_loss([logits], target), (2, 6, 5, 4)


LOSSES = pytest.mark.parametrize("name", ["flip", "dice", "supervised"])


@LOSSES
def test_knowing_is_better_than_not_knowing_and_that_than_error(name):
    loss, shape = make_loss(name)
    target = truth(*shape)
    right = confident(target)
    wrong = confident((target + 1).where(target != IGNORED, IGNORED) % K)
    losses = [loss(logits, target).item() for logits in (right, 0 * right, wrong)]
    assert losses == sorted(losses)
    assert losses[0] < 0.5 * losses[1] < 0.5 * losses[2]


@LOSSES
def test_ignored_voxels_neither_count_nor_learn(name):
    loss, shape = make_loss(name)
    target = truth(*shape)
    logits = random(shape[0], K, *shape[1:]).requires_grad_()
    unknown = (target == IGNORED)[:, None].expand_as(logits)
    value = loss(logits, target)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[unknown].any()
    assert (logits.grad[~unknown] != 0).float().mean() > 0.9
    other = torch.where(unknown, 9 * random(*logits.shape, seed=1), logits.detach())
    assert loss(other, target).item() == pytest.approx(value.item(), rel=1e-5)


@LOSSES
@pytest.mark.parametrize("size", [50.0, -50.0])
def test_losses_of_extreme_logits_are_finite(name, size):
    loss, shape = make_loss(name)
    logits = (size * random(shape[0], K, *shape[1:])).requires_grad_()
    value = loss(logits, truth(*shape))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


def test_doubt_pays_where_the_label_is_wrong_and_takes_its_weight_away():
    """Else it costs: a network cannot get rid of its errors by doubting all."""
    target = truth(2, 9, 7)
    label = confident((target + 1) % K)
    wrong = (label.softmax(1) > 0.5) != (confident(target).softmax(1) > 0.5)
    losses, steps = {}, {}
    doubts = {"none": wrong & False, "some": wrong, "all": wrong | True}
    for name, doubted in doubts.items():
        logits = label.clone().requires_grad_()
        doubt = torch.where(doubted, 6.0, -6.0)
        value = label_flip_loss(torch.stack([logits, doubt], 1), target)
        losses[name] = value.item()
        (value - crossed(logits, target)).backward()
        steps[name] = logits.grad.abs().sum().item()
    assert losses["some"] < losses["none"] < losses["all"]
    assert steps["some"] < 0.5 * steps["none"]


def test_the_flip_learns_from_errors_only():
    """Its gradient is that of its own cross-entropy: none comes through the attenuation."""
    target = truth(1, 6, 6)
    logits = torch.stack([random(1, K, 6, 6), random(1, K, 6, 6, seed=2)], 1).requires_grad_()
    label_flip_loss(logits, target).backward()
    label, flip = logits.detach().unbind(1)
    known = target != IGNORED
    classes = target.where(known, 0)
    is_class = torch.nn.functional.one_hot(classes, K).movedim(-1, 1) > 0
    wrong = ((label.softmax(1) > 0.5) != is_class).float()
    wanted = (flip.sigmoid() - wrong) * known[:, None] / known.sum() * LABEL_FLIP_WEIGHT
    assert torch.allclose(logits.grad[:, 1], wanted, atol=1e-6)


def test_dice_is_monai_s_and_cross_entropy_torch_s():
    from monai.losses import DiceLoss

    monai = DiceLoss(
        softmax=True, to_onehot_y=True, include_background=False, batch=True, smooth_nr=1.0,
        smooth_dr=1.0, reduction="none",
    )  # fmt: skip
    logits, target = random(2, K, 6, 5, 4), truth(2, 6, 5, 4) % K
    structures = monai(logits, target[:, None]).flatten()[LESION:].mean()  # without background
    ours = dice_and_cross_entropy(logits, target).item()
    wanted = STRUCTURES_WEIGHT * structures + crossed(logits, target)
    assert ours == pytest.approx(wanted.item(), rel=1e-5)


@pytest.mark.parametrize("loss", ["flip", "dice"])
def test_a_rare_lesion_is_no_more_probable_than_it_is_once_calibrated(loss):
    """Both losses are lowest at the share of lesions among voxels that look alike, here a fifth."""
    target = torch.full((1, 10, 10), NUMBERS["cerebral_white_matter"])
    target[:, :2] = LESION
    odds = torch.linspace(-4, 4, 81)

    def value(odd):
        label = torch.full((1, K, 10, 10), -20.0)
        label[:, LESION], label[:, NUMBERS["cerebral_white_matter"]] = odd, 0.0
        if loss == "flip":
            return label_flip_loss(flipped(label, -9.0), target).item()
        return dice_and_cross_entropy(label, target).item()

    best = odds[int(np.argmin([value(odd) for odd in odds]))]
    assert (best + CALIBRATION["offset"]).sigmoid() == pytest.approx(0.2, abs=0.05)


def test_deep_supervision_counts_half():
    target = truth(2, 12, 8, 8)
    outputs = [random(2, K, 12, 8, 8, seed=n) for n in range(3)]
    one, two, three = (
        dice_and_cross_entropy(o[..., ::n, ::n, ::n], target[:, ::n, ::n, ::n]).item()
        for o, n in zip(outputs, (1, 2, 4), strict=True)
    )
    coarser = [o[..., ::n, ::n, ::n] for o, n in zip(outputs, (1, 2, 4), strict=True)]
    found = supervised_loss(coarser, target).item()
    assert found == pytest.approx((one + two / 2 + three / 4) / 1.75, rel=1e-5)


class Knows(torch.nn.Module):
    """Reads the classes off the first channel: of stacks, or of a patch."""

    def forward(self, image):
        """Logits as DeepSCAN's or the U-Net's."""
        if image.shape[2] == 5:
            return flipped(confident(image[:, 0, 2].long()), 0.0)
        return confident(image[:, 0].long())


@pytest.fixture(params=["stacks", "patch"])
def sample(request):
    """An image that holds its target, as the samplers make them."""
    if request.param == "stacks":
        target = truth(4, 8, 12) % K
        image = torch.zeros(4, 3, 5, 8, 12)
        image[:, 0, 2] = target.float()
        return image, target
    target = truth(8, 8, 6) % K
    return torch.stack([target.float(), 0 * target, 0 * target]), target


def test_found_classes_have_the_target_s_shape(sample):
    image, target = sample
    assert torch.equal(found_classes(Knows(), image), target)


def test_validation_is_the_dice_of_lesions(sample):
    image, target = sample
    assert validation_score([sample, sample])(Knows()) == 1
    half = torch.where(target == LESION, 0, target)
    lesions = (target == LESION).nonzero()
    half[tuple(lesions[: len(lesions) // 2].T)] = LESION
    known = len(lesions) // 2
    wanted = 2 * known / (known + len(lesions))
    assert validation_score([(image, half)])(Knows()) == pytest.approx(wanted)
    unknown = half.where(target == half, IGNORED)
    assert validation_score([(image, unknown)])(Knows()) == 1
    none = target.where(target != LESION, 0)
    assert validation_score([(image, none)])(Knows()) == 0


def test_no_lesion_anywhere_is_no_division_by_zero():
    image, target = torch.zeros(1, 3, 5, 8, 8), torch.zeros(1, 8, 8, dtype=torch.long)
    assert validation_score([(image, target)])(Knows()) == 0


@pytest.mark.parametrize("channel", [1, 2])
def test_a_picture_shows_flair_or_else_t2w_where_most_lesion_is(sample, channel):
    image, target = sample
    marked = image.clone()
    target = target.where(target != LESION, 0)
    if image.ndim == 5:
        marked[2, channel, 2] = 7
        marked[:, 0, 2] = target
        target[2, 3:5, 3:9] = LESION
    else:
        marked[channel, :, :, 4] = 7
        marked[0] = target
        target[2:6, 2:6, 4] = LESION
    shown, wanted, found = middle_layers(Knows(), (marked, target))
    assert (shown == 7).all()
    assert wanted.ndim == found.ndim == 2
    assert (wanted == LESION).sum() >= 12
    assert not (found == LESION).any()
