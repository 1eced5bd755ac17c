"""The training loop: learns, checkpoints, resumes to the same weights."""

import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from training.loop import Settings, Task, Trainer, _running_mean, channels_last


class Blobs(torch.utils.data.Dataset):
    """Bright boxes on noise, made from the sample's index."""

    def __init__(self, start, length):
        self.start, self.length = start, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(self.start + index)
        target = torch.zeros(1, 8, 8, 8)
        x, y, z = torch.randint(0, 4, (3,), generator=generator).tolist()
        target[:, x : x + 4, y : y + 4, z : z + 4] = 1
        return target + 0.1 * torch.randn(target.shape, generator=generator), target


def make_trainer(folder, steps):
    """A trainer of a one-convolution network."""
    torch.manual_seed(0)
    network = torch.nn.Conv3d(1, 1, 3, padding=1)

    def validate(net):
        image, target = Blobs(10_000, 1)[0]
        return ((net(image[None])[0] > 0) == (target > 0)).float().mean().item()

    loss = torch.nn.BCEWithLogitsLoss()
    settings = Settings(
        steps=steps, learning_rate=0.05, validate_every=10, workers=0, averaging=0.5
    )
    return Trainer(Task("tiny", network, Blobs, loss, validate), settings, folder)


def test_loop_learns_and_logs(tmp_path):
    trainer = make_trainer(tmp_path, 60)
    weights = trainer.train()
    assert weights.exists()
    assert trainer.best > 0.9
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert rows[0].startswith("step,")
    assert len(rows) == 7


def test_resumed_run_reaches_the_same_weights(tmp_path):
    whole = make_trainer(tmp_path / "whole", 30).train()
    first = make_trainer(tmp_path / "parts", 30)
    first.settings.minutes = 0.0  # stops after one step
    first.train()
    assert first.step == 1
    second = make_trainer(tmp_path / "parts", 30)
    second.resume()
    assert second.step == 1
    parts = second.train()
    for name, tensor in load_file(whole).items():
        assert torch.equal(tensor, load_file(parts)[name])


@pytest.mark.slow
def test_killed_run_resumes_to_the_same_weights(tmp_path):
    """kill -9 in the middle, then --resume: bit for bit the weights of an uninterrupted run."""
    script = (
        "import sys, pathlib; from tests.training.test_loop import make_trainer;"
        "trainer = make_trainer(pathlib.Path(sys.argv[1]), 400);"
        "trainer.settings.checkpoint_minutes = 0.0005; trainer.resume(); trainer.train()"
    )
    words = [sys.executable, "-c", script]
    subprocess.run([*words, tmp_path / "whole"], check=True)
    process = subprocess.Popen([*words, tmp_path / "parts"])
    checkpoint = tmp_path / "parts/checkpoint.pt"
    end = time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < end:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "parts/tiny.safetensors").exists()
    assert 0 < torch.load(checkpoint, weights_only=True)["step"] < 400
    subprocess.run([*words, tmp_path / "parts"], check=True)
    whole, parts = (load_file(tmp_path / name / "tiny.safetensors") for name in ("whole", "parts"))
    for name, tensor in whole.items():
        assert torch.equal(tensor, parts[name])


def test_a_gradient_that_is_no_number_stops_the_run(tmp_path):
    """One step with it would lose the network."""
    trainer = make_trainer(tmp_path, 5)
    trainer.task.loss = lambda prediction, target: (prediction * float("nan")).mean()
    before = [weights.clone() for weights in trainer.network.parameters()]
    with pytest.raises(FloatingPointError, match="not finite at step 0"):
        trainer.train()
    for weights, kept in zip(trainer.network.parameters(), before, strict=True):
        assert torch.equal(weights, kept)


def test_convolutions_of_both_kinds_are_channels_last():
    network = torch.nn.ModuleList([torch.nn.Conv2d(3, 4, 3), torch.nn.Conv3d(3, 4, 3)])
    flat, solid = channels_last(network)
    assert flat.weight.is_contiguous(memory_format=torch.channels_last)
    assert solid.weight.is_contiguous(memory_format=torch.channels_last_3d)


def test_the_mean_of_the_weights_forgets_where_they_began():
    network = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.BatchNorm1d(1))
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=_running_mean(0.998), use_buffers=True
    )
    with torch.no_grad():
        for step in range(60):
            network[0].weight.fill_(0.0 if step == 0 else 1.0)
            network[1].running_var.fill_(100.0 if step == 0 else 1.0)
            averaged.update_parameters(network)
    weight, statistics = averaged.module[0].weight, averaged.module[1]
    assert weight.item() == pytest.approx(1.0, abs=1e-3)  # 0.998 alone leaves 0.11
    assert statistics.running_var.item() == pytest.approx(1.0, abs=0.1)
    assert statistics.num_batches_tracked.item() == 0
    with torch.no_grad():
        for _ in range(3):
            network[0].weight.fill_(2.0)
            averaged.update_parameters(network)
    assert 1.1 < weight.item() < 1.5
