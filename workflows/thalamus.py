"""Thalamus volume: from FLAIR alone (DeepGRAI), and from T1w alone (Opfer's 3D-CNN)."""

from __future__ import annotations

from nipype.pipeline import engine as pe

from workflows.branch import network_settings, wrap

#: Field of the output node -> the interface's output.
RESULTS = {
    "thalamus_probseg": "out_probseg",
    "dseg": "out_dseg",
    "measures": "measures",
    "meta": "meta",
}


def init_thalamus_flair_wf(
    *,
    weights_sha256: list[str],
    model_dir: str | None = None,
    device: str = "cpu",
    omp_nthreads: int = 1,
    name: str = "thalamus_flair_wf",
) -> pe.Workflow:
    """Segment the thalamus in a bias-corrected FLAIR and measure it.

    Workflow Graph
        .. workflow::

            from workflows.thalamus import init_thalamus_flair_wf
            wf = init_thalamus_flair_wf(weights_sha256=[])

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
    thalamus_probseg, dseg : probability and labels (1 left, 2 right) on the FLAIR's grid.
    measures : dict of columns of the session's morph table.
    meta : dict for the sidecars.
    """
    from interfaces.thalamus import DeepGRAI

    settings = network_settings(weights_sha256, model_dir, device, omp_nthreads)
    node = pe.Node(DeepGRAI(**settings), name="deepgrai", n_procs=omp_nthreads, mem_gb=2.0)
    return wrap(name, node, {
        "flair": "in_file",
        "flair_mask": "brain_mask",
        "flair_slice_thickness_mm": "slice_thickness_mm",
    }, RESULTS)  # fmt: skip


def init_thalamus_t1w_wf(
    *,
    weights_sha256: list[str],
    model_dir: str | None = None,
    device: str = "cpu",
    omp_nthreads: int = 1,
    name: str = "thalamus_t1w_wf",
) -> pe.Workflow:
    """Segment thalami, deep grey matter and intracranial space in a bias-corrected T1w.

    Workflow Graph
        .. workflow::

            from workflows.thalamus import init_thalamus_t1w_wf
            wf = init_thalamus_t1w_wf(weights_sha256=[])

    Parameters: see ``init_thalamus_flair_wf``.

    Inputs
    ------
    t1w : bias-corrected T1w of the whole head, not skull-stripped.
    t1w_mask : its brain mask.
    t1w_mask_method : ``given`` when the skull had been removed before, else ``deepbet``.
    t1w_slice_thickness_mm : its largest voxel size.

    Outputs
    -------
    thalamus_probseg, dseg : probability of both thalami, and labels (1 left thalamus, 2 right
        thalamus, 3 other deep grey matter, 4 remaining intracranial space), on the T1w's grid.
    measures : dict of columns of the session's morph table.
    meta : dict for the sidecars.
    """
    from interfaces.opfer import OpferThalamus

    settings = network_settings(weights_sha256, model_dir, device, omp_nthreads)
    node = pe.Node(OpferThalamus(**settings), name="opfer", n_procs=omp_nthreads, mem_gb=3.0)
    return wrap(name, node, {
        "t1w": "in_file",
        "t1w_mask": "brain_mask",
        "t1w_mask_method": "mask_method",
        "t1w_slice_thickness_mm": "slice_thickness_mm",
    }, RESULTS)  # fmt: skip
