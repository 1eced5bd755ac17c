"""Inference over a volume larger than a patch, seen as it is and mirrored."""

from __future__ import annotations


def mirrored_mean(
    volume, network, patch, *, overlap: float, activation=None, mirrored_classes=None
):
    """Mean of a network's maps of a volume and of its mirror image: tensor (C, X, Y, Z).

    ``volume`` is a tensor (channels, X, Y, Z) whose X runs from left to right; patches of ``patch``
    voxels slide over it. ``activation`` turns logits (C, X, Y, Z) into probabilities, None averages
    logits; ``mirrored_classes`` names, for every class, the one it is in the mirror, None where
    each is itself.
    """
    import torch
    from monai.inferers import sliding_window_inference

    def slide(head):
        logits = sliding_window_inference(
            head[None], tuple(patch), sw_batch_size=1, predictor=network, overlap=overlap,
            mode="gaussian",
        )[0]  # fmt: skip
        return activation(logits) if activation else logits

    with torch.inference_mode():
        mirrored = slide(volume.flip(1)).flip(1)
        if mirrored_classes is not None:
            mirrored = mirrored[list(mirrored_classes)]
        return (slide(volume) + mirrored) / 2
