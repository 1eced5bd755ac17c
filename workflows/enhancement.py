"""Enhancement without gadolinium (experimental), from T1w, T2w, FLAIR and the lesions."""

from __future__ import annotations

from nipype.pipeline import engine as pe

from workflows.branch import network_settings, wrap

CONTRASTS = ("t1w", "flair", "t2w")  # all are needed
#: Field of the output node -> the interface's output.
RESULTS = {
    "scores": "out_scores",
    "called": "out_called",
    "measures": "measures",
    "rows": "rows",
    "meta": "meta",
}


def init_enhancement_wf(
    *,
    weights_sha256: list[str],
    model_dir: str | None = None,
    device: str = "cpu",
    omp_nthreads: int = 1,
    name: str = "enhancement_wf",
) -> pe.Workflow:
    """Predict whether any lesion would enhance.

    Workflow Graph
        .. workflow::

            from workflows.enhancement import init_enhancement_wf
            wf = init_enhancement_wf(weights_sha256=[])

    Parameters
    ----------
    weights_sha256 : hashes of the weights used; part of the node's hash.
    model_dir, device, omp_nthreads : see ``init_thalamus_flair_wf``.

    Inputs
    ------
    t1w, flair, t2w : bias-corrected images; the T1w is the reference.
    {c}_to_ref_itk, {c}_coreg_flag : of FLAIR and T2w.
    brain_mask : of the FLAIR.
    lesion_mask, lesion_measures : of the lesion branch, on the FLAIR's grid.

    Outputs
    -------
    scores, called : on the FLAIR's grid; only where there is a result.
    measures, rows, meta : dict of columns, list of one dict a slice, dict for the sidecars.
    """
    from interfaces.enhancement import EnhancementPrediction

    fields = [*CONTRASTS, "brain_mask", "lesion_mask", "lesion_measures"]
    fields += [f"{c}_{what}" for c in CONTRASTS[1:] for what in ("to_ref_itk", "coreg_flag")]
    settings = network_settings(weights_sha256, model_dir, device, omp_nthreads)
    node = pe.Node(
        EnhancementPrediction(**settings), name="enhancement", n_procs=omp_nthreads, mem_gb=2.0
    )
    return wrap(name, node, {field: field for field in fields}, RESULTS)
