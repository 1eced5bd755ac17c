"""The training loop that every network shares: checkpoints, schedule, validation, log."""

from __future__ import annotations

import csv
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from networks.device import fast_autocast
from networks.weights import save
from training.pictures import save_picture, volume_layers

LOGGER = logging.getLogger("msmorph.train")
LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}  # by number of dimensions


@dataclass
class Task:
    """What one network brings to the loop.

    ``samples(start, length)`` returns a dataset whose first item is training sample ``start``;
    ``loss(prediction, target)`` a scalar tensor of what the network returns, in float32;
    ``validate(network)`` a score, higher is better, in evaluation mode and gradients off.
    ``pictured`` are the pairs (image, target) shown in ``progress.png`` at every validation, by
    ``layers``. ``join`` is the loader's collate function; ``on_cpu`` says that samples are made on
    the CPU on any device.
    """

    name: str
    network: torch.nn.Module
    samples: Callable[[int, int], torch.utils.data.Dataset]
    loss: Callable
    validate: Callable[[torch.nn.Module], float]
    pictured: list = field(default_factory=list)
    layers: Callable = volume_layers
    join: Callable | None = None
    on_cpu: bool = False


@dataclass
class Settings:
    """How long and how to train. The paper's values: learning rate 1e-4, batch 16, plateau."""

    steps: int
    minutes: float = math.inf
    batch: int = 2
    learning_rate: float = 1e-3
    weight_decay: float = 1e-7
    schedule: str = "cosine"
    averaging: float = 0.998
    validate_every: int = 250
    checkpoint_minutes: float = 3.0
    workers: int = 1
    device: str = "cpu"


def atomic_save(state, path: Path) -> None:
    """Save with torch under a temporary name, then rename."""
    aside = path.with_suffix(".partial")
    torch.save(state, aside)
    os.replace(aside, path)


def channels_last(network: torch.nn.Module) -> torch.nn.Module:
    """The network with its 2D and 3D convolutions in the layout that CPUs and GPUs do fastest."""
    for weights in network.parameters():
        if weights.ndim in LAYOUTS:
            weights.data = weights.data.contiguous(memory_format=LAYOUTS[weights.ndim])
    return network


def _running_mean(decay: float):
    """Exponential mean of weights, shorter at first, so that the initial weights leave it soon."""

    def update(averaged, current, count):
        kept = min(decay, (1 + float(count)) / (10 + float(count)))
        for mean, new in zip(averaged, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(new, 1 - kept)
            else:
                mean.copy_(new)

    return update


def _schedulers(optimiser, settings: Settings):
    if settings.schedule == "plateau":
        return torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, mode="max", factor=0.5)
    warm = min(100, max(1, settings.steps // 20))

    def rate(step):
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * min(1.0, step / settings.steps))) + 1e-3

    return torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


class Trainer:
    """Trains a Task; ``checkpoint.pt`` in ``output`` holds all that a resume needs."""

    def __init__(self, task: Task, settings: Settings, output: Path):
        self.task, self.settings, self.output = task, settings, Path(output)
        self.output.mkdir(parents=True, exist_ok=True)
        self.network = channels_last(task.network.to(settings.device))
        # With its buffers: statistics of batch norm belong to the weights they were seen with.
        self.averaged = torch.optim.swa_utils.AveragedModel(
            self.network, multi_avg_fn=_running_mean(settings.averaging), use_buffers=True
        )
        self.optimiser = torch.optim.Adam(
            self.network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.scheduler = _schedulers(self.optimiser, settings)
        self.step, self.seconds, self.best = 0, 0.0, -math.inf

    @property
    def checkpoint(self) -> Path:
        """The path of the checkpoint."""
        return self.output / "checkpoint.pt"

    def resume(self) -> None:
        """Continue from the checkpoint, if there is one."""
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, weights_only=True)
        for name in ("network", "averaged", "optimiser", "scheduler"):
            getattr(self, name).load_state_dict(state[name])
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
        LOGGER.info("%s: resuming at step %d", self.task.name, self.step)

    def save(self) -> None:
        """Write the checkpoint."""
        names = ("network", "averaged", "optimiser", "scheduler")
        state = {name: getattr(self, name).state_dict() for name in names}
        state |= {"step": self.step, "seconds": self.seconds, "best": self.best}
        atomic_save(state, self.checkpoint)

    def train(self) -> Path:
        """Train to the step or the time limit. Returns the path of the averaged weights."""
        settings, began, saved = self.settings, time.monotonic() - self.seconds, time.monotonic()
        first = self.step * settings.batch
        data = self.task.samples(first, (settings.steps - self.step) * settings.batch)
        loader = torch.utils.data.DataLoader(
            data, settings.batch, num_workers=settings.workers, worker_init_fn=_one_thread,
            collate_fn=self.task.join,
        )  # fmt: skip
        recent = []
        for image, target in loader:
            recent.append(self._update(image, target))
            self.seconds = time.monotonic() - began
            out_of_time = self.seconds > 60 * settings.minutes
            last = out_of_time or self.step == settings.steps
            if self.step % settings.validate_every == 0 or last:
                self._report(sum(recent) / len(recent))
                recent = []
            if time.monotonic() - saved > 60 * settings.checkpoint_minutes or last:
                self.save()
                saved = time.monotonic()
            if last:
                break
        return self._export()

    def _update(self, image, target) -> float:
        device = self.settings.device
        image = image.to(device, memory_format=LAYOUTS[image.ndim])
        with fast_autocast(device):
            prediction = self.network(image)
        loss = self.task.loss(_in_float32(prediction), target.to(device))
        self.optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        if not math.isfinite(norm.item()):  # one step with it would lose the network
            raise FloatingPointError(f"the gradient is not finite at step {self.step}")
        self.optimiser.step()
        if self.settings.schedule != "plateau":
            self.scheduler.step()
        self.averaged.update_parameters(self.network)
        self.step += 1
        return loss.item()

    def _report(self, loss: float) -> None:
        network = self.averaged.module.eval()
        with torch.no_grad(), fast_autocast(self.settings.device):
            score = self.task.validate(network)
            if self.task.pictured:
                picture = self.output / "progress.png"
                save_picture(network, self.task.pictured, picture, self.task.layers)
        if self.settings.schedule == "plateau":
            self.scheduler.step(score)
        self.best = max(self.best, score)
        rate = self.optimiser.param_groups[0]["lr"]
        row = [self.step, round(self.seconds), f"{rate:.2e}", f"{loss:.4f}", f"{score:.4f}"]
        log = self.output / "log.csv"
        new = not log.exists()
        with log.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["step", "seconds", "learning_rate", "loss", "validation"])
            writer.writerow(row)
        LOGGER.info("%s: step %s, %s s, rate %s, loss %s, validation %s", self.task.name, *row)

    def _export(self) -> Path:
        path = self.output / f"{self.task.name}.safetensors"
        save(self.averaged.module, path)
        return path


def _in_float32(prediction):
    """One output, or a list of them (deep supervision), in full precision."""
    return [p.float() for p in prediction] if isinstance(prediction, list) else prediction.float()


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)
