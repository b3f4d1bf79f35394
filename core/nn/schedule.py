"""The linear noise schedule of a diffusion model, at its steps and between them.

a_t is the product of (1 - beta) up to step t: x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise. All of it in float32 as the
tensors in checkpoints are, computed in float64.
"""

from typing import cast

import torch
from torch import Tensor, nn

BETA_FIRST, BETA_LAST = 1e-4, 0.02
# Below this half log signal-to-noise ratio a step tells a solver nothing more.
_MIN_LOG_SNR = -5.1


class NoiseSchedule(nn.Module):
    """The constants of the steps 0..N-1, under the names that so-vits-svc's diffusion files hold."""

    def __init__(self, n_steps: int) -> None:
        super().__init__()
        betas = torch.linspace(BETA_FIRST, BETA_LAST, n_steps, dtype=torch.float64)
        kept = torch.cumprod(1.0 - betas, dim=0)
        before = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
        variance = betas * (1.0 - before) / (1.0 - kept)
        constants = {
            "betas": betas,
            "alphas_cumprod": kept,
            "alphas_cumprod_prev": before,
            "sqrt_alphas_cumprod": kept.sqrt(),
            "sqrt_one_minus_alphas_cumprod": (1.0 - kept).sqrt(),
            "log_one_minus_alphas_cumprod": (1.0 - kept).log(),
            "sqrt_recip_alphas_cumprod": (1.0 / kept).sqrt(),
            "sqrt_recipm1_alphas_cumprod": (1.0 / kept - 1.0).sqrt(),
            "posterior_variance": variance,
            "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
            "posterior_mean_coef1": betas * before.sqrt() / (1.0 - kept),
            "posterior_mean_coef2": (1.0 - before) * (1.0 - betas).sqrt() / (1.0 - kept),
        }
        for name, values in constants.items():
            self.register_buffer(name, values.float())

    def at(self, name: str, t: int | Tensor) -> Tensor:
        """A constant at step t (a number, or one an item [B]), shaped to multiply [B, 1, M, T]."""
        values = cast(Tensor, getattr(self, name))
        return values[t].view(-1, 1, 1, 1)

    def noised(self, clean: Tensor, t: int | Tensor, noise: Tensor) -> Tensor:
        """The clean mel [B, 1, M, T] at step t of the way to noise."""
        return self.at("sqrt_alphas_cumprod", t) * clean + self.at("sqrt_one_minus_alphas_cumprod", t) * noise

    def clean_of(self, x: Tensor, t: int | Tensor, noise: Tensor) -> Tensor:
        """The clean mel that the noise in x at step t implies."""
        return self.at("sqrt_recip_alphas_cumprod", t) * x - self.at("sqrt_recipm1_alphas_cumprod", t) * noise

    def posterior(self, clean: Tensor, x: Tensor, t: int) -> tuple[Tensor, Tensor]:
        """Mean [B, 1, M, T] and log variance [1, 1, 1, 1] of step t - 1, given the clean mel and x at step t."""
        mean = self.at("posterior_mean_coef1", t) * clean + self.at("posterior_mean_coef2", t) * x
        return mean, self.at("posterior_log_variance_clipped", t)


class ContinuousSchedule:
    """The schedule of the first `betas` between its steps, for solvers: time t in (0, 1], log a linear between steps.

    (The discrete variance-preserving schedule of Lu et al., 2022, DPM-Solver.)
    """

    def __init__(self, betas: Tensor) -> None:
        log_alphas = 0.5 * torch.log(1.0 - betas).cumsum(dim=0)
        log_sigmas = 0.5 * torch.log(1.0 - torch.exp(2.0 * log_alphas))
        enough = int((log_alphas - log_sigmas >= _MIN_LOG_SNR).sum())
        self.log_alphas = log_alphas[:enough]
        self.n_steps = enough
        self.times = torch.linspace(0.0, 1.0, enough + 1, device=betas.device)[1:]

    def grid(self, n: int) -> Tensor:
        """n + 1 times, evenly from 1 down to the first step's."""
        return torch.linspace(1.0, 1.0 / self.n_steps, n + 1, device=self.times.device)

    def step_of(self, time: Tensor) -> Tensor:
        """The (fractional) step that a time means to the model."""
        return (time - 1.0 / self.n_steps) * self.n_steps

    def log_alpha(self, time: Tensor) -> Tensor:
        """Log of the signal's share at a time, a scalar tensor."""
        right = torch.searchsorted(self.times, time.reshape(1)).clamp(1, self.n_steps - 1)
        left = right - 1
        t_left, t_right = self.times[left], self.times[right]
        a_left, a_right = self.log_alphas[left], self.log_alphas[right]
        return (a_left + (time - t_left) * (a_right - a_left) / (t_right - t_left)).squeeze(0)

    def sigma(self, time: Tensor) -> Tensor:
        """The noise's share at a time."""
        return torch.sqrt(1.0 - torch.exp(2.0 * self.log_alpha(time)))

    def log_snr(self, time: Tensor) -> Tensor:
        """Half the log signal-to-noise ratio at a time."""
        log_alpha = self.log_alpha(time)
        return log_alpha - 0.5 * torch.log(1.0 - torch.exp(2.0 * log_alpha))
