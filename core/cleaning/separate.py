"""A song into voice and accompaniment, by an MDX-Net in ONNX form (see `mdx`). Nothing is ever fetched."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core import atomic
from core.audio.decode import DEFAULT_MAX_HOURS, probe, stream
from core.audio.resample import resample_blocks
from core.cleaning import mdx_models
from core.cleaning.blocks import Block, Source, sound_file
from core.cleaning.mdx import RATE_HZ, MdxNet, parted
from core.cleaning.options import CleanOptions
from core.errors import BadInput
from core.settings import Settings

if TYPE_CHECKING:
    from core.jobs.context import JobContext


@dataclass(frozen=True)
class Stems:
    """Two stereo files of equal length at `rate_hz`, which together are the song. `model`: the network's file name."""

    vocals: Path
    accompaniment: Path
    rate_hz: int
    duration_s: float
    model: str


def check(settings: Settings, separator: str = "auto") -> str:
    """The file name of the model that would be used. Raises Unavailable, NotFound, ModelFileError; see `mdx_models`."""
    return mdx_models.choose(settings, separator).path.name


def separated(source: Source, options: CleanOptions) -> Iterator[Block]:
    """The step: the voice alone, mono, at the source's rate. Raises as `check` does, Cancelled."""
    model = mdx_models.choose(source.ctx.settings, options.separator)
    source.notes.append(f"model: {model.path.name}")
    voices = (vocals.mean(axis=1) for vocals, _ in _parted(source.path, model, source.ctx, source.max_hours))
    yield from resample_blocks(voices, RATE_HZ, source.rate_hz)


def separate_stems(path: Path, folder: Path, ctx: "JobContext", *, separator: str = "auto", fmt: str = "flac") -> Stems:
    """Write `folder/vocals.FMT` and `folder/accompaniment.FMT` (24 bit, stereo, 44.1 kHz) of a song.

    Both appear when both are whole. Memory does not grow with the length. Raises as `check` does, BadInput (cannot be
    decoded, no sound), NoSpace, Cancelled.
    """
    model = mdx_models.choose(ctx.settings, separator)
    folder.mkdir(parents=True, exist_ok=True)
    targets = [folder / f"{stem}.{fmt}" for stem in ("vocals", "accompaniment")]
    expected = (probe(path).duration_s or 0.0) * RATE_HZ
    n_samples = 0
    with atomic.file(targets[0]) as first, atomic.file(targets[1]) as second:
        with (
            sound_file(first, RATE_HZ, fmt, 2, expected) as voice,
            sound_file(second, RATE_HZ, fmt, 2, expected) as music,
        ):
            for vocals, accompaniment in _parted(path, model, ctx, ctx.settings.max_decode_hours):
                voice.write(vocals)
                music.write(accompaniment)
                n_samples += vocals.shape[0]
        if n_samples == 0:
            raise BadInput(f"There is no sound in {path.name}.", "Choose a song that has sound in it.", where=str(path))
    return Stems(targets[0], targets[1], RATE_HZ, n_samples / RATE_HZ, model.path.name)


def _parted(
    path: Path, model: mdx_models.MdxModel, ctx: "JobContext", max_hours: float = DEFAULT_MAX_HOURS
) -> Iterator[tuple[Block, Block]]:
    """(vocals, accompaniment) of a file, with progress."""
    expected = (probe(path).duration_s or 0.0) * RATE_HZ
    net = MdxNet(model, ctx.check, gpu=ctx.settings.device != "cpu")
    n_samples = 0
    for vocals, accompaniment in parted(net, model, stream(path, RATE_HZ, max_hours=max_hours, stereo=True)):
        yield vocals, accompaniment
        n_samples += vocals.shape[0]
        ctx.progress(min(1.0, n_samples / max(expected, 1.0)))
