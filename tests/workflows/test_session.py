"""Which branches a session gets, and that none waits for another."""

import networkx as nx
import pytest
from nipype.pipeline.engine.utils import generate_expanded_graph

from workflows.session import init_session_wf

HASHES = {
    "deepgrai-stage1": "a", "deepgrai-stage2": "b", "opfer-thalamus": "c", "deepscan": "d",
    "lesion-unet": "e", "cord-detector": "f", "cord": "g", "cord-lesions": "h",
}  # fmt: skip
BRANCHES = {"thalamus_flair_wf": "flair", "thalamus_t1w_wf": "t1w"}
LESIONS = {"tasks": ("lesions",), "weights_sha256": HASHES}


@pytest.mark.parametrize(
    ("contrasts", "branches"),
    [
        (("t1w", "flair", "t2w"), {"thalamus_flair_wf", "thalamus_t1w_wf"}),
        (("t1w",), {"thalamus_t1w_wf"}),
        (("flair", "t2w"), {"thalamus_flair_wf"}),
        (("t2w",), set()),
    ],
)
def test_each_contrast_has_its_branch(contrasts, branches):
    workflow = init_session_wf(contrasts=contrasts, weights_sha256=HASHES)
    found = {node.name for node in workflow._graph}
    assert found & set(BRANCHES) == branches
    for name in branches:
        contrast = BRANCHES[name]
        edge = workflow._graph.get_edge_data(
            workflow.get_node("anatomical_wf"), workflow.get_node(name)
        )
        fed = dict(edge["connect"])
        assert fed[f"outputnode.{contrast}_preproc"] == f"inputnode.{contrast}"
        inputs = workflow.get_node(name).get_node("inputnode").inputs.copyable_trait_names()
        assert sorted(fed.values()) == sorted(f"inputnode.{field}" for field in inputs)


def test_no_task_no_branch():
    workflow = init_session_wf(contrasts=("t1w", "flair"), weights_sha256=HASHES, tasks=())
    assert not {node.name for node in workflow._graph} & set(BRANCHES)


def test_only_its_own_weights_redo_a_branch():
    workflow = init_session_wf(contrasts=("t1w", "flair"), weights_sha256=HASHES)
    assert workflow.get_node("thalamus_flair_wf.deepgrai").inputs.weights_sha256 == ["a", "b"]
    assert workflow.get_node("thalamus_t1w_wf.opfer").inputs.weights_sha256 == ["c"]


@pytest.mark.parametrize(("node", "other"), [("opfer", "flair"), ("deepgrai", "t1w")])
def test_a_branch_waits_for_its_own_image_only(node, other):
    """As Nipype runs it: with the identity nodes between the workflows dissolved."""
    workflow = init_session_wf(contrasts=("t1w", "flair"), weights_sha256=HASHES)
    graph = generate_expanded_graph(workflow._create_flat_graph())
    own = {"flair": "t1w", "t1w": "flair"}[other]
    network = next(n for n in graph if n.name == node)
    before = {n.name for n in nx.ancestors(graph, network)}
    assert before == {f"{own}_check", f"{own}_brain_mask", f"{own}_n4"}
    mask = next(n for n in graph if n.name == f"{own}_brain_mask")
    fed = dict(graph.get_edge_data(mask, network)["connect"])
    assert fed["out_mask"] == "brain_mask"
    assert ("method" in fed) == (node == "opfer")


def lesion_inputs(workflow):
    """Input of the lesion node -> (node it comes from, its field), as Nipype runs it."""
    graph = generate_expanded_graph(workflow._create_flat_graph())
    network = next(n for n in graph if n.name == "lesions")
    return {
        field: (node.name, source)
        for node, _, data in graph.in_edges(network, data=True)
        for source, field in data["connect"]
    }


@pytest.mark.parametrize(
    ("contrasts", "first", "moving"),
    [
        (("t1w", "flair", "t2w"), "flair", {"flair", "t2w"}),
        (("flair", "t2w"), "flair", {"t2w"}),
        (("t1w", "t2w"), "t2w", {"t2w"}),
        (("flair",), "flair", set()),
        (("t2w",), "t2w", set()),
    ],
)
def test_lesions_see_every_contrast_and_the_mask_of_the_first(contrasts, first, moving):
    workflow = init_session_wf(contrasts=contrasts, lesion_model="deepscan", **LESIONS)
    found = lesion_inputs(workflow)
    assert found["brain_mask"] == (f"{first}_brain_mask", "out_mask")
    for contrast in contrasts:
        assert found[contrast][0] == f"{contrast}_{'n4' if contrast == 't1w' else 'check'}"
    registered = {f.removesuffix("_to_ref_itk") for f in found if f.endswith("_to_ref_itk")}
    assert registered == moving
    for contrast in moving:
        assert found[f"{contrast}_to_ref_itk"][0] == f"{contrast}_to_ref"
        assert found[f"{contrast}_coreg_flag"][0] == f"{contrast}_to_ref"
    assert found["ref_to_mni_itk"][0] == found["ref_to_mni_flag"][0] == "ref_to_mni"


