"""From raw T1w, FLAIR and T2w to checked, extracted, bias-corrected and aligned images."""

from __future__ import annotations

CONTRASTS = ("T1w", "FLAIR", "T2w")  # in the order in which one can be the reference
PER_CONTRAST = ("checked", "preproc", "mask", "mask_flag", "mask_volume_ml", "mask_method")
HEADER_FACTS = ("slice_thickness_mm", "note")
PER_MOVING = ("to_ref_itk", "to_ref_flirt", "on_ref", "coreg_correlation", "coreg_dice")
TO_TEMPLATE = (
    ("ref_to_mni_itk", "out_itk"),
    ("ref_on_mni", "out_file"),
    ("ref_to_mni_flag", "flag"),
    ("ref_to_mni_correlation", "correlation"),
    ("ref_to_mni_dice", "dice"),
    ("mni_template", "template"),
)


def init_anatomical_wf(
    *,
    t1w: bool,
    flair: bool,
    t2w: bool,
    skull_strip: str = "auto",
    device: str = "cpu",
    omp_nthreads: int = 1,
    random_seed: int = 1,
    name: str = "anatomical_wf",
):
    """Build the anatomical workflow of one session for the contrasts that it has.

    The reference is T1w, else FLAIR, else T2w.  No contrast's mask or bias correction depends on
    another contrast, so that a broken image stops only what needs it.

    Parameters: `t1w`, `flair`, `t2w` say which images there are (ValueError if none),
    `skull_strip` is auto, skip or force, `device` and `omp_nthreads` are for deepbet alone.

    Inputs
    ------
    t1w, flair, t2w
        raw images (3D NIfTI)

    Outputs
    -------
    {c}_checked, {c}_preproc, {c}_mask
        per contrast c (t1w, flair, t2w): float32 copy, bias-corrected head, brain mask; all on
        the grid of the raw image
    {c}_mask_flag, {c}_mask_volume_ml, {c}_mask_method
        'ok' or a reason; ml; deepbet or given
    {c}_slice_thickness_mm, {c}_note
        largest voxel edge; '' or a sentence about a contradictory header
    {c}_to_ref_itk, {c}_to_ref_flirt, {c}_on_ref
        per contrast other than the reference: rigid transform in both formats, and the
        bias-corrected image on the reference's grid
    {c}_coreg_correlation, {c}_coreg_dice, {c}_coreg_flag
        correlation ratio in the brain, overlap of the brain masks, 'ok' or a reason
    ref_to_mni_itk, ref_on_mni, ref_to_mni_flag, ref_to_mni_correlation, ref_to_mni_dice
        affine transform of the reference to MNI152NLin2009aSym and its picture there (1 mm)
    mni_template
        the template's file
    """
    from nipype.interfaces import utility
    from nipype.pipeline import engine

    present = [c for c, there in zip(CONTRASTS, (t1w, flair, t2w), strict=True) if there]
    if not present:
        raise ValueError("A session without T1w, FLAIR and T2w has no anatomical workflow.")
    reference, moving = present[0], present[1:]
    workflow = engine.Workflow(name=name)
    inputnode = engine.Node(
        utility.IdentityInterface(fields=["t1w", "flair", "t2w"]), name="inputnode"
    )
    outputnode = engine.Node(
        utility.IdentityInterface(fields=output_fields(present)), name="outputnode"
    )
    extracted = {}
    for contrast in present:
        extracted[contrast] = _add_contrast(
            workflow, inputnode, outputnode, contrast, skull_strip, device, omp_nthreads
        )
    for contrast in moving:
        _add_coregistration(workflow, outputnode, extracted, contrast, reference, random_seed)
    _add_template(workflow, outputnode, extracted[reference], reference, random_seed)
    return workflow


