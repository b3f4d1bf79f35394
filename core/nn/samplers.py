"""The ways from noise to a mel: ancestral sampling, DDIM, PNDM, DPM-Solver, DPM-Solver++ and UniPC.

Each is a function of (model, schedule, x, n_steps, ...): `model(x, t)` gives the noise in x [B, 1, M, T] at step t [B];
x is at step `n_steps - 1` of the schedule; the result is clean. `interval` is how many steps are taken at once.
Papers: Ho et al. 2020 (DDPM); Song et al. 2021 (DDIM); Liu et al. 2022 (PNDM); Lu et al. 2022 (DPM-Solver and ++);
Zhao et al. 2023 (UniPC, with B(h) = e^h - 1).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from core.nn.noise import Noise
from core.nn.schedule import ContinuousSchedule, NoiseSchedule

Model = Callable[[Tensor, Tensor], Tensor]
Progress = Callable[[float], None]
FEW_STEPS = 10
"""Below so many steps DPM-Solver's last one is of first order, which is steadier."""


def _at(step: int, x: Tensor) -> Tensor:
    return torch.full((x.shape[0],), step, device=x.device, dtype=torch.long)


def ddpm(model: Model, schedule: NoiseSchedule, x: Tensor, n_steps: int, noise: Noise, progress: Progress) -> Tensor:
    """Every step, each with fresh noise; the clean estimate is kept within -1..1."""
    for t in reversed(range(n_steps)):
        clean = schedule.clean_of(x, t, model(x, _at(t, x))).clamp(-1.0, 1.0)
        mean, log_variance = schedule.posterior(clean, x, t)
        fresh = noise.normal(x.shape, x)  # drawn at the last step too, where it is not used: seeds mean the same
        x = mean + torch.exp(0.5 * log_variance) * fresh if t > 0 else mean
        progress(1 - t / n_steps)
    return x


def ddim_step(schedule: NoiseSchedule, x: Tensor, t: int, interval: int, eps: Tensor) -> Tensor:
    """x at step t - interval (0 at the least) along the deterministic path through `eps`, the noise at t."""
    here, there = schedule.at("alphas_cumprod", t), schedule.at("alphas_cumprod", max(t - interval, 0))
    return there.sqrt() * (x / here.sqrt() + (((1 - there) / there).sqrt() - ((1 - here) / here).sqrt()) * eps)


def ddim(model: Model, schedule: NoiseSchedule, x: Tensor, n_steps: int, interval: int, progress: Progress) -> Tensor:
    """Deterministic, one network call a step."""
    for t in reversed(range(0, n_steps, interval)):
        x = ddim_step(schedule, x, t, interval, model(x, _at(t, x)))
        progress(1 - t / n_steps)
    return x


def _transfer(schedule: NoiseSchedule, x: Tensor, t: int, interval: int, eps: Tensor) -> Tensor:
    """PNDM's transfer part: as a DDIM step, in the form of that paper's equation 11."""
    here, there = schedule.at("alphas_cumprod", t), schedule.at("alphas_cumprod", max(t - interval, 0))
    scale = 1 / (here.sqrt() * (here.sqrt() + there.sqrt()))
    mix = 1 / (here.sqrt() * (((1 - there) * here).sqrt() + ((1 - here) * there).sqrt()))
    return x + (there - here) * (scale * x - mix * eps)


# Adams-Bashforth weights of the newest noise and those before it.
_ADAMS = {2: (3 / 2, -1 / 2), 3: (23 / 12, -16 / 12, 5 / 12), 4: (55 / 24, -59 / 24, 37 / 24, -9 / 24)}


def pndm(model: Model, schedule: NoiseSchedule, x: Tensor, n_steps: int, interval: int, progress: Progress) -> Tensor:
    """Linear multistep of order four; the first step asks the network twice."""
    past: list[Tensor] = []
    for t in reversed(range(0, n_steps, interval)):
        eps = model(x, _at(t, x))
        past = [eps, *past[:3]]
        if len(past) == 1:
            ahead = _transfer(schedule, x, t, interval, eps)
            mean = (eps + model(ahead, _at(max(t - interval, 0), x))) / 2
        else:
            mean = sum((w * e for w, e in zip(_ADAMS[len(past)], past, strict=True)), torch.zeros_like(eps))
        x = _transfer(schedule, x, t, interval, mean)
        progress(1 - t / n_steps)
    return x