@pytest.mark.parametrize("settings", [{"tasks": ("thalamus",)}, {"contrasts": ("t1w",)}])
def test_without_the_task_or_its_images_there_is_no_lesion_branch(settings):
    workflow = init_session_wf(**({"contrasts": ("t1w", "flair")} | LESIONS | settings))
    assert workflow.get_node("lesions_wf") is None


@pytest.mark.parametrize(
    ("contrasts", "built"), [(("t1w", "t2w"), False), (("t1w", "t2w", "flair"), True)]
)
def test_a_network_that_needs_flair_is_not_asked_without(contrasts, built, monkeypatch):
    monkeypatch.setattr("workflows.session.lesion_contrasts", lambda *_: ("FLAIR",))
    workflow = init_session_wf(contrasts=contrasts, **LESIONS)
    assert (workflow.get_node("lesions_wf") is not None) == built


@pytest.mark.parametrize(("model", "digest"), [("deepscan", "d"), ("unet", "e")])
def test_lesion_settings_reach_the_branch(model, digest):
    workflow = init_session_wf(
        contrasts=("t1w", "flair"), lesion_model=model, lesion_filling=True, random_seed=5,
        **LESIONS,
    )  # fmt: skip
    inputs = workflow.get_node("lesions_wf.lesions").inputs
    assert (inputs.lesion_model, inputs.weights_sha256) == (model, [digest])
    assert (inputs.fill_t1w, inputs.random_seed) == (True, 5)


def test_thalami_do_not_wait_for_lesions():
    workflow = init_session_wf(
        contrasts=("t1w", "flair"), tasks=("thalamus", "lesions"), weights_sha256=HASHES
    )
    graph = generate_expanded_graph(workflow._create_flat_graph())
    for node in graph:
        if node.name in ("deepgrai", "opfer"):
            assert "lesions" not in {n.name for n in nx.ancestors(graph, node)}
        if node.name == "lesions":
            assert not {"deepgrai", "opfer"} & {n.name for n in nx.ancestors(graph, node)}


CORD = {"tasks": ("cord",), "weights_sha256": HASHES}


def cord_inputs(workflow):
    """Name of each cord branch -> the field of the session's input node that it gets."""
    inputnode = workflow.get_node("inputnode")
    found = {}
    for node in workflow._graph:
        if node.name.startswith("cord_"):
            edge = workflow._graph.get_edge_data(inputnode, node)["connect"]
            ((source, target),) = edge
            assert target == "inputnode.image"
            found[node.name] = source
    return found


@pytest.mark.parametrize(
    ("contrasts", "cord", "branches"),
    [
        ((), ("T2w",), {"cord_T2w_wf": "cord_T2w"}),
        (("t1w",), ("acqx_T2w", "T2starw"),
         {"cord_acqx_T2w_wf": "cord_acqx_T2w", "cord_T2starw_wf": "cord_T2starw"}),
        (("t1w", "flair"), (), {"cord_t1w_wf": "t1w"}),
        (("flair",), (), {}),
    ],
)  # fmt: skip
def test_every_cord_image_has_its_branch_and_else_the_t1w(contrasts, cord, branches, monkeypatch):
    monkeypatch.setattr("networks.weights.has_card", lambda name, model_dir=None: True)
    monkeypatch.setattr("networks.weights.read_card", lambda name, model_dir=None: {"input": {}})
    workflow = init_session_wf(contrasts=contrasts, cord=cord, **CORD)
    assert cord_inputs(workflow) == branches
    assert (workflow.get_node("anatomical_wf") is None) == (not contrasts)
    for name in branches:
        inputs = workflow.get_node(f"{name}.cord").inputs
        assert inputs.weights_sha256 == ["f", "g", "h"]
        assert inputs.brain_t1w == (name == "cord_t1w_wf")


def test_without_weights_for_its_lesions_the_cord_depends_on_the_others(monkeypatch):
    monkeypatch.setattr("networks.weights.has_card", lambda name, model_dir=None: False)
    workflow = init_session_wf(contrasts=(), cord=("T2w",), **CORD)
    assert workflow.get_node("cord_T2w_wf.cord").inputs.weights_sha256 == ["f", "g"]


def test_the_cord_is_left_alone_unless_asked_for():
    workflow = init_session_wf(contrasts=("t1w",), cord=("T2w",), weights_sha256=HASHES)
    assert not cord_inputs(workflow)


def test_the_cord_waits_for_no_brain():
    workflow = init_session_wf(contrasts=("t1w", "flair"), **CORD)
    graph = generate_expanded_graph(workflow._create_flat_graph())
    node = next(n for n in graph if n.name == "cord")
    assert not nx.ancestors(graph, node)
