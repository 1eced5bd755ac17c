"""All branches of one session."""

from __future__ import annotations

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from workflows.anatomical import init_anatomical_wf
from workflows.thalamus import init_thalamus_wf


def init_session_wf(
    *,
    contrasts: tuple[str, ...],
    tasks: tuple[str, ...] = ("thalamus",),
    weights_sha256: list[str] | None = None,
    model_dir: str | None = None,
    device: str = "cpu",
    skull_strip: str = "auto",
    omp_nthreads: int = 1,
    random_seed: int = 1,
    name: str = "session_wf",
) -> pe.Workflow:
    """Prepare the brain images of a session and run every task they allow.

    Workflow Graph
        .. workflow::

            from workflows.session import init_session_wf
            wf = init_session_wf(contrasts=("t1w", "flair"))

    Parameters
    ----------
    contrasts : which of ``t1w``, ``flair``, ``t2w`` the session has.
    tasks : which branches to build; the thalamus needs a FLAIR.
    weights_sha256, model_dir, device : see ``init_thalamus_wf``.
    skull_strip, random_seed : see ``init_anatomical_wf``.
    omp_nthreads : threads a node may use.

    Inputs
    ------
    t1w, flair, t2w : raw images, for each contrast named.

    The branches are the sub-workflows ``anatomical_wf`` and ``thalamus_wf``; their output nodes
    hold the results.
    """
    workflow = pe.Workflow(name=name)
    inputnode = pe.Node(niu.IdentityInterface(list(contrasts)), name="inputnode")
    anatomical_wf = init_anatomical_wf(
        **{contrast: contrast in contrasts for contrast in ("t1w", "flair", "t2w")},
        skull_strip=skull_strip,
        device=device,
        omp_nthreads=omp_nthreads,
        random_seed=random_seed,
    )
    workflow.connect([(inputnode, anatomical_wf, [(c, f"inputnode.{c}") for c in contrasts])])
    if "thalamus" in tasks and "flair" in contrasts:
        thalamus_wf = init_thalamus_wf(
            weights_sha256=weights_sha256 or [],
            model_dir=model_dir,
            device=device,
            omp_nthreads=omp_nthreads,
        )
        workflow.connect([
            (anatomical_wf, thalamus_wf, [
                ("outputnode.flair_preproc", "inputnode.flair"),
                ("outputnode.flair_mask", "inputnode.flair_mask"),
                ("outputnode.flair_slice_thickness_mm", "inputnode.flair_slice_thickness_mm"),
            ]),
        ])  # fmt: skip
    return workflow