def output_fields(present) -> list[str]:
    """Fields of outputnode for the contrasts of a session (the first is the reference)."""
    fields = [f"{c.lower()}_{what}" for c in present for what in PER_CONTRAST + HEADER_FACTS]
    fields += [f"{c.lower()}_{what}" for c in present[1:] for what in (*PER_MOVING, "coreg_flag")]
    return fields + [field for field, _ in TO_TEMPLATE]


def _add_contrast(workflow, inputnode, outputnode, contrast, skull_strip, device, threads):
    """Check, brain mask and N4 of one contrast; returns its (check, mask, n4) nodes."""
    from nipype.pipeline import engine

    from interfaces.brain import BrainMask, N4BiasFieldCorrection
    from interfaces.images import CheckImage

    c = contrast.lower()
    check = engine.Node(CheckImage(), name=f"{c}_check", mem_gb=0.5, n_procs=1)
    mask = engine.Node(
        BrainMask(skull_strip=skull_strip, device=device, num_threads=threads),
        name=f"{c}_brain_mask",
        mem_gb=2.0,
        n_procs=threads,
    )
    n4 = engine.Node(N4BiasFieldCorrection(), name=f"{c}_n4", mem_gb=1.0, n_procs=1)
    workflow.connect([
        (inputnode, check, [(c, "in_file")]),
        (check, mask, [("out_file", "in_file")]),
        (check, n4, [("out_file", "in_file")]),
        (mask, n4, [("out_mask", "mask_file")]),
        (check, outputnode, [
            ("out_file", f"{c}_checked"),
            ("slice_thickness_mm", f"{c}_slice_thickness_mm"),
            ("note", f"{c}_note"),
        ]),
        (mask, outputnode, [
            ("out_mask", f"{c}_mask"),
            ("flag", f"{c}_mask_flag"),
            ("volume_ml", f"{c}_mask_volume_ml"),
            ("method", f"{c}_mask_method"),
        ]),
        (n4, outputnode, [("out_file", f"{c}_preproc")]),
    ])  # fmt: skip
    return check, mask, n4


def _add_coregistration(workflow, outputnode, extracted, contrast, reference, random_seed):
    """Rigid registration of one contrast to the reference."""
    from nipype.pipeline import engine

    from interfaces.registration import RigidRegistration

    c = contrast.lower()
    to_ref = engine.Node(
        RigidRegistration(fixed_name=reference, moving_name=contrast, random_seed=random_seed),
        name=f"{c}_to_ref",
        mem_gb=1.5,
        n_procs=1,
    )
    (_, fixed_mask, fixed_n4), (_, mask, n4) = extracted[reference], extracted[contrast]
    workflow.connect([
        (fixed_n4, to_ref, [("out_file", "fixed")]),
        (fixed_mask, to_ref, [("out_mask", "fixed_mask")]),
        (n4, to_ref, [("out_file", "moving")]),
        (mask, to_ref, [("out_mask", "moving_mask")]),
        (to_ref, outputnode, [
            ("out_itk", f"{c}_to_ref_itk"),
            ("out_flirt", f"{c}_to_ref_flirt"),
            ("out_file", f"{c}_on_ref"),
            ("correlation", f"{c}_coreg_correlation"),
            ("dice", f"{c}_coreg_dice"),
            ("flag", f"{c}_coreg_flag"),
        ]),
    ])  # fmt: skip


def _add_template(workflow, outputnode, nodes, reference, random_seed):
    """Affine registration of the reference to the MNI152 template."""
    from nipype.pipeline import engine

    from interfaces.registration import AffineToMNI

    check, mask, _ = nodes
    ref_to_mni = engine.Node(
        AffineToMNI(name=reference, random_seed=random_seed),
        name="ref_to_mni",
        mem_gb=1.5,
        n_procs=1,
    )
    workflow.connect([
        # not the bias-corrected image: the two steps run side by side
        (check, ref_to_mni, [("out_file", "in_file")]),
        (mask, ref_to_mni, [("out_mask", "mask_file")]),
        (ref_to_mni, outputnode, [(source, field) for field, source in TO_TEMPLATE]),
    ])  # fmt: skip
