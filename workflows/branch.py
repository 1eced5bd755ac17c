"""What every branch of a session shares: the settings of its network, and its two outer nodes."""

from __future__ import annotations

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe


def network_settings(weights_sha256, model_dir, device, omp_nthreads) -> dict:
    """Inputs that every network's interface has."""
    return {
        "weights_sha256": weights_sha256,
        "model_dir": model_dir,
        "device": device,
        "num_threads": omp_nthreads,
        "use_gpu": device.startswith("cuda"),
    }


def lesion_contrast(contrasts) -> str:
    """The contrast on whose grid lesions are measured: ``flair``, or else ``t2w``."""
    return "flair" if "flair" in contrasts else "t2w"


def wrap(name: str, node: pe.Node, inputs: dict[str, str], results: dict[str, str]) -> pe.Workflow:
    """A workflow of one network.

    ``inputs`` maps fields of its input node to the interface's inputs, ``results`` fields of its
    output node to the interface's outputs.
    """
    workflow = pe.Workflow(name=name)
    inputnode = pe.Node(niu.IdentityInterface(list(inputs)), name="inputnode")
    outputnode = pe.Node(niu.IdentityInterface(list(results)), name="outputnode")
    workflow.connect([
        (inputnode, node, list(inputs.items())),
        (node, outputnode, [(trait, field) for field, trait in results.items()]),
    ])  # fmt: skip
    return workflow
