"""What the interfaces of segmentation networks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

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


class ModelInterface(SimpleInterface):
    """Runs a network in the node's folder and saves arrays there."""

    def _prepare(self) -> str:
        """Make this process ready for a network; returns the device as torch names it."""
        from interfaces.brain import use_threads
        from networks.device import resolve_device
        from networks.memory import keep_freed_memory

        keep_freed_memory()
        use_threads(self.inputs.num_threads)
        return resolve_device(self.inputs.device)

    def _save(self, runtime, trait: str, array, affine) -> None:
        """Save the array of an output, named after it."""
        from pathlib import Path

        from interfaces.images import save_nifti

        path = Path(runtime.cwd) / f"{trait.removeprefix('out_')}.nii.gz"
        self._results[trait] = save_nifti(array, affine, path)


class NetworkInterface(ModelInterface, ABC):
    """Segments an image and measures the result; every array is saved on the image's grid."""

    input_spec = NetworkInputSpec

    @abstractmethod
    def _segment(self, image, brain_centre_mm, device: str) -> tuple[dict, dict, dict]:
        """Return (output trait -> array (X, Y, Z), measures, sidecar).

        ``image`` is a NIfTI image, ``brain_centre_mm`` (3,) the centre of its brain mask in world
        mm, ``device`` as torch names it. Every interface of this kind has its own.
        """

    def _run_interface(self, runtime):
        import nibabel as nib
        import numpy as np

        from measures.thalamus import voxel_positions

        device = self._prepare()
        image, mask = nib.load(self.inputs.in_file), nib.load(self.inputs.brain_mask)
        centre = voxel_positions(np.asarray(mask.dataobj) > 0, image.affine).mean(0)
        arrays, measures, meta = self._segment(image, centre, device)
        for trait, array in arrays.items():
            self._save(runtime, trait, array, image.affine)
        self._results["measures"] = measures
        self._results["meta"] = {"Device": device} | meta
        return runtime


def describe_models(cards: dict[str, dict]) -> list[dict]:
    """Entry ``Models`` of a sidecar from the model cards by name."""
    return [
        {"Name": name, "SHA256": card["sha256"], "TrainedOn": card["trained_on"]}
        for name, card in cards.items()
    ]
