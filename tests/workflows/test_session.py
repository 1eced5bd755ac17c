"""Which branches a session gets, and that none waits for another."""

import networkx as nx
import pytest
from nipype.pipeline.engine.utils import generate_expanded_graph

from workflows.session import init_session_wf

HASHES = {"deepgrai-stage1": "a", "deepgrai-stage2": "b", "opfer-thalamus": "c"}
BRANCHES = {"thalamus_flair_wf": "flair", "thalamus_t1w_wf": "t1w"}


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
