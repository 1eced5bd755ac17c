"""Inference over a volume larger than a patch, seen as it is and mirrored."""

from __future__ import annotations


def mirrored_mean(volume, network, patch, *, overlap: float, activation, mirrored_classes=(0,)):
    """Mean of a network's maps of a volume and of its mirror image: tensor (C, X, Y, Z).

    ``volume`` is a tensor (X, Y, Z) whose first axis runs from left to right; patches of ``patch``
    voxels slide over it. ``activation`` turns logits (C, X, Y, Z) into probabilities;
    ``mirrored_classes`` names, for every class, the one it is in the mirror.
    """
    import torch
    from monai.inferers import sliding_window_inference

    def slide(head):
        logits = sliding_window_inference(
            head[None, None], tuple(patch), sw_batch_size=1, predictor=network, overlap=overlap,
            mode="gaussian",
        )  # fmt: skip
        return activation(logits[0])

    with torch.inference_mode():
        mirrored = slide(volume.flip(0)).flip(1)[list(mirrored_classes)]
        return (slide(volume) + mirrored) / 2
