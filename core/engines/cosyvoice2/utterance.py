"""One utterance from text tokens to audio; it holds all state of all three models, and nothing else holds any of it."""

import torch
from torch import Tensor

from core.engines.cosyvoice2.decoding import Decoding, Interleaved, WholeText
from core.engines.cosyvoice2.flow import FlowStream
from core.engines.cosyvoice2.loading import Model
from core.engines.cosyvoice2.options import FRAMES_A_S, CosyOptions
from core.engines.cosyvoice2.sampling import RepetitionAwareSampler
from core.engines.cosyvoice2.speaker import Speaker
from core.engines.cosyvoice2.stretch import Stretch
from core.engines.cosyvoice2.vocoder import VocoderStream


class Utterance:
    """Feed text, `end` it, and `step` until it is `done`. Blocks are solved as soon as they can be."""

    def __init__(
        self,
        model: Model,
        speaker: Speaker,
        options: CosyOptions,
        seed: int,
        *,
        said: list[int],
        continues: bool,
        interleaved: bool,
        live: bool,
    ) -> None:
        """`said`: text tokens before the text; `continues`: whether the language model hears the speaker's clip;
        `interleaved`: speak while text arrives; `live`: solve block by block, else all at the end.
        """
        sampler = RepetitionAwareSampler(model.config.language_model, torch.Generator().manual_seed(seed))
        kind = Interleaved if interleaved else WholeText
        spoken = speaker.tokens[0].tolist() if continues else []
        self._decoding: Decoding = kind(model.language_model, sampler, said, spoken)
        block = model.config.flow.block
        skip = -(speaker.tokens.shape[1] + options.first_hop) % block
        left = None if options.left_context_s is None else round(options.left_context_s * FRAMES_A_S)
        self._flow: FlowStream = model.prepared.stream(speaker, skip=skip, left_frames=left)
        self._stretch = Stretch(options.speed)
        generator = torch.Generator().manual_seed(seed)
        self._vocoder = VocoderStream(model.hift, generator, options.mel_cache_len if live else None)
        self._live, self._first = live, True
        self._more_blocks = (options.token_hop_len // block - 1) * block
        self._waiting: list[int] = []
        self.done = False

    @property
    def memory_bytes(self) -> int:
        """What the flow remembers, by far the most, and the language model."""
        return self._flow.size_bytes() + self._decoding.memory_bytes

    def feed(self, ids: list[int]) -> None:
        """More text."""
        self._decoding.feed(ids)

    def end(self) -> None:
        """No more text."""
        self._decoding.end()

    def step(self) -> Tensor | None:
        """Make one speech token and what follows from it: audio [N], perhaps empty; None if it waits for text.

        After the last audio it is `done`.
        """
        token = self._decoding.next()
        if token is None and not self._decoding.ended:
            return None
        if token is None:
            self.done = True
            return self._sound(self._waiting, final=True)
        self._waiting.append(token)
        due = self._flow.needed + (0 if self._first else self._more_blocks)
        if not self._live or len(self._waiting) < due:
            return torch.empty(0)
        tokens, self._waiting = self._waiting, []
        return self._sound(tokens, final=False)

    def _sound(self, tokens: list[int], *, final: bool) -> Tensor:
        mel = self._flow.push(tokens, final=final)
        self._first = self._first and not mel.shape[2]  # the end of the prompt, looked ahead from, is no block of ours
        return self._vocoder.push(self._stretch.push(mel, final=final), final=final).cpu()
