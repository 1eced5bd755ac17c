"""Nipype interface of DeepGRAI."""

from __future__ import annotations

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)


class _DeepGRAIInputSpec(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="bias-corrected FLAIR")
    brain_mask = File(exists=True, mandatory=True, desc="brain mask on the FLAIR's grid")
    slice_thickness_mm = traits.Float(mandatory=True, desc="largest voxel size in mm")
    weights_sha256 = traits.List(traits.Str, desc="hashes of the weights: a change reruns the node")
    model_dir = traits.Either(None, traits.Str, usedefault=True, nohash=True, desc="weights")
    device = traits.Str("cpu", usedefault=True, nohash=True, desc="cpu or cuda[:n]")
    num_threads = traits.Int(1, usedefault=True, nohash=True, desc="torch threads")
    use_gpu = traits.Bool(False, usedefault=True, nohash=True, desc="asks MultiProc for a GPU")


class _DeepGRAIOutputSpec(TraitedSpec):
    out_probseg = File(exists=True, desc="probability of thalamus, float32, FLAIR grid")
    out_dseg = File(exists=True, desc="1 left, 2 right thalamus, uint8, FLAIR grid")
    measures = traits.Dict(desc="columns of the session's morph table")
    meta = traits.Dict(desc="sidecar: models, threshold, device, flag")


class DeepGRAI(SimpleInterface):
    """Thalamus map, mask by hemisphere, volumes and their plausibility, from a FLAIR."""

    input_spec = _DeepGRAIInputSpec
    output_spec = _DeepGRAIOutputSpec

    def _run_interface(self, runtime):
        from pathlib import Path

        import nibabel as nib
        import torch

        torch.set_num_threads(self.inputs.num_threads)
        folder = Path(runtime.cwd)
        image = nib.load(self.inputs.in_file)
        probability, dseg, measures, meta = _measure(
            image, nib.load(self.inputs.brain_mask), self.inputs
        )
        for trait, array in (("out_probseg", probability), ("out_dseg", dseg)):
            out = nib.Nifti1Image(array, image.affine, image.header)
            out.header.set_data_dtype(array.dtype)
            out.header.set_slope_inter(1, 0)
            path = folder / f"{trait.removeprefix('out_')}.nii.gz"
            out.to_filename(path)
            self._results[trait] = str(path)
        self._results["measures"] = measures
        self._results["meta"] = meta
        return runtime


def _measure(image, brain_mask, inputs):
    """Probability map, mask by side (both on the image's grid), measures and sidecar."""
    import numpy as np

    from measures import thalamus
    from networks import deepgrai
    from networks.device import resolve_device

    device = resolve_device(inputs.device)
    stages = deepgrai.load_stages(inputs.model_dir, device)
    meta = {
        "Threshold": 0.5,
        "Device": device,
        "Models": [
            {"Name": name, "SHA256": card["sha256"], "TrainedOn": card["trained_on"]}
            for name, (_, card) in zip(deepgrai.STAGES, stages, strict=True)
        ],
    }
    centre = thalamus.voxel_positions(np.asarray(brain_mask.dataobj) > 0, image.affine).mean(0)
    data = image.get_fdata(dtype=np.float32)
    try:
        result = deepgrai.segment_thalamus(data, image.affine, centre, stages, device)
        mask, side = thalamus.split_hemispheres(result.probability, image.affine)
    except ValueError as error:
        empty = np.zeros(image.shape, np.uint8)
        flag = str(error)
        return empty.astype(np.float32), empty, {"qc_thalamus_flair_flag": flag}, meta
    volumes = thalamus.thalamus_volumes(
        result.probability, mask, side, float(abs(np.linalg.det(image.affine[:3, :3])))
    )
    flag = thalamus.implausibility(
        volumes, inputs.slice_thickness_mm, *_place_checks(result, data, image.affine)
    )
    measures = dict(volumes if flag == "ok" else dict.fromkeys(volumes))
    return result.probability, mask, measures | {"qc_thalamus_flair_flag": flag}, meta


def _place_checks(result, data, affine) -> tuple[float, bool]:
    """Distance (mm) between the places of the two stages; whether the mask is cut off."""
    import numpy as np
    from scipy import ndimage

    fine = result.fine > 0.5
    place = result.fine_affine[:3, :3] @ ndimage.center_of_mass(fine) + result.fine_affine[:3, 3]
    edges = [fine.take(i, axis).any() for axis in range(3) for i in (0, -1)]
    mask = result.probability > 0.5
    edges += [mask.take(i, axis).any() for axis in range(3) for i in (0, -1)]
    return float(np.linalg.norm(place - result.localiser_centre_mm)), bool(any(edges))
