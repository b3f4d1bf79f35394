"""What a run shows while it goes on: metrics.jsonl for the page's own plots, TensorBoard for everything."""

import contextlib
import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from core.training.runs import METRICS_FILE

log = logging.getLogger(__name__)


class MetricsLog:
    """Writes scalars, images and audio of one run. A disk that is full loses log lines, never the training."""

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        """
        Args:
            folder: the run folder.
            purge_step: after a resume, the first step to come: TensorBoard hides what was logged from there on before.
        """
        self._folder = folder
        self._file = folder / METRICS_FILE
        self._purge_step = purge_step
        self._writer: Any = None
        self._open()

    def _open(self) -> None:
        """A new TensorBoard file: at the start, and after the folder was deleted or the disk was full."""
        from torch.utils.tensorboard import SummaryWriter

        try:
            self._writer = SummaryWriter(  # type: ignore[no-untyped-call]
                str(self._folder), purge_step=self._purge_step, max_queue=1000, flush_secs=10
            )
        except OSError as err:
            log.warning("TensorBoard's file cannot be written: %s", err)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def scalars(self, step: int, values: Mapping[str, float], wall_time: float) -> None:
        """One log step. Names are TensorBoard tags ("loss/g/mel"); what is not finite becomes null in the file."""
        row: dict[str, Any] = {"step": step, "wall_time": wall_time}
        row.update({name: value if math.isfinite(value) else None for name, value in values.items()})
        if not self._file.parent.is_dir():
            log.warning("the folder of the run was deleted; it is made again")
            self._lose_writer()
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with open(self._file, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as err:
            log.warning("metrics of step %d were not written: %s", step, err)
        if self._writer is None:
            self._open()
        for name, value in values.items():
            self._tolerant(lambda tag=name, one=value: self._writer.add_scalar(tag, one, step), name)

    def image(self, step: int, tag: str, picture: NDArray[np.uint8]) -> None:
        """A picture [H, W, 3]."""
        self._tolerant(lambda: self._writer.add_image(tag, picture, step, dataformats="HWC"), tag)

    def audio(self, step: int, tag: str, samples: NDArray[np.float32], rate_hz: int) -> None:
        """Audio [N]; what is beyond [-1, 1] is cut off."""
        whole = np.clip(samples, -1.0, 1.0)[None]
        self._tolerant(lambda: self._writer.add_audio(tag, whole, step, sample_rate=rate_hz), tag)

    def text(self, step: int, tag: str, words: str) -> None:
        """A note (Markdown)."""
        self._tolerant(lambda: self._writer.add_text(tag, words, step), tag)

    def flush(self) -> None:
        """Hand everything to the disk."""
        self._tolerant(lambda: self._writer.flush(), "flush")

    def close(self) -> None:
        """Flush and close."""
        self._tolerant(lambda: self._writer.close(), "close")

    def _tolerant(self, write: Any, what: str) -> None:
        if self._writer is None:
            return
        try:
            write()
        except OSError as err:
            log.warning("TensorBoard %s was not written: %s", what, err)
            self._lose_writer()

    def _lose_writer(self) -> None:
        """A writer whose thread met an error never writes again; the next scalars open a new file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(OSError):
                writer.close()