class _Solver:
    """What the multistep solvers share: the schedule at a time, and the network's answer as noise or as clean mel."""

    def __init__(self, model: Model, schedule: NoiseSchedule, n_steps: int, clean: bool) -> None:
        self.schedule = ContinuousSchedule(schedule.betas[:n_steps])  # type: ignore[index]
        self.model, self.clean = model, clean

    def answer(self, x: Tensor, time: Tensor) -> Tensor:
        eps = self.model(x, self.schedule.step_of(time).expand(x.shape[0]))
        if not self.clean:
            return eps
        return (x - self.schedule.sigma(time) * eps) / torch.exp(self.schedule.log_alpha(time))

    def base(self, x: Tensor, start: Tensor, end: Tensor, answer: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The first-order update; with it the factor of higher terms, and the log-SNR step h."""
        s = self.schedule
        h = s.log_snr(end) - s.log_snr(start)
        if self.clean:
            factor = -torch.exp(s.log_alpha(end)) * torch.expm1(-h)
            return s.sigma(end) / s.sigma(start) * x + factor * answer, factor, h
        factor = -s.sigma(end) * torch.expm1(h)
        return torch.exp(s.log_alpha(end) - s.log_alpha(start)) * x + factor * answer, factor, h


def dpm_solver(
    model: Model, schedule: NoiseSchedule, x: Tensor, n_steps: int, interval: int, progress: Progress, *, plus: bool
) -> Tensor:
    """Second-order multistep: on the noise (DPM-Solver), or with `plus` on the clean mel (DPM-Solver++)."""
    solver, calls = _Solver(model, schedule, n_steps, plus), n_steps // interval
    times = solver.schedule.grid(calls)
    answers: list[Tensor] = []
    for index in range(calls):
        here, there = times[index], times[index + 1]
        answers = [solver.answer(x, here), *answers[:1]]
        x, factor, h = solver.base(x, here, there, answers[0])
        if len(answers) == 2 and not (index == calls - 1 and calls < FEW_STEPS):
            ratio = (solver.schedule.log_snr(here) - solver.schedule.log_snr(times[index - 1])) / h
            x = x + 0.5 * factor * (answers[0] - answers[1]) / ratio
        progress((index + 1) / calls)
    return x


def unipc(model: Model, schedule: NoiseSchedule, x: Tensor, n_steps: int, interval: int, progress: Progress) -> Tensor:
    """Second-order predictor and corrector on the clean mel; the corrector's network call serves the next step."""
    solver, calls = _Solver(model, schedule, n_steps, True), n_steps // interval
    times = solver.schedule.grid(calls)
    new, old = solver.answer(x, times[0]), x
    for index in range(calls):
        here, there, last = times[index], times[index + 1], index == calls - 1
        base, factor, h = solver.base(x, here, there, new)
        if last:
            return base  # of first order, and there is nothing left to correct by
        if index == 0:
            ahead = solver.answer(base, there)
            x = base + factor * 0.5 * (ahead - new)
        else:
            ratio = (solver.schedule.log_snr(times[index - 1]) - solver.schedule.log_snr(here)) / h
            slope = (old - new) / ratio
            ahead = solver.answer(base + factor * 0.5 * slope, there)
            behind, forward = _corrector_weights(h, ratio)
            x = base + factor * (behind * slope + forward * (ahead - new))
        new, old = ahead, new
        progress((index + 1) / calls)
    return x


def _corrector_weights(h: Tensor, ratio: Tensor) -> tuple[Tensor, Tensor]:
    """UniPC's weights of the difference to the answer before (at `ratio` steps) and to the one ahead.

    They solve [[1, 1], [ratio, 1]] w = b, with b from the phi functions of -h over B = e^-h - 1.
    """
    phi_1 = torch.expm1(-h)
    phi_2 = phi_1 / -h - 1
    phi_3 = phi_2 / -h - 0.5
    first, second = phi_2 / phi_1, 2 * phi_3 / phi_1
    behind = (first - second) / (1 - ratio)
    return behind, first - behind
