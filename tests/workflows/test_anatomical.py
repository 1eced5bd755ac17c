import itertools

import networkx as nx
import pytest

from workflows.anatomical import init_anatomical_wf, output_fields

CASES = [c for c in itertools.product([True, False], repeat=3) if any(c)]


@pytest.mark.parametrize("case", CASES)
def test_every_combination_of_contrasts_builds(case):
    t1w, flair, t2w = case
    workflow = init_anatomical_wf(t1w=t1w, flair=flair, t2w=t2w)
    graph = workflow._graph
    names = {node.name for node in graph}
    present = [c for c, there in zip(("T1w", "FLAIR", "T2w"), case, strict=True) if there]
    for c in (p.lower() for p in present):
        assert {f"{c}_check", f"{c}_brain_mask", f"{c}_n4"} <= names
    moving = {f"{c.lower()}_to_ref" for c in present[1:]}
    assert {n for n in names if n.endswith("_to_ref")} == moving
    assert "ref_to_mni" in names
    assert all(node.n_procs == 1 for node in graph if hasattr(node, "n_procs"))
    outputnode = workflow.get_node("outputnode")
    fed = {dest for _, _, d in graph.in_edges(outputnode, data=True) for _, dest in d["connect"]}
    assert fed == set(output_fields(present)) == set(outputnode.outputs.copyable_trait_names())


def test_no_contrast_waits_for_another():
    workflow = init_anatomical_wf(t1w=True, flair=True, t2w=True)
    graph = workflow._graph
    for c in ("t1w", "flair", "t2w"):
        before = {n.name for n in nx.ancestors(graph, workflow.get_node(f"{c}_n4"))}
        assert before == {"inputnode", f"{c}_check", f"{c}_brain_mask"}
    before = {n.name for n in nx.ancestors(graph, workflow.get_node("flair_to_ref"))}
    assert not any(n.startswith("t2w") for n in before)


def test_nothing_to_do_is_an_error():
    with pytest.raises(ValueError, match="T1w"):
        init_anatomical_wf(t1w=False, flair=False, t2w=False)


def test_seed_and_skull_strip_reach_the_nodes():
    workflow = init_anatomical_wf(
        t1w=True, flair=True, t2w=False, skull_strip="skip", random_seed=9
    )
    assert workflow.get_node("flair_brain_mask").inputs.skull_strip == "skip"
    assert workflow.get_node("flair_to_ref").inputs.random_seed == 9
    assert workflow.get_node("ref_to_mni").inputs.random_seed == 9
