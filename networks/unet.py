"""The 3D U-Net of DeepGRAI (Dwyer 2021, section 2.1 and Fig. 1), from MONAI."""

from __future__ import annotations


def build_unet(architecture: dict):
    """Build a MONAI 3D U-Net from a model card's ``architecture`` entry.

    Four down- and upsampling tiers, 3x3x3 kernels and parametric ReLU; ``channels`` are the
    filters a tier, 16 to 256 for stage 1 and 32 to 512 for stage 2 of the paper, with the
    deepest tier at 8x8x4 for a 128x128x64 input. ``residual_units`` is the number of extra
    convolutions a tier (the paper does not give it). Input (N, 1, X, Y, Z), output logits of
    the same shape. Weights start from Xavier's uniform distribution (section 2.2.2).
    """
    from monai.networks.nets import UNet

    channels = tuple(architecture["channels"])
    network = UNet(
        spatial_dims=3,
        in_channels=architecture.get("in_channels", 1),
        out_channels=architecture.get("out_channels", 1),
        channels=channels,
        strides=(2,) * (len(channels) - 1),
        num_res_units=architecture.get("residual_units", 0),
        act="PRELU",
        norm="INSTANCE",
    )
    network.apply(_xavier)
    return network


def _xavier(module) -> None:
    import torch

    if isinstance(module, torch.nn.Conv3d | torch.nn.ConvTranspose3d):
        torch.nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            torch.nn.init.zeros_(module.bias)
