"""Nipype interface of the enhancement networks (Narayana 2020): EXPERIMENTAL."""

from __future__ import annotations

from nipype.interfaces.base import File, TraitedSpec, traits

from interfaces.lesions import ContrastsInputSpec, fitting_contrasts
from interfaces.segmentation import ModelInterface, describe_models

#: Where more of the lesions lies beyond what the networks see, there is no result.
MOST_CLIPPED = 0.05
UNCALLED, CALLED = 1, 2  # values of out_called


class _EnhancementInputSpec(ContrastsInputSpec):
    flair = File(exists=True, mandatory=True, desc="bias-corrected FLAIR")
    t2w = File(exists=True, mandatory=True, desc="bias-corrected T2w")
    t1w = File(exists=True, mandatory=True, desc="bias-corrected T1w before contrast agent")
    brain_mask = File(exists=True, mandatory=True, desc="brain mask of the FLAIR")
    lesion_mask = File(exists=True, mandatory=True, desc="lesions on the FLAIR's grid")
    lesion_measures = traits.Dict(mandatory=True, desc="columns of the lesion branch")


class _EnhancementOutputSpec(TraitedSpec):
    out_scores = File(desc="score of its slice in every voxel looked at, float32, FLAIR's grid")
    out_called = File(desc="the same voxels: 1 below, 2 from the operating point on, uint8")
    measures = traits.Dict(desc="columns of the session's morph table")
    rows = traits.List(desc="one dict a slice with lesions")
    meta = traits.Dict(desc="sidecar: experimental, models, thresholds, device")


class EnhancementPrediction(ModelInterface):
    """Probability of any enhancing lesion, and the score of every slice with lesions.

    Without a result there are no images, no rows and no probability, and a flag that says why.
    """

    input_spec = _EnhancementInputSpec
    output_spec = _EnhancementOutputSpec

    def _run_interface(self, runtime):
        from networks.enhancement import NAME
        from networks.weights import load_network

        device = self._prepare()
        contrasts, _ = fitting_contrasts(self.inputs)
        network, card = load_network(NAME, self.inputs.model_dir, device)
        self._results["meta"] = {
            "Experimental": "Research on a method; no substitute for a scan with contrast agent.",
            "Device": device,
            "Models": describe_models({NAME: card}),
            "Thresholds": _thresholds(card),
        }
        flag, cut = self._cut(contrasts, card)
        probability, rows = None, []
        if flag == "ok":
            probability, rows = self._predict(runtime, contrasts[0], cut, network, card, device)
        self._results["rows"] = rows
        self._results["measures"] = {
            "enhancing_probability": probability, "qc_enhancement_flag": flag
        }  # fmt: skip
        return runtime

    def _cut(self, contrasts, card):
        """Why there is no result, or 'ok', and the slices that the networks look at."""
        import nibabel as nib
        import numpy as np

        from networks.brain_classes import CONTRASTS
        from networks.enhancement import cut_slices

        if missing := [c for c in CONTRASTS if c not in [found.name for found in contrasts]]:
            return f"{' and '.join(missing)} could not be aligned to the FLAIR", None
        lesion_flag = self.inputs.lesion_measures.get("qc_lesion_flag") or "not measured"
        if lesion_flag != "ok":
            return f"the lesion mask wants a look first: {lesion_flag}", None
        brain, lesions = (
            np.asarray(nib.load(path).dataobj) > 0
            for path in (self.inputs.brain_mask, self.inputs.lesion_mask)
        )
        cut = cut_slices(contrasts, brain, lesions, card)
        if not len(cut.numbers):
            return "no lesion was found, so there is no slice to look at", None
        if cut.clipped > MOST_CLIPPED:
            return (
                f"{100 * cut.clipped:.0f}% of the lesions lies beyond what the network sees",
                None,
            )
        return "ok", cut

    def _predict(self, runtime, flair, cut, network, card, device):
        """Probability and rows; saves what was looked at, with its scores."""
        import numpy as np

        from networks.enhancement import participant_probability, score_slices

        scores = score_slices(cut.images, network, device)
        called = scores >= _thresholds(card)["slice"]
        for trait, values, dtype in (
            ("out_scores", scores, np.float32),
            ("out_called", np.where(called, CALLED, UNCALLED), np.uint8),
        ):
            self._save(runtime, trait, _on_image(cut, values, flair, dtype), flair.affine)
        rows = [
            {"slice": number, "position_mm": height, "enhancing_score": float(score),
             "above_threshold": bool(above)}
            for (number, height), score, above in zip(
                _places(cut, flair), scores, called, strict=True
            )
        ]  # fmt: skip
        return participant_probability(scores, network, card, device), rows


def _thresholds(card: dict) -> dict[str, float]:
    """Operating points of slice and participant."""
    return {"slice": 0.5, "participant": 0.5} | card.get("thresholds", {})


def _on_image(cut, values, image, dtype):
    """The value of its slice in every voxel (X, Y, Z) of an image that was looked at, else 0."""
    import numpy as np

    from interfaces.images import resample

    volume = np.zeros(cut.mask.shape, np.float32)
    volume[:, :, cut.numbers] = values * cut.mask[:, :, cut.numbers]
    return resample(volume, cut.affine, image.affine, image.data.shape, order=0).astype(dtype)


def _places(cut, image):
    """Number of the image's own slice, from 0 at the lowest, and world z (mm), for each slice."""
    import nibabel as nib
    import numpy as np

    empty = nib.Nifti1Image(np.zeros(image.data.shape, np.uint8), image.affine)
    to_slice = np.linalg.inv(nib.as_closest_canonical(empty).affine) @ cut.affine
    middle = (np.array(cut.mask.shape[:2]) - 1) / 2
    points = np.array([[*middle, number, 1] for number in cut.numbers])
    return [
        (round(float((to_slice @ point)[2])), float((cut.affine @ point)[2])) for point in points
    ]
