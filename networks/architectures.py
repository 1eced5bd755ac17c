"""Networks by the ``architecture`` entry of their model cards."""

from __future__ import annotations


def build(architecture: dict):
    """Build the network an entry describes; its ``kind`` is ``unet`` where none is given."""
    kind = architecture.get("kind", "unet")
    if kind == "unet":
        from networks.unet import build_unet

        return build_unet(architecture)
    if kind == "deepscan":
        from networks.deepscan import DeepSCAN

        return DeepSCAN(architecture)
    if kind == "cord_unet":
        from networks.cord_unet import CordUNet

        return CordUNet(architecture)
    if kind == "enhancement":
        from networks.vgg import EnhancementNetwork

        return EnhancementNetwork(architecture)
    if kind == "dynunet":
        return build_dynunet(architecture)
    raise ValueError(f"a model card asks for a network of kind {kind}, which is not known")


def build_dynunet(architecture: dict):
    """The 3D U-Net of nnU-Net (Isensee 2021), McKinley 2021's comparison network, from MONAI.

    ``filters`` are those of its tiers, each half as fine as the one before; convolutions are
    3x3x3 with instance normalisation and leaky ReLU. Input (N, C, X, Y, Z), logits (N, K, X, Y, Z);
    while training a list of them and of S coarser ones (deep supervision), each half as fine as the
    one before. MONAI would repeat the coarser ones' voxels, which costs a fifth of a training step.
    """
    from monai.networks.nets import DynUNet

    class DeeplySupervised(DynUNet):
        def forward(self, x):
            logits = self.output_block(self.skip_layers(x))
            return [logits, *self.heads] if self.training else logits

    filters = architecture["filters"]
    strides = [1] + [2] * (len(filters) - 1)
    return DeeplySupervised(
        spatial_dims=3,
        in_channels=architecture["in_channels"],
        out_channels=architecture["classes"],
        kernel_size=[3] * len(filters),
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=filters,
        norm_name=("INSTANCE", {"affine": True}),
        deep_supervision=True,
        deep_supr_num=architecture["supervised"],
    )
