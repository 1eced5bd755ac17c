"""The lesion branch by itself: one node, fed with what there is."""

import pytest

from workflows.lesions import RESULTS, init_lesions_wf


def fed(workflow, node):
    """Fields of a node that something leads to."""
    edges = workflow._graph.in_edges(workflow.get_node(node), data=True)
    return {dest for _, _, data in edges for _, dest in data["connect"]}


@pytest.mark.parametrize(
    ("contrasts", "reference", "registered"),
    [
        (("flair",), "flair", set()),
        (("t2w",), "t2w", set()),
        (("flair", "t2w"), "flair", {"t2w"}),
        (("t1w", "t2w"), "t1w", {"t2w"}),
        (("t1w", "flair", "t2w"), "t1w", {"flair", "t2w"}),
    ],
)
def test_the_node_gets_what_the_session_has(contrasts, reference, registered):
    workflow = init_lesions_wf(contrasts=contrasts, reference=reference, weights_sha256=["a"])
    wanted = {*contrasts, "brain_mask", "ref_to_mni_itk", "ref_to_mni_flag"}
    wanted |= {f"{c}_{what}" for c in registered for what in ("to_ref_itk", "coreg_flag")}
    assert fed(workflow, "lesions") == wanted
    assert set(workflow.inputs.inputnode.copyable_trait_names()) == wanted
    assert fed(workflow, "outputnode") == set(RESULTS)


def test_every_output_has_its_field():
    node = init_lesions_wf(contrasts=("flair",), reference="flair", weights_sha256=[])
    traits = node.get_node("lesions").interface.output_spec().copyable_trait_names()
    assert sorted(RESULTS.values()) == sorted(traits)


@pytest.mark.parametrize("contrasts", [("t1w",), ()])
def test_neither_flair_nor_t2w_is_an_error(contrasts):
    with pytest.raises(ValueError, match="FLAIR or a T2w"):
        init_lesions_wf(contrasts=contrasts, reference="t1w", weights_sha256=[])


@pytest.mark.parametrize(("contrasts", "filled"), [(("t1w", "flair"), True), (("flair",), False)])
def test_settings_reach_the_node(contrasts, filled):
    node = init_lesions_wf(
        contrasts=contrasts, reference=contrasts[0], weights_sha256=["a"], lesion_model="unet",
        fill_t1w=True, model_dir="/models", device="cuda:1", omp_nthreads=3, random_seed=9,
    ).get_node("lesions")  # fmt: skip
    inputs = node.inputs
    assert (inputs.lesion_model, inputs.weights_sha256, inputs.random_seed) == ("unet", ["a"], 9)
    assert inputs.fill_t1w is filled  # there must be a T1w to fill
    assert (inputs.model_dir, inputs.device, inputs.num_threads) == ("/models", "cuda:1", 3)
    assert inputs.use_gpu
    assert node.n_procs == 3
