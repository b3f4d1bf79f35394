"""The patches of one sentence, one after another. All that is remembered between two is in an object of its own."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from core.engines.voxcpm.loading import Network
from core.engines.voxcpm.options import VoxOptions
from core.engines.voxcpm.prompts import VoxPrompt, joined_text
from core.errors import BadInput

AUDIO_START, REFERENCE_START, REFERENCE_END = 101, 103, 104
_GROWTH = 128
_CONTEXT = {"voxcpm": 2, "voxcpm2": 3}
"""Patches of the prompt that warm the decoder up; the package's whole-sentence decoding takes as many."""


@dataclass
class KeyValues:
    """What a language model remembers of a sentence: keys and values [1, heads, room, size] a layer.

    The room grows with the sentence, so that a short one does not pay for the longest there may be.
    """

    layers: list[tuple[Tensor, Tensor]]
    length: int

    def __post_init__(self) -> None:
        self._reserve()

    def _reserve(self) -> None:
        room = self.layers[0][0].shape[2]
        if self.length < room:
            return
        more = _GROWTH * (self.length // _GROWTH + 1) - room
        self.layers = [
            (torch.nn.functional.pad(k, (0, 0, 0, more)), torch.nn.functional.pad(v, (0, 0, 0, more)))
            for k, v in self.layers
        ]

    def step(self, lm: Any, x: Tensor) -> Tensor:
        """The next position through the package's layers: [1, H] -> [1, H]."""
        self._reserve()
        position = torch.tensor([self.length], device=x.device)
        rope = lm.rope_emb(position) if lm.rope_emb is not None else None
        for layer, kept in zip(lm.layers, self.layers, strict=True):
            x = layer.forward_step(x, rope, position, kept)
        self.length += 1
        return lm.norm(x)

    @property
    def memory_bytes(self) -> int:
        """What the tensors hold."""
        return sum(2 * k.numel() * k.element_size() for k, _ in self.layers)


@dataclass(frozen=True)
class Sequence:
    """What a sentence starts with: `tokens` [1, T], `feats` [1, T, P, D], `text` and `audio` masks [1, T] (0 or 1)."""

    tokens: Tensor
    feats: Tensor
    text: Tensor
    audio: Tensor


def sequence(net: Network, text: str, prompt: VoxPrompt | None) -> Sequence:
    """Reference (between its marks), the prompt's and the sentence's tokens, the mark of audio, the prompt's audio."""
    model = net.model
    patch = (model.patch_size, model.feat_dim)
    tokens: list[int] = []
    feats: list[Tensor] = []
    audio: list[int] = []

    def marks(ids: list[int]) -> None:
        tokens.extend(ids)
        feats.append(torch.zeros(len(ids), *patch))
        audio.extend([0] * len(ids))

    def sound(latents: Tensor) -> None:
        tokens.extend([0] * len(latents))
        feats.append(latents.float().cpu())
        audio.extend([1] * len(latents))

    if prompt is not None and prompt.reference is not None:
        marks([REFERENCE_START])
        sound(prompt.reference)
        marks([REFERENCE_END])
    said = joined_text(prompt.text, text) if prompt is not None and prompt.audio is not None else text
    marks([*model.text_tokenizer(said), AUDIO_START])
    if prompt is not None and prompt.audio is not None:
        sound(prompt.audio)
    mask = torch.tensor([audio], dtype=torch.int32, device=net.device)
    return Sequence(
        tokens=torch.tensor([tokens], dtype=torch.long, device=net.device),
        feats=torch.cat(feats)[None].to(net.device, net.dtype),
        text=1 - mask,
        audio=mask,
    )


@dataclass
class Generation:
    """One sentence in the making. Call `step` until it says that it was the last.

    `text` is what is said, `noise` the source of chance (on the CPU, so that every device says the same).
    Raises BadInput if prompt and text leave no room in the model.
    """

    net: Network
    text: str
    prompt: VoxPrompt | None
    options: VoxOptions
    noise: torch.Generator
    n_patches: int = 0
    limit: int = field(init=False)
    n_tokens: int = field(init=False)
    reached_limit: bool = False

    def __post_init__(self) -> None:
        self.n_tokens = len(self.net.model.text_tokenizer(self.text))
        wanted = min(int(self.options.patches_a_token * self.n_tokens + 10), self.options.max_patches)
        start = sequence(self.net, self.text, self.prompt)
        room = self.net.max_length - start.tokens.shape[1]
        if room < min(wanted, 8):
            raise BadInput(
                f"Text and prompt take {start.tokens.shape[1]} of the model's {self.net.max_length} positions, which "
                "leaves no room for speech.",
                "Take a shorter reference clip or shorter sentences.",
                where="prompt",
            )
        self.limit = min(wanted, room)
        with torch.inference_mode():
            self._prefill(start)
            self._times = _times(self.options.steps, self.net)

    @property
    def context(self) -> Tensor | None:
        """The last patches of the prompt [n, P, D], for the decoder; None without one."""
        if self.prompt is None or self.prompt.audio is None:
            return None
        return self.prompt.audio[-_CONTEXT[self.net.architecture] :].to(self.net.device)

    @property
    def memory_bytes(self) -> int:
        """What is remembered."""
        return self._base.memory_bytes + self._residual.memory_bytes

    @property
    def bad(self) -> bool:
        """True if it did not come to an end by itself within the length that its text can need."""
        return self.reached_limit or self.n_patches >= self.options.patches_a_token * self.n_tokens

    def _prefill(self, start: Sequence) -> None:
        model = self.net.model
        embedded = model.enc_to_lm_proj(model.feat_encoder(start.feats))
        lm_config = model.config.lm_config
        scale = lm_config.scale_emb if lm_config.use_mup else 1.0
        text, audio = start.text.unsqueeze(-1), start.audio.unsqueeze(-1)
        inputs = text * (model.base_lm.embed_tokens(start.tokens) * scale) + audio * embedded
        hidden, base = model.base_lm(inputs_embeds=inputs, is_causal=True)
        hidden = model.fsq_layer(hidden) * audio + hidden * text
        residual, kept = model.residual_lm(inputs_embeds=self._fused(hidden, audio * embedded), is_causal=True)
        length = start.tokens.shape[1]
        self._base, self._residual = KeyValues(base, length), KeyValues(kept, length)
        self._hidden, self._fine = hidden[:, -1], residual[:, -1]
        self._before = start.feats[:, -1]

    def _fused(self, hidden: Tensor, embedded: Tensor) -> Tensor:
        """What the second language model gets: a sum in the first architecture, learnt in the second."""
        if not self.net.is_v2:
            return hidden + embedded
        return self.net.model.fusion_concat_proj(torch.cat((hidden, embedded), dim=-1))

    @torch.inference_mode()
    def step(self) -> tuple[Tensor, bool]:
        """The next patch [P, D] in the model's precision, and whether it is the last of the sentence."""
        model = self.net.model
        coarse, fine = model.lm_to_dit_proj(self._hidden), model.res_to_dit_proj(self._fine)
        mu = torch.cat((coarse, fine), dim=-1) if self.net.is_v2 else coarse + fine
        shape = (1, model.feat_decoder.in_channels, model.patch_size)
        patch = model.feat_decoder.solve_euler(
            x=torch.randn(shape, generator=self.noise, dtype=mu.dtype).to(mu.device),
            t_span=self._times,
            mu=mu,
            cond=self._before.transpose(1, 2).contiguous(),
            cfg_value=self.options.cfg,
            use_cfg_zero_star=True,
        ).transpose(1, 2)
        stop = model.stop_head(model.stop_actn(model.stop_proj(self._hidden))).argmax(dim=-1)
        # The package's rule: one patch more than `min_patches` comes before the first that may be the last.
        ends = self.n_patches > self.options.min_patches and bool(stop[0] == 1)
        self.n_patches += 1
        self.reached_limit = not ends and self.n_patches >= self.limit
        if not ends and not self.reached_limit:
            self._advance(patch)
        return patch[0], ends or self.reached_limit

    def _advance(self, patch: Tensor) -> None:
        model = self.net.model
        embedded = model.enc_to_lm_proj(model.feat_encoder(patch.unsqueeze(1)))[:, 0]
        self._hidden = model.fsq_layer(self._base.step(model.base_lm, embedded))
        self._fine = self._residual.step(model.residual_lm, self._fused(self._hidden, embedded))
        self._before = patch


def _times(steps: int, net: Network) -> Tensor:
    """Diffusion times from 1 to 0, sway-sampled: t + cos(pi t / 2) - 1 + t (the package's schedule)."""
    t = torch.linspace(1, 0, steps + 1, device=net.device, dtype=net.dtype)
    return t + (torch.cos(torch.pi / 2 * t) - 1 + t)


def latents_of(patches: Tensor) -> Tensor:
    """Patches [n, P, D] as the decoder's latents [1, D, n * P] float32."""
    return patches.float().reshape(-1, patches.shape[-1]).T[None]
