"""What the page and the command line ask of conversion beyond one job, behind `Studio.conversion`: presets, batches,
speakers and files of a model, and the pitch that a person draws. Light to import.
"""

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import atomic, summaries
from core.engines.sovits.preset_store import PresetStore
from core.errors import BadInput, NotFound
from core.jobs.model import Job
from core.paths import inside, unique_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.dataset.voices import VoiceStore
    from core.jobs.queue import JobQueue
    from core.settings import Settings

SOURCES = "sources"
_PITCHES = "pitch"


class ConversionDesk:
    """Sources are files in `outputs`/sources, named by their file name, where the page keeps them."""

    def __init__(self, settings: "Settings", voices: "VoiceStore", jobs: "JobQueue") -> None:
        self.settings = settings
        self._voices, self._jobs = voices, jobs

    @property
    def presets(self) -> PresetStore:
        """Presets of this workspace."""
        return PresetStore(self.settings.workspace)

    # -- models

    def model_folder(self, voice: str, model: str | None = None) -> Path:
        """A voice's model (the newest if None). Raises NotFound."""
        for one in summaries.models_of(self._voices.get(voice)):
            if model in (None, "", one.name, str(one.path)):
                return one.path
        raise NotFound(f"The voice '{voice}' has no such model.", "Train it first, or choose another.", where=voice)

    def speakers(self, voice: str, model: str | None = None) -> dict[str, int]:
        """Speakers of a model, name to row. Raises NotFound, BadInput (its config is damaged)."""
        from core.engines.sovits.config import load_config

        return dict(load_config(self.model_folder(voice, model) / "config.json").spk)

    def missing(self, voice: str, options: Mapping[str, Any]) -> str:
        """What these options lack with a voice's model, in words with what to do; empty where nothing does."""
        from core.engines.sovits.convert_files import find_companions
        from core.engines.sovits.convert_options import parse_options
        from core.errors import StudioError

        try:
            parsed = parse_options({"voice": voice, "source": "-", **options})
            find_companions(parsed, self.model_folder(voice, parsed.model), self.settings)
        except StudioError as err:
            return str(err)
        return ""

    # -- batches

    def batch(self, options: Mapping[str, Any], items: Sequence[Mapping[str, Any]], folder: Path | None = None) -> Job:
        """Queue the conversion of several recordings with the same options. Raises BadInput, NotFound."""
        params = self.batch_params(options, items, folder)
        return self._jobs.submit("convert-batch", params, str(options.get("voice", "")))

    def batch_params(
        self, options: Mapping[str, Any], items: Sequence[Mapping[str, Any]], folder: Path | None = None
    ) -> dict[str, Any]:
        """Params of a "convert-batch" job, checked. `folder`: where results go; None: a new one in the outputs."""
        from core.engines.sovits.convert_batch import parse_batch

        voice = self._voices.get(str(options.get("voice", "")))
        model = options.get("model")
        if not (model and Path(str(model)).is_absolute()):
            self.model_folder(voice.name, str(model or ""))
        if folder is None:
            folder = unique_path(self.settings.outputs / f"{voice.name} {time.strftime('%Y-%m-%d %H.%M.%S')}")
        params = {
            "options": dict(options),
            "items": [dict(item) for item in items],
            "folder": str(folder),
            "report": str(folder / "batch.json"),
        }
        parse_batch(params)
        return params

    # -- pitch

    def source(self, name: str) -> Path:
        """A kept source by its file name. Raises NotFound, BadInput (a name that leads elsewhere)."""
        folder = self.settings.outputs / SOURCES
        path = inside(folder, folder / name)
        if not name or not path.is_file():
            raise NotFound(f"There is no source {name!r}.", "Drop it again.", where=name)
        return path

    def find_pitch(self, name: str, voice: str, predictor: str, threshold: float | None = None) -> Job:
        """Queue the finding of a source's pitch; what was drawn before is thrown away. Raises NotFound, BadInput."""
        from core.features.pitch import PITCHES

        source = self.source(name)
        if predictor not in PITCHES:
            raise BadInput(f"Unknown pitch predictor {predictor!r}.", f"Use one of {', '.join(PITCHES)}.")
        self._drawn(source).unlink(missing_ok=True)
        params = {"source": str(source), "pitch": predictor, "f0_threshold": threshold, "out": str(self._found(source))}
        return self._jobs.submit("pitch", params, voice)

    def _found(self, source: Path) -> Path:
        return self.settings.outputs / _PITCHES / f"{source.name}.found.npy"

    def _drawn(self, source: Path) -> Path:
        return self.settings.outputs / _PITCHES / f"{source.name}.drawn.npy"

    def drawn(self, name: str) -> Path | None:
        """The file of a source's drawn pitch, if a person drew one."""
        path = self._drawn(self.source(name))
        return path if path.is_file() else None

    def track(self, name: str) -> "NDArray[np.float32] | None":
        """A source's pitch: drawn, or else found; None before it was looked for. Raises BadInput (damaged)."""
        from core.engines.sovits.pitch_track import read_track

        path = self._newest_pitch(name)
        return read_track(path).f0 if path else None

    def pitch_file(self, name: str) -> Path:
        """The file of what `track` gives. Raises NotFound."""
        path = self._newest_pitch(name)
        if path is None:
            raise NotFound("The pitch of this source is not known yet.", "Find it first.", where=name)
        return path

    def _newest_pitch(self, name: str) -> Path | None:
        source = self.source(name)
        return next((path for path in (self._drawn(source), self._found(source)) if path.is_file()), None)

    def stamp(self, name: str) -> str:
        """Changes whenever a pitch was found, imported or thrown away, not with what is drawn; empty before any."""
        source = self.source(name)
        times = [path.stat().st_mtime_ns for path in (self._found(source), self._mark(source)) if path.is_file()]
        return str(max(times)) if times else ""

    def _mark(self, source: Path) -> Path:
        return self.settings.outputs / _PITCHES / f"{source.name}.replaced"

    def _replaced(self, source: Path) -> None:
        atomic.write_text(self._mark(source), "")

    def draw(self, name: str, f0: "NDArray[np.float32]") -> Path:
        """Keep a drawn pitch (Hz every 512 samples at 44.1 kHz, 0 unvoiced). Raises BadInput, NotFound, NoSpace."""
        from core.engines.sovits.pitch_track import write_track

        return write_track(self._drawn(self.source(name)), f0)

    def forget(self, name: str) -> None:
        """Throw a drawn pitch away; what was found stays. Raises NotFound."""
        self._drawn(self.source(name)).unlink(missing_ok=True)
        self._replaced(self.source(name))

    def import_pitch(self, name: str, path: Path) -> Path:
        """Take a pitch file (.npy of ours or of 4.1) as what is drawn for a source. Raises BadInput, NotFound."""
        from core.engines.sovits.pitch_track import read_track

        made = self.draw(name, read_track(path).f0)
        self._replaced(self.source(name))
        return made

    def spectrum(self, name: str, block: int) -> bytes:
        """The picture of a minute of a source (see pitch_spectrum). Raises NotFound, BadInput."""
        from core.engines.sovits.pitch_spectrum import spectrum_block

        return spectrum_block(self.source(name), block, self.settings.cache_dir / "spectra")

    # -- speaker mixes

    def keep_mix(self, name: str, shares: Mapping[str, Any]) -> Path:
        """Write a source's speaker mix where its conversion finds it. Raises BadInput, NotFound, NoSpace."""
        from core.engines.sovits.mix_curves import write_mix

        place = self.settings.outputs / "mixes" / f"{self.source(name).name}.json"
        return write_mix(place, dict(shares))

    @staticmethod
    def read_mix(path: Path, known: Mapping[str, int]) -> dict[str, list[tuple[float, float]]]:
        """A mix file (ours, or 4.1's spkmix.py) as points (share of time, share) of the model's speakers, for drawing.

        Raises BadInput: no mix, seconds (a drawing has no length to tell them by), or a speaker that is not there.
        """
        from core.engines.sovits.mix_curves import read_mix

        mix = read_mix(path)
        if mix.in_seconds:
            raise BadInput(
                f"{path.name} counts in seconds, which a drawing cannot show.",
                "Use it on the command line, or write its times as shares of the recording, 0 to 1.",
                where=str(path),
            )
        names = {row: speaker for speaker, row in known.items()}
        return {names[row]: _points(segments) for row, segments in mix.rows(known).items()}


def _points(segments: list[tuple[float, float, float, float]]) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    for t0, t1, v0, v1 in segments:
        for time_, value in ((t0, v0), (min(t1, 1.0), v1)):
            if not points or points[-1] != (time_, value):
                points.append((time_, value))
    return points


def split_list(text: str) -> list[str]:
    """`a, b` as ["a", "b"]."""
    return [part for part in re.split(r"\s*,\s*", text.strip()) if part]
