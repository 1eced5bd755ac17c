"""What the interfaces of segmentation networks have in common."""

from __future__ import annotations

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    traits,
)


class ModelInputSpec(BaseInterfaceInputSpec):
    """What a network runs with."""

    weights_sha256 = traits.List(traits.Str, desc="hashes of the weights: a change reruns the node")
    model_dir = traits.Either(None, traits.Str, usedefault=True, nohash=True, desc="weights")
    device = traits.Str("cpu", usedefault=True, nohash=True, desc="cpu or cuda[:n]")
    num_threads = traits.Int(1, usedefault=True, nohash=True, desc="torch threads")
    use_gpu = traits.Bool(False, usedefault=True, nohash=True, desc="asks MultiProc for a GPU")


class NetworkInputSpec(ModelInputSpec):
    """An image with its brain mask, and what a network runs with."""

    in_file = File(exists=True, mandatory=True, desc="bias-corrected image of the whole head")
    brain_mask = File(exists=True, mandatory=True, desc="brain mask on the image's grid")
    slice_thickness_mm = traits.Float(mandatory=True, desc="largest voxel size in mm")


class NetworkInterface(SimpleInterface):
    """Segments an image and measures the result; every array is saved on the image's grid."""

    input_spec = NetworkInputSpec

    def _segment(self, image, brain_centre_mm, device: str) -> tuple[dict, dict, dict]:
        """Return (output trait -> array (X, Y, Z), measures, sidecar).

        ``image`` is a NIfTI image, ``brain_centre_mm`` (3,) the centre of its brain mask in world
        mm, ``device`` as torch names it.
        """
        raise NotImplementedError

    def _run_interface(self, runtime):
        from pathlib import Path

        import nibabel as nib
        import numpy as np

        from interfaces.brain import use_threads
        from interfaces.images import save_nifti
        from measures.thalamus import voxel_positions
        from networks.device import resolve_device
        from networks.memory import keep_freed_memory

        keep_freed_memory()
        use_threads(self.inputs.num_threads)
        image, mask = nib.load(self.inputs.in_file), nib.load(self.inputs.brain_mask)
        centre = voxel_positions(np.asarray(mask.dataobj) > 0, image.affine).mean(0)
        device = resolve_device(self.inputs.device)
        arrays, measures, meta = self._segment(image, centre, device)
        for trait, array in arrays.items():
            path = Path(runtime.cwd) / f"{trait.removeprefix('out_')}.nii.gz"
            self._results[trait] = save_nifti(array, image.affine, path)
        self._results["measures"] = measures
        self._results["meta"] = {"Device": device} | meta
        return runtime


def describe_models(cards: dict[str, dict]) -> list[dict]:
    """Entry ``Models`` of a sidecar from the model cards by name."""
    return [
        {"Name": name, "SHA256": card["sha256"], "TrainedOn": card["trained_on"]}
        for name, card in cards.items()
    ]
