"""All branches of one session."""

from __future__ import annotations

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from networks.brain_classes import WEIGHTS, lesion_contrasts
from workflows.anatomical import CONTRASTS, init_anatomical_wf
from workflows.branch import lesion_contrast
from workflows.cord import init_cord_wf
from workflows.enhancement import CONTRASTS as ENHANCEMENT_CONTRASTS
from workflows.enhancement import init_enhancement_wf
from workflows.lesions import init_lesions_wf
from workflows.thalamus import init_thalamus_flair_wf, init_thalamus_t1w_wf


def init_session_wf(
    *,
    contrasts: tuple[str, ...],
    cord: tuple[str, ...] = (),
    tasks: tuple[str, ...] = ("thalamus",),
    weights_sha256: dict[str, str],
    model_dir: str | None = None,
    device: str = "cpu",
    skull_strip: str = "auto",
    lesion_model: str = "unet",
    lesion_filling: bool = False,
    omp_nthreads: int = 1,
    random_seed: int = 1,
    name: str = "session_wf",
) -> pe.Workflow:
    """Prepare the brain images of a session and run every task that its images allow.

    Workflow Graph
        .. workflow::

            from workflows.session import init_session_wf
            wf = init_session_wf(contrasts=("t1w", "flair"), tasks=(), weights_sha256={})

    Parameters
    ----------
    contrasts : which of ``t1w``, ``flair``, ``t2w`` the session has.
    cord : a name (of letters, digits and ``_``) for each spinal-cord image of the session.
    tasks : which branches to build; the thalamus is measured on a FLAIR and on a T1w,
        each by itself, lesions on a FLAIR or a T2w (if the network can) with what else there
        is, the cord on every cord image, or else on the T1w; enhancement needs all three
        contrasts and ``lesions``.
    weights_sha256 : hash of each network's weights by its name.
    model_dir, device : see ``init_thalamus_flair_wf``.
    skull_strip, random_seed : see ``init_anatomical_wf``.
    lesion_model, lesion_filling : see ``init_lesions_wf``.
    omp_nthreads : threads a node may use.

    Inputs
    ------
    t1w, flair, t2w : raw images, for each contrast named.
    cord_{name} : raw image of the cord, for each name.

    The branches are the sub-workflows ``anatomical_wf``, ``thalamus_flair_wf``,
    ``thalamus_t1w_wf``, ``lesions_wf``, ``enhancement_wf``, and ``cord_{name}_wf``
    (``cord_t1w_wf`` on the T1w); their output nodes hold the results. The input node of a cord
    branch has a field ``disc_labels`` that may be set. Without a brain image there is no
    ``anatomical_wf``.
    """
    workflow = pe.Workflow(name=name)
    fields = [*contrasts, *(f"cord_{image}" for image in cord)]
    inputnode = pe.Node(niu.IdentityInterface(fields), name="inputnode")
    if "cord" in tasks:
        _add_cord(
            workflow, inputnode, contrasts, cord, weights_sha256,
            model_dir=model_dir, device=device, omp_nthreads=omp_nthreads,
        )  # fmt: skip
    if not contrasts:
        return workflow
    anatomical_wf = init_anatomical_wf(
        **{contrast.lower(): contrast.lower() in contrasts for contrast in CONTRASTS},
        skull_strip=skull_strip,
        device=device,
        omp_nthreads=omp_nthreads,
        random_seed=random_seed,
    )
    workflow.connect([(inputnode, anatomical_wf, [(c, f"inputnode.{c}") for c in contrasts])])
    if "thalamus" in tasks:
        for contrast in contrasts:
            _add_thalamus(
                workflow, anatomical_wf, contrast, weights_sha256,
                model_dir=model_dir, device=device, omp_nthreads=omp_nthreads,
            )  # fmt: skip
    if "lesions" in tasks and _can_show_lesions(contrasts, lesion_model, model_dir):
        _add_lesions(
            workflow, anatomical_wf, contrasts, weights_sha256, lesion_model=lesion_model,
            fill_t1w=lesion_filling, model_dir=model_dir, device=device,
            omp_nthreads=omp_nthreads, random_seed=random_seed,
        )  # fmt: skip
        if "enhancement" in tasks and set(ENHANCEMENT_CONTRASTS) <= set(contrasts):
            _add_enhancement(
                workflow, anatomical_wf, weights_sha256,
                model_dir=model_dir, device=device, omp_nthreads=omp_nthreads,
            )  # fmt: skip
    return workflow


