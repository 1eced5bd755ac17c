"""The cord's branch by itself: one node."""

from workflows.cord import RESULTS, init_cord_wf


def test_every_output_has_its_field():
    node = init_cord_wf(weights_sha256=[]).get_node("cord")
    traits = node.interface.output_spec().copyable_trait_names()
    assert sorted(RESULTS.values()) == sorted(traits)


def test_settings_reach_the_node():
    node = init_cord_wf(
        weights_sha256=["a", "b", "c"], brain_t1w=True, model_dir="/models", device="cuda:1",
        omp_nthreads=3,
    ).get_node("cord")  # fmt: skip
    inputs = node.inputs
    assert (inputs.weights_sha256, inputs.brain_t1w) == (["a", "b", "c"], True)
    assert (inputs.model_dir, inputs.device, inputs.num_threads) == ("/models", "cuda:1", 3)
    assert inputs.use_gpu
    assert node.n_procs == 3
