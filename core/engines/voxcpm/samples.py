"""What is heard and measured of a fine-tuning while it goes on: validation loss, and fixed sentences at every save."""

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from core.audio.encode import write_audio
from core.engines.voxcpm.batches import pack
from core.engines.voxcpm.engine import VoxEngine
from core.engines.voxcpm.loading import Network
from core.engines.voxcpm.options import VoxOptions
from core.engines.voxcpm.prompts import VoxPrompt
from core.engines.voxcpm.train_data import Example
from core.engines.voxcpm.train_options import VoxTrainOptions
from core.engines.voxcpm.trainable import Trainable
from core.errors import StudioError
from core.speech.chunk import Speech
from core.training.checkpoints import PROBES_FOLDER
from core.training.descent import Descent
from core.training.generations import generation_name
from core.training.measures import Measures
from core.training.metrics import MetricsLog
from core.training.proof import check_render
from core.training.random_state import seed_part

log = logging.getLogger(__name__)

SEED = 52468
VALIDATED = 64
"""Most clips whose loss is measured: enough for a figure that does not jump."""
SENTENCES = {
    "en": (
        "The ferry leaves the harbour at nine, and the sea is calm this morning.",
        "Would you believe it? Nobody had told them about the second key!",
    ),
    "zh": ("今天早上海面很平静，渡船九点离开港口。", "你相信吗？竟然没有人告诉他们还有第二把钥匙！"),
}


class Samples:
    """Called by the loop: as its probe it validates, at a save it also says the sentences. Draws from generators of its
    own, so that training goes on as if it had not been called."""

    def __init__(
        self,
        net: Network,
        network: Trainable,
        train: Sequence[Example],
        held_out: Sequence[Example],
        options: VoxTrainOptions,
        folder: Path,
        measures: Measures | None = None,
    ) -> None:
        """
        Args:
            net: the model in training.
            network: the same, for its losses.
            train, held_out: the clips.
            options: of the run.
            folder: of the run; recordings go to its probes/step_00001000/NAME.flac.
            measures: figures of what is said: likeness, errors, DNSMOS; None: none.
        """
        self._net, self._network, self._options = net, network, options
        self._held = list(held_out)
        self._folder, self._measures = folder / PROBES_FOLDER, measures
        self._prompt = _as_prompt(train, held_out)
        self.lines = _lines(held_out, train, options)
        self._step = -1
        self.last: dict[str, float] = {}
        """Figures of the latest samples: levels, what `measures` gives (means), and the real-time factor."""

    def __call__(self, step: int, metrics: MetricsLog, by: Descent) -> float:
        """Log the validation loss, and at a save the samples; returns that loss."""
        losses = self.validate(by)
        metrics.scalars(step, {f"val/loss/{name}": value for name, value in losses.items()}, time.time())
        if step % self._options.save_every_steps == 0 or step >= self._options.steps:
            self.say(step, by, metrics)
        return losses["total"]

    @torch.no_grad()
    def validate(self, by: Descent) -> dict[str, float]:
        """Mean losses over the held-out clips, each with the same noise every time: "diff", "stop", "total"."""
        sums = {"diff": 0.0, "stop": 0.0}
        n_patches = 0
        devices = [self._net.device] if self._net.device.type == "cuda" else []
        with torch.random.fork_rng(devices), self._eval():
            for index, example in enumerate(self._held[:VALIDATED]):
                seed_part(SEED, 0, index, 0)
                batch = {name: t.to(self._net.device) for name, t in pack([example.utterance()]).items()}
                with by.autocast():
                    answer = self._network(**batch)
                for name in sums:
                    sums[name] += float(answer[f"loss/{name}"]) * example.n_patches
                n_patches += example.n_patches
        means = {name: value / n_patches for name, value in sums.items()}
        options = self._options
        return {**means, "total": options.lambda_diff * means["diff"] + options.lambda_stop * means["stop"]}

    def say(self, step: int, by: Descent, metrics: MetricsLog | None = None) -> None:
        """Say every sentence once at this step, as FLAC files and in TensorBoard.

        Sound that nobody can use is a warning: training may recover from it, and the end of the run tells.
        """
        if step == self._step:
            return
        self._step = step
        self.last, saying_s, seconds = {}, 0.0, 0.0
        rows: list[dict[str, float]] = []
        for name, (text, prompted) in self.lines.items():
            began = time.monotonic()
            try:
                speech = self._speak(text, self._prompt if prompted else None, by)
                saying_s += time.monotonic() - began
                self.last = check_render(speech.audio, f"The sample {name} of step {step}")
                write_audio(self._folder / generation_name(step) / f"{name}.flac", speech.audio, speech.sample_rate_hz)
            except StudioError as err:
                log.warning("sample %s of step %d: %s", name, step, err.message)
                continue
            seconds += speech.audio.size / speech.sample_rate_hz
            rows.append(self._measured(speech, text))
            if metrics is not None:
                metrics.audio(step, name, speech.audio, speech.sample_rate_hz)
        for figure in {name for row in rows for name in row}:
            self.last[figure] = float(np.mean([row[figure] for row in rows if figure in row]))
        if seconds:
            self.last["rtf"] = saying_s / seconds
        if metrics is not None and self.last:
            metrics.scalars(step, {f"probe/{name}": value for name, value in self.last.items()}, time.time())

    def _measured(self, speech: Speech, text: str) -> dict[str, float]:
        if self._measures is None:
            return {}
        with torch.random.fork_rng([]):  # the packages draw weights before they load theirs
            return self._measures(speech.audio, None, speech.sample_rate_hz, text)

    @torch.no_grad()
    def _speak(self, text: str, prompt: VoxPrompt | None, by: Descent) -> Speech:
        with self._eval(), by.autocast():
            return VoxEngine(self._net).speak(text, VoxOptions(seed=SEED, retries=0), prompt)

    @contextlib.contextmanager
    def _eval(self) -> Iterator[None]:
        training = self._network.training
        self._network.eval()
        try:
            yield
        finally:
            self._network.train(training)


def _as_prompt(train: Sequence[Example], held_out: Sequence[Example]) -> VoxPrompt:
    """The clip that is nearest to the median length, for the sample that clones."""
    by_length = sorted({one.latents: one for one in (*held_out, *train)}.values(), key=lambda one: one.n_patches)
    chosen = by_length[len(by_length) // 2]
    return VoxPrompt(chosen.text, chosen.utterance().latents)


def _lines(
    held_out: Sequence[Example], train: Sequence[Example], options: VoxTrainOptions
) -> dict[str, tuple[str, bool]]:
    """Name -> (sentence, whether it is said with a prompt): each sentence from the weights alone, the first also as the
    continuation of a clip."""
    chinese = any("\u4e00" <= char <= "\u9fff" for one in (*held_out, *train) for char in one.text)
    sentences = options.sentences or SENTENCES["zh" if chinese else "en"]
    lines = {f"sentence_{number}": (text, False) for number, text in enumerate(sentences, start=1)}
    return {**lines, "sentence_1_cloned": (sentences[0], True)}