def _can_show_lesions(contrasts, lesion_model: str, model_dir) -> bool:
    """Whether the contrast that would carry the lesions is there and the network can use it."""
    usable = {name.lower() for name in lesion_contrasts(lesion_model, model_dir)}
    return lesion_contrast(contrasts) in usable & set(contrasts)


def _add_thalamus(workflow, anatomical_wf, contrast: str, weights_sha256, **settings) -> None:
    """The thalamus branch of a contrast that has one; each needs its own image only."""
    from networks import deepgrai, opfer

    branches = {
        "flair": (init_thalamus_flair_wf, deepgrai.STAGES),
        "t1w": (init_thalamus_t1w_wf, (opfer.NAME,)),
    }
    if contrast not in branches:
        return
    factory, networks = branches[contrast]
    hashes = [weights_sha256[name] for name in networks]
    branch = factory(weights_sha256=hashes, **settings)
    fields = branch.get_node("inputnode").inputs.copyable_trait_names()
    wanted = {field: f"outputnode.{field}" for field in fields if field != contrast}
    wanted[contrast] = f"outputnode.{contrast}_preproc"
    workflow.connect([
        (anatomical_wf, branch, [
            (source, f"inputnode.{field}") for field, source in wanted.items()
        ]),
    ])  # fmt: skip


def _add_cord(workflow, inputnode, contrasts, cord, weights_sha256, **settings) -> None:
    """A branch for each cord image, or else one for the T1w, whose neck shows the upper cord.

    They take the raw images: a bias field was in the training, and none waits for the brain.
    """
    from networks.cord import names_used

    sources = {f"cord_{image}_wf": f"cord_{image}" for image in cord}
    if not cord and "t1w" in contrasts:
        sources = {"cord_t1w_wf": "t1w"}
    hashes = [weights_sha256[name] for name in names_used(settings["model_dir"])]
    for name, field in sources.items():
        branch = init_cord_wf(
            weights_sha256=hashes, brain_t1w=field == "t1w", name=name, **settings
        )
        workflow.connect(inputnode, field, branch, "inputnode.image")


def _add_lesions(workflow, anatomical_wf, contrasts, weights_sha256, **settings) -> None:
    """The lesion branch, on the grid of the FLAIR or else of the T2w.

    It sees FLAIR and T2w as scanned: N4 takes large lesions for a bias field, and their
    brightness with it, while a bias field was in the networks' training. The T1w, on which they
    are dark and filled, is the corrected one.
    """
    reference = next(c.lower() for c in CONTRASTS if c.lower() in contrasts)
    first = lesion_contrast(contrasts)
    branch = init_lesions_wf(
        contrasts=contrasts, reference=reference,
        weights_sha256=[weights_sha256[WEIGHTS[settings["lesion_model"]]]], **settings,
    )  # fmt: skip
    sources = {"flair": "flair_checked", "t2w": "t2w_checked", "t1w": "t1w_preproc"}
    sources["brain_mask"] = f"{first}_mask"
    fields = branch.get_node("inputnode").inputs.copyable_trait_names()
    workflow.connect([
        (anatomical_wf, branch, [
            (f"outputnode.{sources.get(field, field)}", f"inputnode.{field}") for field in fields
        ]),
    ])  # fmt: skip


def _add_enhancement(workflow, anatomical_wf, weights_sha256, **settings) -> None:
    """The enhancement branch, which looks where the lesion branch has found lesions."""
    from networks.enhancement import NAME

    branch = init_enhancement_wf(weights_sha256=[weights_sha256[NAME]], **settings)
    lesions = {"lesion_mask": "mask", "lesion_measures": "measures"}
    sources = {contrast: f"{contrast}_preproc" for contrast in ENHANCEMENT_CONTRASTS}
    sources["brain_mask"] = "flair_mask"
    fields = branch.get_node("inputnode").inputs.copyable_trait_names()
    workflow.connect([
        (workflow.get_node("lesions_wf"), branch, [
            (f"outputnode.{result}", f"inputnode.{field}") for field, result in lesions.items()
        ]),
        (anatomical_wf, branch, [
            (f"outputnode.{sources.get(field, field)}", f"inputnode.{field}")
            for field in fields if field not in lesions
        ]),
    ])  # fmt: skip
