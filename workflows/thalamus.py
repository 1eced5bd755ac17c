"""Thalamus volume from FLAIR alone (DeepGRAI)."""

from __future__ import annotations

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe


def init_thalamus_wf(
    *,
    weights_sha256: list[str],
    model_dir: str | None = None,
    device: str = "cpu",
    omp_nthreads: int = 1,
    name: str = "thalamus_wf",
) -> pe.Workflow:
    """Segment the thalamus in a bias-corrected FLAIR and measure it.

    Workflow Graph
        .. workflow::

            from workflows.thalamus import init_thalamus_wf
            wf = init_thalamus_wf(weights_sha256=[])

    Parameters
    ----------
    weights_sha256 : hashes of the weights used; part of the node's hash, so that other weights
        redo it, while another device or thread count does not.
    model_dir : folder of weights and cards; None for those shipped.
    device : ``cpu`` or ``cuda[:n]``.
    omp_nthreads : torch threads.

    Inputs
    ------
    flair : bias-corrected FLAIR.
    flair_mask : its brain mask.
    flair_slice_thickness_mm : its largest voxel size.

    Outputs
    -------
    thalamus_probseg, thalamus_dseg : maps on the FLAIR's grid.
    measures : dict of columns of the session's morph table.
    meta : dict for the sidecars.
    """
    from interfaces.thalamus import DeepGRAI

    workflow = pe.Workflow(name=name)
    inputnode = pe.Node(
        niu.IdentityInterface(["flair", "flair_mask", "flair_slice_thickness_mm"]),
        name="inputnode",
    )
    outputnode = pe.Node(
        niu.IdentityInterface(["thalamus_probseg", "thalamus_dseg", "measures", "meta"]),
        name="outputnode",
    )
    deepgrai = pe.Node(
        DeepGRAI(
            weights_sha256=weights_sha256,
            model_dir=model_dir,
            device=device,
            num_threads=omp_nthreads,
            use_gpu=device.startswith("cuda"),
        ),
        name="deepgrai",
        n_procs=omp_nthreads,
        mem_gb=2.0,
    )
    workflow.connect([
        (inputnode, deepgrai, [
            ("flair", "in_file"),
            ("flair_mask", "brain_mask"),
            ("flair_slice_thickness_mm", "slice_thickness_mm"),
        ]),
        (deepgrai, outputnode, [
            ("out_probseg", "thalamus_probseg"),
            ("out_dseg", "thalamus_dseg"),
            ("measures", "measures"),
            ("meta", "meta"),
        ]),
    ])  # fmt: skip
    return workflow
