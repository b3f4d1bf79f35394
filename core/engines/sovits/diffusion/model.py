"""The shallow diffusion model: units, pitch, volume and speaker to a mel, from noise or from the mel of another model.

Tensor names are those of upstream's `logs/44k/diffusion/model_<step>.pt`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import BadInput
from core.nn import samplers
from core.nn.denoiser import Denoiser
from core.nn.noise import Noise, as_noise
from core.nn.schedule import NoiseSchedule

Method = Literal["naive", "ddim", "pndm", "dpm-solver", "dpm-solver++", "unipc"]
METHODS: tuple[str, ...] = get_args(Method)
MEL_MIN, MEL_MAX = -12.0, 2.0


@dataclass(frozen=True)
class DiffusionSizes:
    """What a diffusion model is built from. `k_step_max` 0: trained for all steps, so it can start from noise."""

    n_units: int
    n_speakers: int = 1
    pitch_augmentation: bool = True
    n_mels: int = 128
    n_layers: int = 20
    n_channels: int = 512
    n_hidden: int = 256
    n_steps: int = 1000
    k_step_max: int = 0


class MelDiffusion(NoiseSchedule):
    """The denoiser with its schedule, on mels [B, T, M] in nats."""

    spec_min: Tensor
    spec_max: Tensor

    def __init__(self, sizes: DiffusionSizes) -> None:
        super().__init__(sizes.n_steps)
        self.n_mels = sizes.n_mels
        self.trained_steps = sizes.k_step_max or sizes.n_steps
        self.denoise_fn = Denoiser(sizes.n_mels, sizes.n_layers, sizes.n_channels, sizes.n_hidden)
        self.register_buffer("spec_min", torch.full((1, 1, 1), MEL_MIN))
        self.register_buffer("spec_max", torch.full((1, 1, 1), MEL_MAX))

    def to_image(self, mel: Tensor) -> Tensor:
        """Mel [B, T, M] to [B, 1, M, T] in -1..1."""
        scaled = (mel - self.spec_min) / (self.spec_max - self.spec_min) * 2 - 1
        return scaled.transpose(1, 2).unsqueeze(1)

    def to_mel(self, image: Tensor) -> Tensor:
        """The inverse of `to_image`."""
        return (image.squeeze(1).transpose(1, 2) + 1) / 2 * (self.spec_max - self.spec_min) + self.spec_min


class Unit2Mel(nn.Module):
    """The whole diffusion model. T frames of 512 samples."""

    def __init__(self, sizes: DiffusionSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.unit_embed = nn.Linear(sizes.n_units, sizes.n_hidden)
        self.f0_embed = nn.Linear(1, sizes.n_hidden)
        self.volume_embed = nn.Linear(1, sizes.n_hidden)
        if sizes.pitch_augmentation:
            self.aug_shift_embed = nn.Linear(1, sizes.n_hidden, bias=False)
        if sizes.n_speakers > 1:
            self.spk_embed = nn.Embedding(sizes.n_speakers, sizes.n_hidden)
        self.decoder = MelDiffusion(sizes)

    def condition(
        self, units: Tensor, f0: Tensor, volume: Tensor, speaker: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        """What the denoiser is told, [B, T, H].

        units [B, T, C], f0 [B, T] in Hz, volume [B, T]; speaker int ids [B] or weights [B, T, S] or [T, S] (needed
        where the model has several); shift [B] in semitones, of augmented training clips.
        """
        x = self.unit_embed(units) + self.f0_embed(torch.log1p(f0 / 700.0).unsqueeze(2))
        x = x + self.volume_embed(volume.unsqueeze(2))
        if self.sizes.n_speakers > 1:
            if speaker is None:
                raise BadInput("This diffusion model has several speakers: name one.", where="speaker")
            if speaker.is_floating_point():
                x = x + speaker @ self.spk_embed.weight[: speaker.shape[-1]]
            else:
                x = x + self.spk_embed(speaker.reshape(-1, 1))
        if self.sizes.pitch_augmentation and shift is not None:
            x = x + self.aug_shift_embed((shift / 5.0).reshape(-1, 1, 1))
        return x

    def loss(self, condition: Tensor, mel: Tensor, t: Tensor, noise: Noise) -> Tensor:
        """Mean squared error of the predicted noise at steps t [B]; condition [B, T, H], mel [B, T, M]."""
        clean = self.decoder.to_image(mel)
        added = noise.normal_like(clean)
        noisy = self.decoder.noised(clean, t, added)
        return F.mse_loss(self.decoder.denoise_fn(noisy, t, condition.transpose(1, 2)), added)

    @torch.inference_mode()
    def sample(
        self,
        condition: Tensor,
        mel: Tensor | None = None,
        *,
        k_step: int = 100,
        speedup: int = 10,
        method: Method | str = "dpm-solver++",
        generator: torch.Generator | Noise | None = None,
        progress: Callable[[float], None] = lambda _share: None,
    ) -> Tensor:
        """A mel [B, T, M] for a condition [B, T, H].

        With `mel` [B, T, M] (another model's) the way starts there, made noisy by `k_step` steps; without, from noise
        over all steps. `speedup` steps are taken at once; 1 or the method "naive" takes every step with fresh noise.
        `progress` is told the share done and may raise to stop. Raises BadInput for steps the model was not trained
        for, an unknown method, or a speed-up that leaves no step.
        """
        decoder, noise = self.decoder, as_noise(generator)
        n_steps = self.check_steps(k_step if mel is not None else None, speedup, method)
        if mel is None:
            x = noise.normal((condition.shape[0], 1, decoder.n_mels, condition.shape[1]), condition)
        else:
            clean = decoder.to_image(mel)
            x = decoder.noised(clean, n_steps - 1, noise.normal_like(clean))
        projected = decoder.denoise_fn.project(condition.transpose(1, 2))

        def model(image: Tensor, t: Tensor) -> Tensor:
            out: Tensor = decoder.denoise_fn(image, t, projected)
            return out

        if method == "naive" or speedup == 1:
            x = samplers.ddpm(model, decoder, x, n_steps, noise, progress)
        elif method.startswith("dpm-solver"):
            plus = method.endswith("++")
            x = samplers.dpm_solver(model, decoder, x, n_steps, speedup, progress, plus=plus)
        else:
            run = {"ddim": samplers.ddim, "pndm": samplers.pndm, "unipc": samplers.unipc}[method]
            x = run(model, decoder, x, n_steps, speedup, progress)
        return decoder.to_mel(x)

    def check_steps(self, k_step: int | None, speedup: int, method: str) -> int:
        """The steps to walk; `k_step` None: all. Raises BadInput for what the model cannot do."""
        if method not in METHODS:
            raise BadInput(f"There is no sampler {method!r}.", f"Use one of {', '.join(METHODS)}.", where="method")
        trained = self.decoder.trained_steps
        if k_step is None:
            if trained < self.sizes.n_steps:
                raise BadInput(
                    f"This diffusion model was trained for its last {trained} steps only: it cannot start from noise.",
                    "Use shallow diffusion, or a model whose k_step_max is 0.",
                    where="only_diffusion",
                )
            k_step = trained
        if not 1 <= k_step <= trained:
            raise BadInput(
                f"{k_step} diffusion steps are out of reach: this model was trained for 1 to {trained}.",
                f"Choose at most {trained}.",
                where="k_step",
            )
        if not 1 <= speedup <= k_step:
            raise BadInput(
                f"A speed-up of {speedup} leaves no step of {k_step}.", f"Choose 1 to {k_step}.", where="speedup"
            )
        return k_step
