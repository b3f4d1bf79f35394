"""Every sampler finds its way back: with a denoiser that knows the answer, and beside the others on a learnable one."""

import pytest
import torch
from torch import Tensor

from core.nn import samplers
from core.nn.denoiser import Denoiser
from core.nn.noise import Noise, NoNoise
from core.nn.schedule import ContinuousSchedule, NoiseSchedule

N_STEPS = 200


def nothing(_share: float) -> None:
    """Progress that nobody watches."""


SAMPLERS = {
    "ddpm": lambda m, s, x: samplers.ddpm(m, s, x, N_STEPS, NoNoise(), nothing),
    "ddim": lambda m, s, x: samplers.ddim(m, s, x, N_STEPS, 10, nothing),
    "pndm": lambda m, s, x: samplers.pndm(m, s, x, N_STEPS, 10, nothing),
    "dpm-solver": lambda m, s, x: samplers.dpm_solver(m, s, x, N_STEPS, 10, nothing, plus=False),
    "dpm-solver++": lambda m, s, x: samplers.dpm_solver(m, s, x, N_STEPS, 10, nothing, plus=True),
    "unipc": lambda m, s, x: samplers.unipc(m, s, x, N_STEPS, 10, nothing),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_denoiser_that_knows_the_clean_mel_is_led_there(name: str) -> None:
    schedule = NoiseSchedule(1000)
    clean = torch.linspace(-0.9, 0.9, 12).view(1, 1, 3, 4)

    def model(x: Tensor, t: Tensor) -> Tensor:
        kept = torch.nn.functional.interpolate(
            schedule.alphas_cumprod.view(1, 1, -1),
            size=1000,  # type: ignore[operator, union-attr]
        )[0, 0]
        left = t.floor().long().clamp(0, 998)
        a = kept[left] + (t.float() - left) * (kept[left + 1] - kept[left])
        return (x - a.sqrt() * clean) / (1 - a).sqrt()

    start = schedule.noised(clean, N_STEPS - 1, torch.randn(clean.shape, generator=torch.Generator().manual_seed(1)))
    assert (start - clean).abs().max() > 0.3
    torch.testing.assert_close(SAMPLERS[name](model, schedule, start), clean, atol=0.02, rtol=0)


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "ddpm"])
def test_deterministic_samplers_agree_on_a_real_network(name: str) -> None:
    """They solve one differential equation: with many steps the answers meet."""
    torch.manual_seed(3)
    net, schedule = Denoiser(4, 2, 16, 8).eval(), NoiseSchedule(1000)
    torch.nn.init.normal_(net.output_projection.weight, std=0.3)
    condition, x = torch.randn(1, 8, 6), torch.randn(1, 1, 4, 6)
    with torch.inference_mode():
        projected = net.project(condition)
        model = lambda image, t: net(image, t, projected)  # noqa: E731
        exact = samplers.ddim(model, schedule, x, N_STEPS, 1, nothing)
        torch.testing.assert_close(SAMPLERS[name](model, schedule, x), exact, atol=0.15, rtol=0)


def test_the_projected_condition_is_the_condition() -> None:
    net = Denoiser(4, 2, 16, 8)
    torch.nn.init.normal_(net.output_projection.weight)
    x, t, condition = torch.randn(2, 1, 4, 5), torch.tensor([3, 70]), torch.randn(2, 8, 5)
    torch.testing.assert_close(net(x, t, condition), net(x, t, net.project(condition)))
    assert not torch.allclose(net(x, t, condition), net(x, t + 5, condition))


def test_progress_can_stop_a_sampler() -> None:
    schedule = NoiseSchedule(1000)

    def stop(_share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        samplers.ddim(lambda x, _t: x, schedule, torch.zeros(1, 1, 2, 2), 100, 10, stop)


def test_ancestral_sampling_draws_noise_but_not_at_the_end() -> None:
    schedule, x = NoiseSchedule(1000), torch.zeros(1, 1, 2, 2)
    model = lambda image, _t: torch.zeros_like(image)  # noqa: E731
    noisy = samplers.ddpm(model, schedule, x, 50, Noise(torch.Generator().manual_seed(1)), nothing)
    assert noisy.abs().max() > 0
    assert samplers.ddpm(model, schedule, x, 1, Noise(torch.Generator().manual_seed(1)), nothing).abs().max() == 0


def test_the_continuous_schedule_meets_the_discrete_one() -> None:
    schedule = NoiseSchedule(1000)
    for n_steps in (20, 100, 1000):
        between = ContinuousSchedule(schedule.betas[:n_steps])  # type: ignore[index]
        for step in (0, 7, between.n_steps - 1):
            time = (torch.tensor(step) + 1.0) / between.n_steps
            kept = torch.exp(2 * between.log_alpha(time))
            torch.testing.assert_close(kept, schedule.alphas_cumprod[step], atol=1e-4, rtol=1e-4)  # type: ignore[index]
        assert between.n_steps <= n_steps
        assert torch.all(between.grid(5).diff() < 0)
