"""Nipype interface of DeepGRAI."""

from __future__ import annotations

from nipype.interfaces.base import File, TraitedSpec, traits

from interfaces.segmentation import NetworkInterface, describe_models


class _DeepGRAIOutputSpec(TraitedSpec):
    out_probseg = File(exists=True, desc="probability of thalamus, float32, FLAIR grid")
    out_dseg = File(exists=True, desc="1 left, 2 right thalamus, uint8, FLAIR grid")
    measures = traits.Dict(desc="columns of the session's morph table")
    meta = traits.Dict(desc="sidecar: models, threshold, device")


class DeepGRAI(NetworkInterface):
    """Thalamus map, mask by hemisphere, volumes and their plausibility, from a FLAIR."""

    output_spec = _DeepGRAIOutputSpec

    def _segment(self, image, brain_centre_mm, device):
        import numpy as np

        from measures import thalamus
        from networks import deepgrai

        stages = deepgrai.load_stages(self.inputs.model_dir, device)
        cards = {name: card for name, (_, card) in zip(deepgrai.STAGES, stages, strict=True)}
        meta = {"Threshold": 0.5, "Models": describe_models(cards)}
        data = image.get_fdata(dtype=np.float32)
        try:
            result = deepgrai.segment_thalamus(data, image.affine, brain_centre_mm, stages, device)
            mask, side = thalamus.split_hemispheres(result.probability, image.affine)
        except ValueError as error:
            empty = np.zeros(image.shape, np.uint8)
            arrays = {"out_probseg": empty.astype(np.float32), "out_dseg": empty}
            return arrays, {"qc_thalamus_flair_flag": str(error)}, meta
        measures = _measure(result, mask, side, image.affine, self.inputs.slice_thickness_mm)
        return {"out_probseg": result.probability, "out_dseg": mask}, measures, meta


def _measure(result, mask, side, affine, slice_thickness_mm) -> dict:
    """Columns of the session's table; None where they are implausible."""
    import numpy as np

    from measures import thalamus

    voxel_mm3 = float(abs(np.linalg.det(affine[:3, :3])))
    volumes = thalamus.thalamus_volumes(result.probability, mask, side, voxel_mm3)
    shift_mm, clipped = _place_checks(result)
    flag = thalamus.implausibility(
        volumes["thalamus_flair_ml"],
        volumes["thalamus_flair_asymmetry"],
        slice_thickness_mm,
        clipped,
        shift_mm,
    )
    kept = volumes if flag == "ok" else dict.fromkeys(volumes)
    return kept | {"qc_thalamus_flair_flag": flag}


def _place_checks(result) -> tuple[float, bool]:
    """Distance (mm) between the places of the two stages; whether the mask is cut off."""
    import numpy as np
    from scipy import ndimage

    fine = result.fine > 0.5
    place = result.fine_affine[:3, :3] @ ndimage.center_of_mass(fine) + result.fine_affine[:3, 3]
    edges = [fine.take(i, axis).any() for axis in range(3) for i in (0, -1)]
    mask = result.probability > 0.5
    edges += [mask.take(i, axis).any() for axis in range(3) for i in (0, -1)]
    return float(np.linalg.norm(place - result.localiser_centre_mm)), bool(any(edges))
