"""Lesions and structures of the brain from what there is of FLAIR, T2w and T1w."""

from __future__ import annotations

from nipype.pipeline import engine as pe

from workflows.branch import network_settings, wrap

#: Field of the output node -> the interface's output.
RESULTS = {
    "mask": "out_mask",
    "instances": "out_instances",
    "lesion_probseg": "out_probseg",
    "uncertainty_probseg": "out_uncertainty",
    "dseg": "out_dseg",
    "t1w_mask": "out_t1w_mask",
    "t1w_probseg": "out_t1w_probseg",
    "filled": "out_filled",
    "measures": "measures",
    "rows": "rows",
    "meta": "meta",
}


def init_lesions_wf(
    *,
    contrasts: tuple[str, ...],
    reference: str,
    weights_sha256: list[str],
    lesion_model: str = "unet",
    fill_t1w: bool = False,
    model_dir: str | None = None,
    device: str = "cpu",
    omp_nthreads: int = 1,
    random_seed: int = 1,
    name: str = "lesions_wf",
) -> pe.Workflow:
    """Segment lesions and structures and measure them.

    Workflow Graph
        .. workflow::

            from workflows.lesions import init_lesions_wf
            wf = init_lesions_wf(contrasts=("flair",), reference="flair", weights_sha256=[])

    Parameters
    ----------
    contrasts : which of ``flair``, ``t2w``, ``t1w`` there are; ValueError without FLAIR and T2w.
    reference : the contrast that the others were registered to.
    weights_sha256 : hashes of the weights used; part of the node's hash.
    lesion_model : ``deepscan`` or ``unet``.
    fill_t1w : also write the T1w with its lesions filled.
    model_dir, device, omp_nthreads : see ``init_thalamus_flair_wf``.
    random_seed : of the filling's texture.

    Inputs
    ------
    flair, t2w : images as scanned.
    t1w : bias-corrected image.
    {c}_to_ref_itk, {c}_coreg_flag : of FLAIR and T2w where they are not the reference.
    brain_mask : of the FLAIR, else of the T2w.
    ref_to_mni_itk, ref_to_mni_flag : of the reference.

    Outputs
    -------
    mask, instances, lesion_probseg, uncertainty_probseg, dseg : on the grid of the FLAIR, else of
        the T2w; no uncertainty from the U-Net.
    t1w_mask, t1w_probseg, filled : on the T1w's grid, where there is one.
    measures, rows, meta : dict of columns, list of one dict a lesion, dict for the sidecars.
    """
    from interfaces.lesions import LesionSegmentation

    if not {"flair", "t2w"} & set(contrasts):
        raise ValueError("Lesions need a FLAIR or a T2w.")
    moving = [c for c in contrasts if c != reference and c != "t1w"]
    fields = [*contrasts, "brain_mask", "ref_to_mni_itk", "ref_to_mni_flag"]
    fields += [f"{c}_{what}" for c in moving for what in ("to_ref_itk", "coreg_flag")]
    settings = network_settings(weights_sha256, model_dir, device, omp_nthreads)
    node = pe.Node(
        LesionSegmentation(
            lesion_model=lesion_model, fill_t1w=fill_t1w and "t1w" in contrasts,
            random_seed=random_seed, **settings,
        ),
        name="lesions", n_procs=omp_nthreads, mem_gb=3.5,
    )  # fmt: skip
    return wrap(name, node, {field: field for field in fields}, RESULTS)
