"""From speech probabilities to stretches of speech, by Silero's own rule (its `get_speech_timestamps` at 16 kHz)."""

from collections.abc import Sequence

from core.cutting.speech import FRAME_SAMPLES

_EXIT_BELOW = 0.15  # speech ends at this much below the threshold
_MIN_EXIT = 0.01
_MIN_SPEECH = 4000  # samples: 250 ms
_MIN_SILENCE = 1600  # 100 ms
_PAD = 480  # 30 ms


def segments(probabilities: Sequence[float], n_samples: int, threshold: float) -> list[tuple[int, int]]:
    """[start, end) in samples of the stretches of speech in a window of `n_samples`, in order, padded by 30 ms.

    `probabilities`: one per 512 samples.
    """
    found: list[tuple[int, int]] = []
    leave = max(threshold - _EXIT_BELOW, _MIN_EXIT)
    start = quiet = -1
    for frame, probability in enumerate(probabilities):
        at = frame * FRAME_SAMPLES
        if probability >= threshold:
            quiet = -1
            start = at if start < 0 else start
        elif start >= 0 and probability < leave:
            quiet = at if quiet < 0 else quiet
            if at - quiet >= _MIN_SILENCE:
                if quiet - start > _MIN_SPEECH:
                    found.append((start, quiet))
                start = quiet = -1
    if start >= 0 and n_samples - start > _MIN_SPEECH:
        found.append((start, n_samples))
    return _padded(found, n_samples)


def _padded(found: list[tuple[int, int]], n_samples: int) -> list[tuple[int, int]]:
    """Widened by 30 ms each side; a pause shorter than 60 ms is shared between its neighbours."""
    starts = [start for start, _ in found]
    ends = [end for _, end in found]
    for i in range(len(found)):
        room = starts[i + 1] - ends[i] if i + 1 < len(found) else None
        if room is not None and room < 2 * _PAD:
            ends[i] += room // 2
            starts[i + 1] -= room // 2
        else:
            ends[i] = min(n_samples, ends[i] + _PAD)
            if room is not None:
                starts[i + 1] = max(0, starts[i + 1] - _PAD)
    if starts:
        starts[0] = max(0, starts[0] - _PAD)
    return list(zip(starts, ends, strict=True))
