"""Built-in speech in a trained voice: each sentence is spoken by espeak-ng and converted before it is heard."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.service.builtin_speech import BuiltinEngine, BuiltinOptions, BuiltinSession

if TYPE_CHECKING:
    from core.engines.sovits.convert_options import ConvertOptions
    from core.engines.sovits.convert_tools import Tools
    from core.settings import Settings

_HIGH_VOICE_HZ = 165.0  # between the usual pitch of men and of women
_PAD_S = 0.5  # context at both ends, rendered and thrown away


def load(voice: str, model: Path, settings: "Settings") -> "ConvertedEngine":
    """Load a voice's converter. Raises NotFound, Conflict, ModelFileError, Unavailable, BadInput."""
    from core.engines.sovits.convert import open_tools
    from core.engines.sovits.convert_options import ConvertOptions
    from core.jobs.context import ForegroundContext

    options = ConvertOptions(voice=voice, source="-", model=str(model))
    return ConvertedEngine(options, open_tools(options, ForegroundContext(settings)))


class ConvertedEngine(BuiltinEngine):
    """A loaded converter."""

    def __init__(self, options: "ConvertOptions", tools: "Tools") -> None:
        self._options, self._tools = options, tools

    @property
    def memory_bytes(self) -> int:
        """The generator's weights."""
        return sum(p.numel() * p.element_size() for p in self._tools.model.generator.parameters())

    def session(self, options: BuiltinOptions, prompt: None = None) -> "ConvertedSession":
        """A new request. Of the two espeak voices the one that is as high as the trained one."""
        median_hz = self._tools.model.card.get("f0_median")
        high = median_hz is None or float(median_hz) >= _HIGH_VOICE_HZ
        chosen = options.seeded().model_copy(update={"speaker": "woman" if high else "man"})
        return ConvertedSession(chosen, self._options, self._tools)


class ConvertedSession(BuiltinSession):
    """One request. The key is fitted to the voice by its first sentence, and kept."""

    def __init__(self, options: BuiltinOptions, convert: "ConvertOptions", tools: "Tools") -> None:
        super().__init__(options)
        self._convert, self._tools = convert, tools
        self._transpose: float | None = None
        self._said = 0

    @property
    def sample_rate_hz(self) -> int:
        """Of its chunks."""
        from core.engines.sovits.dataset import RATE_HZ

        return RATE_HZ

    def _say(self, text: str) -> NDArray[np.float32]:
        from core.audio.resample import resample
        from core.engines.sovits.recipe import HOP
        from core.engines.sovits.render import render_window

        rate_hz, spoken_hz = self.sample_rate_hz, super().sample_rate_hz
        spoken = resample(super()._say(text), spoken_hz, rate_hz)
        pad = round(_PAD_S * rate_hz)
        wav = np.pad(spoken, (pad, pad + -(spoken.size + 2 * pad) % HOP)).astype(np.float32)
        if self._transpose is None:
            self._transpose = self._fitted(wav)
        at_s = (np.arange(wav.size // HOP) + 0.5) * HOP / rate_hz
        made, _, _ = render_window(
            self._convert, self._tools, wav, self._transpose, self._convert.seed + self.seed + self._said, at_s=at_s,
            duration_s=wav.size / rate_hz,
        )  # fmt: skip
        self._said += 1
        return made[pad : pad + spoken.size]

    def _fitted(self, wav: NDArray[np.float32]) -> float:
        """Semitones from what was spoken to the voice."""
        from core.engines.sovits.convert import suggest_transpose
        from core.engines.sovits.recipe import HOP

        tracker: Any = self._tools.pitch
        f0_hz = tracker.predict(wav, self.sample_rate_hz, HOP, wav.size // HOP)
        voiced = f0_hz[f0_hz > 0]
        target = self._tools.model.card.get("f0_median")
        return float(suggest_transpose(float(np.median(voiced)) if voiced.size else None, target))
