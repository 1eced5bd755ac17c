"""The enhancement branch: it needs all contrasts and the lesion branch."""

import pytest

from workflows.enhancement import RESULTS, init_enhancement_wf
from workflows.session import init_session_wf

HASHES = {"lesion-unet": "a", "enhancement": "b"}


def test_every_output_has_its_field():
    node = init_enhancement_wf(weights_sha256=[]).get_node("enhancement")
    traits = node.interface.output_spec().copyable_trait_names()
    assert sorted(RESULTS.values()) == sorted(traits)


def test_everything_the_interface_needs_reaches_it():
    workflow = init_session_wf(
        contrasts=("t1w", "flair", "t2w"), tasks=("lesions", "enhancement"), weights_sha256=HASHES
    )
    branch = workflow.get_node("enhancement_wf")
    edges = workflow._graph.in_edges(branch, data=True)
    fed = {field for _, _, data in edges for _, field in data["connect"]}
    wanted = branch.get_node("inputnode").inputs.copyable_trait_names()
    assert fed == {f"inputnode.{name}" for name in wanted}
    inner = branch.get_node("enhancement").inputs
    given = {dest for _, _, data in branch._graph.in_edges(
        branch.get_node("enhancement"), data=True) for _, dest in data["connect"]}  # fmt: skip
    assert {"t1w", "flair", "t2w", "brain_mask", "lesion_mask", "lesion_measures"} <= given
    assert inner.weights_sha256 == ["b"]


@pytest.mark.parametrize(
    ("contrasts", "tasks"),
    [(("t1w", "flair"), ("lesions", "enhancement")), (("t1w", "flair", "t2w"), ("lesions",))],
)
def test_without_a_contrast_or_unasked_there_is_no_branch(contrasts, tasks):
    workflow = init_session_wf(contrasts=contrasts, tasks=tasks, weights_sha256=HASHES)
    assert workflow.get_node("enhancement_wf") is None
