"""The voice out of a song, by the package audio-separator and an MDX-Net in ONNX form.

Only ONNX models are taken: the package loads its other kinds in ways that can run code from the file. It would fetch
what is missing from the network by itself, so all files must be in place before it is asked.
"""

import importlib.util
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from core.audio.decode import stream
from core.cleaning.blocks import Block, Source
from core.cleaning.options import CleanOptions
from core.errors import Unavailable
from core.models import catalogue
from core.settings import Settings

ENTRY = "vocals"
_MODEL = "Kim_Vocal_2.onnx"


def check(settings: Settings) -> Path:
    """The folder with the weights. Raises Unavailable that says what is missing and what to do."""
    presence = catalogue.locate(settings, ENTRY)
    if presence.state != "present" or presence.path is None:
        raise Unavailable(
            f"Vocal separation has no weights here (missing: {', '.join(presence.missing)}).",
            f"{presence.entry.by_hand[0].upper()}{presence.entry.by_hand[1:]}.",
            where="separate",
        )
    if importlib.util.find_spec("audio_separator") is None:
        raise Unavailable(
            "Vocal separation needs the package audio-separator, which is not installed.",
            "Install it into the studio's environment (pip install audio-separator), or leave the step out.",
            where="separate",
        )
    if shutil.which("ffmpeg") is None:
        raise Unavailable(
            "Vocal separation needs the program ffmpeg, which audio-separator calls.",
            "Install ffmpeg, or leave the step out.",
            where="separate",
        )
    return presence.path


def separated(source: Source, options: CleanOptions) -> Iterator[Block]:
    """The step: the voice alone, mono. Raises Unavailable."""
    folder = check(source.ctx.settings)
    from audio_separator.separator import Separator

    with tempfile.TemporaryDirectory(prefix="timbre-separate-") as scratch:
        separator = Separator(
            log_level=logging.WARNING,
            model_file_dir=str(folder),
            output_dir=scratch,
            output_format="WAV",
            output_single_stem="Vocals",
            sample_rate=source.rate_hz,
        )
        source.ctx.progress(0.05)
        separator.load_model(_MODEL)
        separator.separate(str(source.path))
        made = next(iter(sorted(Path(scratch).glob("*.wav"))), None)
        if made is None:
            raise Unavailable("audio-separator gave no vocals.", "Leave the step out.", where="separate")
        source.ctx.progress(0.95)
        yield from stream(made, source.rate_hz, max_hours=source.max_hours)
