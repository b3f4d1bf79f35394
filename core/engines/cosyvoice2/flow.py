"""Speech tokens to mel by conditional flow matching (Lipman et al., 2023): the whole at once, or block by block.

`FlowStream` keeps what the layers remember, for each step of the solver, and solves only the new frames; the result is
that of solving all frames at once under the same block-causal masks.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engines.cosyvoice2.config import DitFlowConfig, FlowConfig, UnetFlowConfig
from core.engines.cosyvoice2.dit import DitEstimator
from core.engines.cosyvoice2.encoder import Encoder, EncoderMemory, LookAhead
from core.engines.cosyvoice2.streaming import Chunk, Grid, Memory, begin
from core.engines.cosyvoice2.unet import Estimator

GUIDANCE = 0.7  # classifier-free: 1.7 times conditioned minus 0.7 times not
STEPS = 10
_NOISE_FRAMES = 15000  # upstream draws noise for 300 s once; frames after that get further draws of the same length


class StartNoise:
    """The fixed noise that every solve starts from: frame n of any sequence starts at the same values.

    It is not part of the released files: torch's CPU generator, seed 0.
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._pages: dict[int, Tensor] = {}

    def frames(self, start: int, stop: int) -> Tensor:
        """[1, channels, stop - start], on the CPU."""
        parts = []
        for page in range(start // _NOISE_FRAMES, (stop - 1) // _NOISE_FRAMES + 1):
            if page not in self._pages:
                generator = torch.Generator().manual_seed(page)
                self._pages[page] = torch.randn(1, self._channels, _NOISE_FRAMES, generator=generator)
            first = page * _NOISE_FRAMES
            parts.append(self._pages[page][..., max(0, start - first) : stop - first])
        return torch.cat(parts, dim=2)


def times(steps: int = STEPS) -> Tensor:
    """The solver's times 0..1, [steps + 1]: small steps first, 1 - cos(pi t / 2)."""
    return 1 - torch.cos(torch.linspace(0, 1, steps + 1) * 0.5 * torch.pi)


class _Decoder(nn.Module):
    """The place of the estimator among the tensor names."""

    def __init__(self, estimator: Estimator | DitEstimator) -> None:
        super().__init__()
        self.estimator = estimator


@dataclass
class SolverMemory:
    """What the estimator remembers at each step of the solver."""

    steps: list[Memory]

    def clone(self) -> "SolverMemory":
        """A copy that goes its own way."""
        return SolverMemory([memory.clone() for memory in self.steps])


@dataclass(frozen=True)
class Prompt:
    """The voice that the flow continues: tokens [1, P], their mel [1, 80, 2 P], speaker embedding [1, 192]."""

    tokens: Tensor
    mel: Tensor
    embedding: Tensor


class Flow(nn.Module):
    """Tokens and a prompt to mel. Tensor names are those of `flow.pt`."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        self.input_embedding = nn.Embedding(config.vocab_size, config.input_size)
        self.spk_embed_affine_layer = nn.Linear(config.spk_embed_dim, config.output_size)
        if isinstance(config, UnetFlowConfig):
            self.encoder = Encoder(
                config.input_size,
                config.encoder_dim,
                config.encoder_heads,
                config.encoder_hidden,
                config.encoder_layers,
                config.encoder_up_layers,
                config.lookahead,
            )
            self.encoder_proj = nn.Linear(config.encoder_dim, config.output_size)
            self.decoder = _Decoder(Estimator(**config.estimator()))
        else:
            assert isinstance(config, DitFlowConfig)
            self.pre_lookahead_layer = LookAhead(config.input_size, config.lookahead, config.lookahead_channels)
            self.decoder = _Decoder(DitEstimator(**config.estimator()))
        self.noise = StartNoise(config.output_size)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.input_embedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return self.input_embedding.weight.dtype

    def speaker(self, embedding: Tensor) -> Tensor:
        """A speaker embedding [1, 192] of any length, as the estimator takes it: [1, 80]."""
        embedding = embedding.to(self.device, torch.float32)
        return self.spk_embed_affine_layer(F.normalize(embedding, dim=1).to(self.dtype))

    def encode(self, tokens: Tensor, ahead: Tensor | None, grid: Grid, memory: EncoderMemory | None = None) -> Tensor:
        """Tokens [1, T] and those that follow, [1, lookahead] or None at the end, to `mu` [1, 80, ratio T]."""
        embedded = self.input_embedding(tokens.to(self.device).clamp(min=0))
        following = None if ahead is None else self.input_embedding(ahead.to(self.device).clamp(min=0))
        if isinstance(self.config, UnetFlowConfig):
            return self.encoder_proj(self.encoder(embedded, following, grid, memory)).transpose(1, 2)
        chunk = begin(tokens.shape[1], grid, memory.before if memory else None, self.device)
        out = self.pre_lookahead_layer(embedded, following, chunk)
        return out.repeat_interleave(self.config.token_mel_ratio, dim=1).transpose(1, 2)

    def solve(
        self, start: Tensor, mu: Tensor, spk: Tensor, cond: Tensor, grid: Grid, memory: SolverMemory | None = None
    ) -> Tensor:
        """Euler's method from noise `start` [1, 80, T] to mel; `mu`, `cond` likewise, `spk` [1, 80]; `grid` in frames.

        The time adds up in float32, as in training.
        """
        moments = times().to(start.device)
        # Row 0 is conditioned, row 1 on nothing.
        mu, spk, cond = (torch.cat([part, torch.zeros_like(part)]) for part in (mu, spk, cond))
        x, t = start, moments[0]
        chunk: Chunk | None = None
        for step in range(len(moments) - 1):
            if memory is not None or chunk is None:
                chunk = begin(x.shape[2], grid, memory.steps[step] if memory else None, x.device)
            width = moments[step + 1] - t
            both = self.decoder.estimator(x.expand(2, -1, -1), mu, t.expand(2), spk, cond, chunk)
            x = x + width * ((1.0 + GUIDANCE) * both[:1] - GUIDANCE * both[1:])
            t = t + width
        return x.to(start.dtype)

    @torch.inference_mode()
    def mel(self, tokens: Tensor, prompt: Prompt, *, block: bool, final: bool = True, skip: int = 0) -> Tensor:
        """All of `tokens` [1, T] at once, in float32: mel [1, 80, 2 T], prompt left out.

        `block`: under the masks of a stream (`skip`: its grid's), else every frame sees all others. Not `final`: the
        last tokens are only looked ahead to.
        """
        grid = Grid(self.config.block, skip) if block else Grid()
        every, ahead = torch.cat([prompt.tokens.to(self.device), tokens.to(self.device)], dim=1), None
        if not final:
            every, ahead = every[:, : -self.config.lookahead], every[:, -self.config.lookahead :]
        mu = self.encode(every, ahead, grid)
        frames = grid.scaled(self.config.token_mel_ratio)
        start = self.noise.frames(0, mu.shape[2]).to(self.device, self.dtype)
        mel = self.solve(start, mu, self.speaker(prompt.embedding), self._condition(prompt, 0, mu), frames)
        return mel[..., prompt.mel.shape[2] :].float()

    def _condition(self, prompt: Prompt, first: int, mu: Tensor) -> Tensor:
        """The prompt's mel in the frames from `first` that it reaches, zeros in the others; like `mu`."""
        cond = torch.zeros_like(mu)
        known = prompt.mel[..., first : first + mu.shape[2]].to(mu)
        cond[..., : known.shape[2]] = known
        return cond

    def stream(self, prompt: Prompt, *, skip: int = 0, left_frames: int | None = None) -> "FlowStream":
        """A stream that continues `prompt`; `left_frames`: how far back it sees beside the prompt, None: all."""
        return FlowStream(self, prompt, Grid(self.config.block, skip), left_frames)


class FlowStream:
    """One sequence of tokens on its way to mel, in whole blocks. Push tokens, get frames; holds all its state."""

    def __init__(self, flow: Flow, prompt: Prompt, grid: Grid, left_frames: int | None) -> None:
        self._flow, self._prompt, self._grid = flow, prompt, grid
        ratio = flow.config.token_mel_ratio
        left, keep = None, 0
        if left_frames is not None:
            # Whole blocks in and out of sight: what a frame sees must not depend on how the stream was cut.
            n_blocks = max(1, round(left_frames / (ratio * grid.block)))
            left = n_blocks * ratio * grid.block
            keep = ([0, *grid.ends(0, prompt.tokens.shape[1])][-1]) * ratio
        self._encoder = EncoderMemory(None if left is None else left // ratio)
        self._solver = SolverMemory([Memory(left, keep) for _ in range(STEPS)])
        self._pending = prompt.tokens.cpu()
        self._tokens_done, self._to_drop = 0, prompt.mel.shape[2]
        self._ended = False
        self._speaker = flow.speaker(prompt.embedding)
        self._solve_ready()

    @property
    def needed(self) -> int:
        """How many tokens more until the next block can be solved."""
        end = self._grid.ends(self._tokens_done, self._tokens_done + self._grid.block)[0]
        return max(0, end - self._tokens_done + self._flow.config.lookahead - self._pending.shape[1])

    def size_bytes(self) -> int:
        """What it remembers."""
        memories = [*self._solver.steps, self._encoder.before, self._encoder.after]
        return sum(memory.size_bytes() for memory in memories)

    def clone(self) -> "FlowStream":
        """A copy that goes its own way: a prepared prompt serves any number of requests."""
        twin = FlowStream.__new__(FlowStream)
        twin.__dict__.update(self.__dict__)
        twin._encoder, twin._solver = self._encoder.clone(), self._solver.clone()
        return twin

    @torch.inference_mode()
    def push(self, tokens: list[int], *, final: bool = False) -> Tensor:
        """Take tokens; returns the mel [1, 80, T] (float32) of the blocks that they complete. `final`: of all."""
        if self._ended:
            raise ValueError("this stream has ended")
        self._pending = torch.cat([self._pending, torch.tensor([tokens], dtype=torch.long)], dim=1)
        mel = self._solve_ready()
        if final:
            self._ended = True
            if self._pending.shape[1]:
                mel = torch.cat([mel, self._solve(self._pending.shape[1], last=True)], dim=2)
        return mel

    def _solve_ready(self) -> Tensor:
        """Solve the whole blocks whose look-ahead has arrived."""
        known = self._tokens_done + self._pending.shape[1] - self._flow.config.lookahead
        ends = self._grid.ends(self._tokens_done, known)
        if not ends:
            return torch.empty(1, self._flow.config.output_size, 0, device=self._flow.device)
        return self._solve(ends[-1] - self._tokens_done, last=False)

    def _solve(self, n_tokens: int, *, last: bool) -> Tensor:
        """The frames of `n_tokens` pending tokens; together, or block by block where memory is bounded."""
        ratio, done = self._flow.config.token_mel_ratio, self._tokens_done
        cuts = [done + n_tokens]
        if self._solver.steps[0].crowded(n_tokens * ratio) or self._encoder.before.crowded(n_tokens):
            cuts = sorted({*self._grid.ends(done, done + n_tokens), done + n_tokens})
        parts = []
        for cut in cuts:
            parts.append(self._solve_together(cut - self._tokens_done, last=last and cut == cuts[-1]))
        mel = torch.cat(parts, dim=2)
        dropped = min(self._to_drop, mel.shape[2])
        self._to_drop -= dropped
        return mel[..., dropped:]

    def _solve_together(self, n_tokens: int, *, last: bool) -> Tensor:
        flow, ratio = self._flow, self._flow.config.token_mel_ratio
        tokens, self._pending = self._pending[:, :n_tokens], self._pending[:, n_tokens:]
        ahead = None if last else self._pending[:, : flow.config.lookahead]
        mu = flow.encode(tokens, ahead, self._grid, self._encoder)
        first = self._tokens_done * ratio
        start = flow.noise.frames(first, first + mu.shape[2]).to(flow.device, flow.dtype)
        cond = flow._condition(self._prompt, first, mu)
        self._tokens_done += n_tokens
        return flow.solve(start, mu, self._speaker, cond, self._grid.scaled(ratio), self._solver).float()
