"""What a network says of a sample, and how well that agrees with the label."""

from __future__ import annotations


def classes_of(target_or_logits, logits: bool):
    """Class numbers (X, Y, Z) of a target or of logits (C, X, Y, Z); C is 1 for a binary task."""
    if target_or_logits.shape[0] > 1:
        return target_or_logits.argmax(0)
    return (target_or_logits[0] > 0).long() if logits else target_or_logits[0].round().long()


def validation_dice(samples: list, classes: tuple[int, ...]):
    """A validation measure: mean Dice of ``classes`` over fixed (image, target) pairs."""

    def validate(network) -> float:
        scores = []
        for image, target in samples:
            found = classes_of(network(image[None])[0], logits=True)
            truth = classes_of(target, logits=False)
            for number in classes:
                mask, reference = found == number, truth == number
                total = (mask.sum() + reference.sum()).clamp(min=1)
                scores.append(2 * (mask & reference).sum().item() / total.item())
        return sum(scores) / len(scores)

    return validate
