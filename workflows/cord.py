"""The spinal cord on one image: its centreline, its area by section, and its lesions."""

from __future__ import annotations

from nipype.pipeline import engine as pe

from workflows.branch import network_settings, wrap

#: Field of the output node -> the interface's output.
RESULTS = {
    "mask": "out_mask",
    "probseg": "out_probseg",
    "lesion_mask": "out_lesions",
    "centreline": "out_centreline",
    "points": "out_points",
    "measures": "measures",
    "rows": "rows",
    "lesion_rows": "lesion_rows",
    "level_rows": "level_rows",
    "meta": "meta",
}


def init_cord_wf(
    *,
    weights_sha256: list[str],
    brain_t1w: bool = False,
    model_dir: str | None = None,
    device: str = "cpu",
    omp_nthreads: int = 1,
    name: str = "cord_wf",
) -> pe.Workflow:
    """Find, segment and measure the cord of one image.

    Workflow Graph
        .. workflow::

            from workflows.cord import init_cord_wf
            wf = init_cord_wf(weights_sha256=[])

    Parameters
    ----------
    weights_sha256 : hashes of the weights used; part of the node's hash.
    brain_t1w : the image is a T1w of the brain, which may end anywhere below it.
    model_dir, device, omp_nthreads : see ``init_thalamus_flair_wf``.

    Inputs
    ------
    image : raw image of the cord, of any orientation and number of slices.
    disc_labels : image with single voxels that carry the numbers of discs (PAM50), if there is one.

    Outputs
    -------
    mask, probseg, lesion_mask, centreline : on the image's grid; these and the points only where
        a cord is found.
    points : CSV of the centreline in world mm.
    measures, rows, lesion_rows, level_rows, meta : dict of columns, lists of one dict a section, a
        lesion and a vertebral level, dict for the sidecars.
    """
    from interfaces.cord import CordSegmentation

    settings = network_settings(weights_sha256, model_dir, device, omp_nthreads)
    node = pe.Node(
        CordSegmentation(brain_t1w=brain_t1w, **settings),
        name="cord", n_procs=omp_nthreads, mem_gb=3.0,
    )  # fmt: skip
    return wrap(name, node, {"image": "in_file", "disc_labels": "disc_labels"}, RESULTS)
