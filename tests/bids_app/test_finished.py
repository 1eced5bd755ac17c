"""What makes a finished step stale: other code, weights or options, and nothing else."""

import pytest

from bids_app import finished


def test_other_code_makes_a_session_anew(tmp_path, monkeypatch):
    folder = tmp_path / "sub_01_wf"
    finished.keep_if_current(folder)
    (folder / "node").mkdir()
    finished.keep_if_current(folder)
    assert (folder / "node").is_dir()
    monkeypatch.setattr(finished, "code_fingerprint", lambda: "other")
    finished.keep_if_current(folder)
    assert [path.name for path in folder.iterdir()] == [finished.STAMP]


def test_a_folder_without_a_stamp_is_not_trusted(tmp_path):
    folder = tmp_path / "sub_01_wf"
    (folder / "node").mkdir(parents=True)
    finished.keep_if_current(folder)
    assert not (folder / "node").exists()


@pytest.mark.parametrize("change", ["threshold", "library"])
def test_thresholds_and_libraries_are_part_of_the_code(tmp_path, monkeypatch, change):
    for package in ("bids_app", "measures", "networks", "interfaces", "workflows"):
        (tmp_path / package).mkdir()
    (tmp_path / "bids_app" / "sinks.py").touch()
    source = tmp_path / "measures" / "thalamus.py"
    source.write_text("LIMIT = 0.5\n")
    monkeypatch.setattr(finished, "__file__", str(tmp_path / "bids_app" / "finished.py"))
    fingerprint = finished.code_fingerprint.__wrapped__
    before = fingerprint()
    assert fingerprint() == before
    if change == "threshold":
        source.write_text("LIMIT = 0.6\n")
    else:
        monkeypatch.setattr(finished.metadata, "version", lambda name: "0")
    assert fingerprint() != before


def hashes(workflow) -> dict[str, str]:
    """Nipype's hash of every step's inputs, as far as they are known before the run.

    Steps that write derivatives and measures run always.
    """
    return {
        node.fullname: node.interface.inputs.get_hashval()[1]
        for node in workflow._get_all_nodes()
        if not node.interface.always_run
    }


def test_options_that_change_no_number_change_no_hash(session_graph):
    images = {"t1w": "", "flair": ""}
    plain = hashes(session_graph(images, nprocs=1, omp_nthreads=1))
    other = hashes(
        session_graph(images, nprocs=8, omp_nthreads=4, device="cuda:0", mem_gb=3.0, verbose=2)
    )
    assert other == plain
    changed = hashes(session_graph(images, skull_strip="force", random_seed=2))
    names = {name.rsplit(".", 1)[-1] for name in plain if plain[name] != changed[name]}
    assert {"t1w_brain_mask", "flair_brain_mask", "flair_to_ref", "ref_to_mni"} <= names
    assert "t1w_check" not in names


def test_other_weights_change_the_hash_of_their_network_alone(session_graph, monkeypatch):
    from tests.bids_app import conftest

    plain = hashes(session_graph({"t1w": "", "flair": ""}))
    cards = [dict(card) for card in conftest.CARDS]
    next(card for card in cards if card["name"] == "opfer-thalamus")["sha256"] = "other"
    monkeypatch.setitem(session_graph.__globals__, "CARDS", cards)
    changed = hashes(session_graph({"t1w": "", "flair": ""}))
    assert [n.rsplit(".", 1)[-1] for n in plain if plain[n] != changed[n]] == ["opfer"]
