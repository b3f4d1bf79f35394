"""How busy the GPU is while a run trains: nvidia-smi is asked by a thread, so that no step waits for it."""

import threading
from types import TracebackType
from typing import Self

from core import device

EVERY_S = 5.0


class GpuUse:
    """Samples a GPU's load from enter to exit; on a CPU it does nothing."""

    def __init__(self, where: str, every_s: float = EVERY_S) -> None:
        """
        Args:
            where: torch's name of the device, "cuda:N" or "cpu".
            every_s: seconds between two samples.
        """
        self._where, self._every_s = where, every_s
        self._samples: list[float] = []
        self._lock, self._end = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._end.clear()
        if self._where.startswith("cuda"):
            self._thread = threading.Thread(target=self._watch, name="gpu use", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def percent(self) -> float | None:
        """The mean load since it was last asked, 0..100; None where nothing was sampled meanwhile."""
        with self._lock:
            samples, self._samples = self._samples, []
        return 100.0 * sum(samples) / len(samples) if samples else None

    def _watch(self) -> None:
        while not self._end.wait(self._every_s):
            load = device.info(self._where).utilisation
            if load is not None:
                with self._lock:
                    self._samples.append(load)
