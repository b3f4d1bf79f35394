"""The loop of every engine, with the smallest learner that there is: a line through points."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from core.training import generations, random_state, saving
from core.training.descent import Descent, adamw, choose_precision, frozen
from core.training.learner import Learner
from core.training.loop import Fit, Loop
from core.training.metrics import MetricsLog
from core.training.options import TrainOptions
from core.training.pace import Pace
from core.training.runs import Run, RunInfo, create_run
from tests.training.trainers import CPU, Watch, differences


@dataclass(frozen=True)
class Points:
    """x, y [B, 1]."""

    x: torch.Tensor
    y: torch.Tensor

    def to(self, device: torch.device | str) -> Self:
        return type(self)(self.x.to(device, non_blocking=True), self.y.to(device, non_blocking=True))

    def pin(self) -> Self:
        return type(self)(self.x.pin_memory(), self.y.pin_memory())


class Line:
    """Batches of points on a line, each a function of its place."""

    batch_size, steps_per_epoch = 4, 3

    def batch(self, epoch: int, place: int, part: int = 0, parts: int = 1) -> Points:
        draw = torch.Generator().manual_seed(100 * epoch + place)
        x = torch.randn(self.batch_size, 1, generator=draw).chunk(parts)[part]
        return Points(x, 3 * x + 1)


class LineLearner(Learner[Points]):
    """Least squares with noise on x, so that randomness counts."""

    base_learning_rate = 0.1

    def __init__(self, adapter_only: bool = False) -> None:
        self.modules = {"line": nn.Linear(1, 1)}
        if adapter_only:
            self.modules["line"].weight.requires_grad_(False)  # type: ignore[union-attr]
        self.adapter_only = adapter_only

    def learn(
        self, parts: Sequence[tuple[int, Points]], step: int, optimisers: dict[str, Optimizer], by: Descent
    ) -> None:
        for index, points in parts:
            random_state.seed_part(7, step, index, 0)
            with by.autocast():
                guess = self.modules["line"](points.x + 0.01 * torch.randn_like(points.x))
                loss = (guess.float() - points.y).square().mean()
            by.window.add("loss/total", loss)
            by.backward(loss, len(parts))
        by.window.add("grad_norm", by.descend(optimisers["line"], max_norm=5.0))

    def state(self, name: str) -> dict[str, torch.Tensor]:
        return {k: v for k, v in super().state(name).items() if not self.adapter_only or k == "bias"}

    def load(self, name: str, tensors: dict[str, torch.Tensor], where: str) -> None:
        if not self.adapter_only:
            return super().load(name, tensors, where)
        self.modules[name].load_state_dict(tensors, strict=False)
        return None


def options(**more: object) -> TrainOptions:
    base = {"voice": "v", "steps": 8, "save_every_steps": 3, "log_every_steps": 2, "keep": 3, "keep_light": 0}
    return TrainOptions.model_validate({**base, **more})


def loop_of(run: Run, chosen: TrainOptions, *, half: bool = False, adapter_only: bool = False) -> Loop[Points]:
    torch.manual_seed(chosen.seed)
    loop = Loop(run, RunInfo(run.name, "v", "p", ""), LineLearner(adapter_only), Line(), chosen, CPU, {})
    if half:  # what a GPU without bfloat16 uses; a CPU can do it too
        loop.by = Descent(CPU, "fp16")
        loop.by.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    return loop


def fit(loop: Loop[Points], ctx: Watch | None = None) -> Fit:
    with MetricsLog(loop.run.path) as metrics:
        return loop.fit(ctx or Watch(), metrics)


def end_of(run: Run) -> generations.Generation:
    found = generations.load_newest(run.checkpoints)[0]
    assert found is not None
    return found


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("adapter_only", [False, True])
@pytest.mark.parametrize("stop_after", [1, 4])
def test_any_engine_goes_on_bit_for_bit(tmp_path: Path, half: bool, adapter_only: bool, stop_after: int) -> None:
    whole = loop_of(create_run(tmp_path, "whole", "v", "p"), options(), half=half, adapter_only=adapter_only)
    assert fit(whole) == Fit(8, False)
    run = create_run(tmp_path, "cut", "v", "p")
    first = loop_of(run, options(), half=half, adapter_only=adapter_only)
    assert fit(first, Watch(stop_after)) == Fit(stop_after, True)
    run.write(first.info)
    again = loop_of(run, options(), half=half, adapter_only=adapter_only)
    assert again.restore()
    assert again.step == stop_after
    fit(again)
    assert differences(end_of(whole.run), end_of(run)) == []
    if half:
        assert end_of(run).state["scaler"]["scale"] != 1024.0, "the scale has grown, so it was there to be lost"
    assert set(end_of(run).tensors["line"]) == ({"bias"} if adapter_only else {"bias", "weight"})
    rows = [[row["loss/total"] for row in r.metrics()] for r in (whole.run, run)]
    assert rows[0][-3:] == rows[1][-3:]
    assert all(math.isfinite(loss) for loss in rows[1])


def test_a_step_that_overflows_in_half_precision_is_skipped_and_the_scale_falls(tmp_path: Path) -> None:
    loop = loop_of(create_run(tmp_path, "r", "v", "p"), options(), half=True)
    loop.by.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    before = loop.learner.modules["line"].weight.detach().clone()  # type: ignore[operator,union-attr]
    with loop.stream() as stream:
        loop.one_step(stream)
    assert torch.equal(before, loop.learner.modules["line"].weight)  # type: ignore[arg-type]
    assert loop.by.scaler.get_scale() < 2.0**127


def test_a_cpu_computes_in_full_precision_whatever_is_wished() -> None:
    assert {choose_precision(wish, CPU) for wish in ("auto", "fp32", "fp16", "bf16")} == {"fp32"}  # type: ignore[arg-type]


def test_frozen_modules_thaw_as_they_were() -> None:
    line = nn.Linear(1, 1)
    line.bias.requires_grad_(False)
    with frozen([line]):
        assert not any(p.requires_grad for p in line.parameters())
    assert [line.weight.requires_grad, line.bias.requires_grad] == [True, False]


def test_clipping_bounds_the_step_and_tells_the_norm() -> None:
    weight = nn.Parameter(torch.zeros(2))
    by, optimiser = Descent(CPU, "fp32"), torch.optim.SGD([weight], lr=1.0)
    by.backward((weight * torch.tensor([3.0, 4.0])).sum())
    assert float(by.descend(optimiser, max_norm=1.0)) == pytest.approx(5.0)
    assert torch.allclose(weight, torch.tensor([-0.6, -0.8]), atol=1e-5)
    assert isinstance(adamw([weight], 0.1, CPU), torch.optim.AdamW)


def test_time_left_follows_the_pace_and_is_never_negative() -> None:
    now = 100.0
    pace = Pace(lambda: now)
    pace.begin(10)
    now += 20.0
    assert pace.left_s(20, 60) == pytest.approx(80.0)
    now += 80.0  # a save on a slow disk shakes it a little only
    assert 60.0 < pace.left_s(30, 60) < 250.0
    assert pace.left_s(70, 60) == 0.0


def test_a_disk_that_is_full_at_the_export_makes_a_finished_run_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.errors import NoSpace
    from core.training.job import Session
    from core.training.parallel import ALONE

    monkeypatch.setattr(saving, "RETRY_S", 0.01)
    run = create_run(tmp_path, "r", "v", "p")
    info = RunInfo("r", "v", "p", "", step=5, steps=5)
    tries: list[bool] = []

    def export(verify: bool) -> tuple[Path, dict[str, float]]:
        tries.append(verify)
        if len(tries) < 3:
            raise NoSpace("The disk is full: the voice needs 9 MB.", "Free that much.")
        return tmp_path / "voice", {"peak": 0.5}

    class Ctx(Watch):
        cancel_requested = False

    ctx = Ctx()
    session = Session(run, info, options(), ctx, CPU, ALONE, 1)  # type: ignore[arg-type]
    result = session.finish(Fit(5, False), export)
    assert (info.state, result["model"], result["probe"]) == ("completed", str(tmp_path / "voice"), {"peak": 0.5})
    assert tries == [True] * 3
    assert "Paused" in ctx.messages[0]
    ctx.cancel_requested = True
    tries.clear()
    assert session.finish(Fit(5, False), export)["stopped"]
    assert info.state == "stopped"
