"""Is a clip fit to learn from? Figures in, verdict and reason codes out."""

from typing import TYPE_CHECKING

from core.dataset.clips import Verdict
from core.dataset.options import PrepareOptions

if TYPE_CHECKING:
    from core.audio.quality import Quality

REASONS: dict[str, str] = {
    "too_short": "It is shorter than the shortest clip asked for.",
    "too_long": "It is longer than the longest clip asked for.",
    "silent": "Nothing can be heard in it.",
    "mostly_silent": "Most of it is silence.",
    "clipped": "The recording was too loud: its peaks are cut off.",
    "noisy": "The noise is too strong beside the voice.",
    "narrow_band": "High frequencies are missing, as on the telephone.",
    "unreadable": "The file cannot be read.",
    "hot_peaks": "Its peaks rise above full scale.",
    "too_soft": "It is very soft.",
    "too_loud": "It is very loud.",
    "reverberant": "The echo of the room is in it.",
    "little_speech": "There is little speech in it.",
    "little_voice": "There is little voiced sound in it.",
    "no_text": "It has no text.",
    "text_pace": "Its text does not fit its length.",
    "text_differs": "A recogniser heard something else than its text.",
    "duplicate": "The same take is there twice.",
    "other_speaker": "It does not sound like the rest of the set.",
    "other_language": "It is spoken in another language than the rest of the set.",
}
"""Reason codes with their English text; the page translates the codes."""

CLIPPED_REJECT = 0.005
CLIPPED_REVIEW = 0.0005
NARROW_BAND_HZ = 5000.0
_SILENT_DB = -60.0
_MOSTLY_SILENT = 0.75
_NOISY_MARGIN_DB = 6.0
_SLACK_S = 0.01


def judge(quality: "Quality", options: PrepareOptions) -> tuple[Verdict, list[str]]:
    """The verdict on a clip by its figures, with every reason that counts against it.

    Rejected: shorter than asked, silent, more than 0.5 % of the samples clipped, or noisier than the limit by 6 dB.
    Review: what a person should listen to. `narrow_band` is not judged here: a single soft clip can lack high
    frequencies where its recording does not (see `recording_is_narrow`).
    """
    rejected: list[str] = []
    review: list[str] = []
    if quality.duration_s < options.min_clip_s - _SLACK_S:
        rejected.append("too_short")
    if quality.duration_s > options.max_clip_s + _SLACK_S:
        review.append("too_long")
    if quality.peak_db < _SILENT_DB:
        rejected.append("silent")
        return "rejected", rejected  # the other figures of silence mean nothing
    if quality.silence_fraction > _MOSTLY_SILENT:
        review.append("mostly_silent")
    if quality.clipped_fraction > CLIPPED_REVIEW:
        (rejected if quality.clipped_fraction > CLIPPED_REJECT else review).append("clipped")
    if quality.snr_db < options.min_snr_db:
        (rejected if quality.snr_db < options.min_snr_db - _NOISY_MARGIN_DB else review).append("noisy")
    if rejected:
        return "rejected", rejected + review
    return ("review", review) if review else ("accepted", [])


def recording_is_narrow(bandwidths_hz: list[float]) -> bool:
    """True if none but a tenth of a recording's clips reaches above 5 kHz."""
    if not bandwidths_hz:
        return False
    reaching = sum(bandwidth >= NARROW_BAND_HZ for bandwidth in bandwidths_hz)
    return reaching <= len(bandwidths_hz) / 10
