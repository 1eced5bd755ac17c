"""Nipype interface of the T1w network (Opfer 2022)."""

from __future__ import annotations

from nipype.interfaces.base import File, TraitedSpec, traits

from interfaces.segmentation import NetworkInputSpec, NetworkInterface, describe_models


class _OpferThalamusInputSpec(NetworkInputSpec):
    mask_method = traits.Enum(
        "deepbet", "given", usedefault=True, desc="given: the skull had been removed before"
    )


class _OpferThalamusOutputSpec(TraitedSpec):
    out_dseg = File(
        exists=True,
        desc="1 left, 2 right thalamus, 3 other deep grey matter, 4 remaining intracranial space; "
        "uint8, T1w grid",
    )
    out_probseg = File(exists=True, desc="probability of thalamus, both sides, float32, T1w grid")
    measures = traits.Dict(desc="columns of the session's morph table")
    meta = traits.Dict(desc="sidecar: models, device, what a label means")


class OpferThalamus(NetworkInterface):
    """Labels, thalamus map, volumes and their plausibility, from the T1w of a whole head.

    An image whose skull was removed is segmented all the same, but has no intracranial volume.
    """

    input_spec = _OpferThalamusInputSpec
    output_spec = _OpferThalamusOutputSpec

    def _segment(self, image, brain_centre_mm, device):
        import numpy as np

        from measures import head, image_checks
        from networks import opfer
        from networks.weights import load_network

        network, card = load_network(opfer.NAME, self.inputs.model_dir, device)
        data = image.get_fdata(dtype=np.float32)
        # A mask computed by force does not tell that there is a skull.
        extracted = self.inputs.mask_method == "given" or image_checks.is_brain_extracted(
            data, image.header.get_zooms()[:3]
        )
        meta = {
            "Models": describe_models({opfer.NAME: card}),
            "LabelRule": "most probable class of each voxel",
            "SkullStripped": bool(extracted),
        }
        try:
            found = opfer.segment_head(data, image.affine, brain_centre_mm, network, card, device)
        except opfer.HeadNotFound as error:
            empty = np.zeros(image.shape, np.uint8)
            arrays = {"out_dseg": empty, "out_probseg": empty.astype(np.float32)}
            return arrays, head.not_found(str(error)), meta
        scan = head.Scan(data, image.affine, self.inputs.slice_thickness_mm, bool(extracted))
        measures = head.head_measures(found.probability, found.labels, found.clipped, scan)
        probseg = found.probability[:2].sum(0)
        return {"out_dseg": found.labels, "out_probseg": probseg}, measures, meta
