"""What the gate asks of clips and of a set: two presets, every number changeable. Light: doors import it."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from core.errors import BadInput
from core.options import parse


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


Number = Annotated[float, AfterValidator(_finite)]
Share = Annotated[Number, Field(ge=0.0, le=1.0)]
Rates = dict[str, tuple[Number, Number]]

SPEECH_RATES: dict[str, tuple[float, float]] = {
    "latin": (4.0, 24.0),
    "cyrillic": (4.0, 24.0),
    "greek": (4.0, 24.0),
    "arabic": (3.0, 20.0),
    "hebrew": (3.0, 18.0),
    "devanagari": (3.0, 20.0),
    "thai": (4.0, 22.0),
    "hangul": (1.5, 10.0),
    "kana": (2.0, 14.0),
    "han": (1.2, 9.0),
}
"""Letters (punctuation and spaces not counted) that people say in a second of speech, slow..fast, by script. Around
the rates of 5 to 8 syllables a second in seventeen languages (Coupé, Oh, Dediu and Pellegrino, Science Advances 2019),
times the letters of a syllable in that script, with room for slow reading and singing."""


class Thresholds(BaseModel):
    """Limits. `review` asks a person to listen, `reject` keeps a clip out of training unless a person says otherwise.

    A limit that is None is not looked at.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_duration_s: Number = Field(1.0, ge=0, description="shorter clips are put up for review, s")
    reject_below_s: Number = Field(0.4, ge=0, description="shorter clips are rejected, s")
    max_duration_s: Number = Field(15.0, gt=0, description="longer clips are put up for review, s")
    snr_review_db: Number = Field(15.0, description="noisier clips are put up for review, dB")
    snr_reject_db: Number = Field(8.0, description="noisier clips are rejected, dB")
    clipped_review: Share = Field(0.0005, description="share of clipped samples for review")
    clipped_reject: Share = Field(0.005, description="share of clipped samples for rejection")
    max_true_peak_dbtp: Number | None = Field(0.5, description="higher true peaks are put up for review, dBTP")
    min_lufs: Number | None = Field(-36.0, description="softer clips are put up for review, LUFS")
    max_lufs: Number | None = Field(-8.0, description="louder clips are put up for review, LUFS")
    bandwidth_hz: Number = Field(5500.0, ge=0, description="a source that reaches no higher is put up for review, Hz")
    rt60_review_s: Number | None = Field(0.5, gt=0, description="more reverberant clips are put up for review, s")
    rt60_reject_s: Number | None = Field(None, gt=0, description="more reverberant clips are rejected, s")
    speech_review: Share | None = Field(None, description="clips with a smaller share of speech: review")
    speech_reject: Share | None = Field(None, description="clips with a smaller share of speech: rejected")
    voiced_review: Share | None = Field(0.1, description="clips with a smaller share of voiced time: review")
    need_text: bool = Field(False, description="clips without text are put up for review")
    speech_rates: Rates = Field(
        default_factory=lambda: dict(SPEECH_RATES), description="letters a second of speech by script, [slow, fast]"
    )
    cer_review: Number = Field(0.35, ge=0, description="a recogniser that differs by more: review (character errors)")
    cer_reject: Number = Field(0.8, ge=0, description="a recogniser that differs by more: rejected")
    duplicate_similarity: Share | None = Field(0.93, description="clips more alike than this are duplicates (0..1)")
    speaker_z: Number | None = Field(5.0, gt=0, description="clips further from the set's voice: review (robust z)")

    set_minutes: Number = Field(10.0, ge=0, description="less accepted material is remarked on, minutes")
    set_semitones: Number = Field(12.0, ge=0, description="a narrower pitch range is remarked on, semitones")
    set_source_share: Share = Field(0.6, description="one recording that makes up more of the set is remarked on")
    set_short_share: Share = Field(0.5, description="more clips under 3 s than this are remarked on")
    set_loudness_spread_lu: Number = Field(6.0, gt=0, description="more loudness spread (p90 - p10) is remarked on, LU")
    set_bandwidth_hz: Number = Field(9000.0, ge=0, description="a duller set (median bandwidth) is remarked on, Hz")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        pairs = [
            ("snr_reject_db", self.snr_reject_db, "snr_review_db", self.snr_review_db),
            ("clipped_review", self.clipped_review, "clipped_reject", self.clipped_reject),
            ("reject_below_s", self.reject_below_s, "min_duration_s", self.min_duration_s),
            ("min_duration_s", self.min_duration_s, "max_duration_s", self.max_duration_s),
            ("min_lufs", self.min_lufs, "max_lufs", self.max_lufs),
            ("rt60_review_s", self.rt60_review_s, "rt60_reject_s", self.rt60_reject_s),
            ("speech_reject", self.speech_reject, "speech_review", self.speech_review),
            ("cer_review", self.cer_review, "cer_reject", self.cer_reject),
        ]
        wrong = [f"{a} ({x:g}) must not exceed {b} ({y:g})" for a, x, b, y in pairs if _above(x, y)]
        wrong += [
            f"speech_rates: {script} must be [slow, fast] with 0 <= slow < fast"
            for script, (slow, fast) in self.speech_rates.items()
            if not 0 <= slow < fast
        ]
        unknown = sorted(set(self.speech_rates) - set(SPEECH_RATES))
        if unknown:
            wrong.append(f"speech_rates: no script {', '.join(unknown)}; there are {', '.join(SPEECH_RATES)}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


def _above(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and low > high


PRESETS: dict[str, dict[str, Any]] = {
    # Singing counts: Silero hears little of it as speech, and pitch range matters more than text.
    "svc": {},
    # A speaker to imitate, word for word: cleaner, drier, with text, and speech all through.
    "tts": {
        "snr_review_db": 20.0,
        "snr_reject_db": 10.0,
        "rt60_review_s": 0.45,
        "rt60_reject_s": 1.0,
        "speech_review": 0.4,
        "speech_reject": 0.1,
        "voiced_review": 0.15,
        "need_text": True,
        "set_minutes": 5.0,
        "set_semitones": 5.0,
    },
}
"""What each preset changes of the defaults of `Thresholds`."""


def parse_thresholds(preset: str = "svc", changes: Mapping[str, Any] | None = None) -> Thresholds:
    """The thresholds of a preset with changes on top; `speech_rates` may name some scripts only.

    Raises BadInput that names every setting that is unknown, of the wrong kind or contradictory.
    """
    if preset not in PRESETS:
        raise BadInput(
            f"There is no quality preset {preset!r}.", f"The presets are: {', '.join(PRESETS)}.", where="preset"
        )
    values: dict[str, Any] = {**PRESETS[preset], **(changes or {})}
    if isinstance(values.get("speech_rates"), Mapping):
        values["speech_rates"] = {**SPEECH_RATES, **values["speech_rates"]}
    return parse(Thresholds, values, "Quality thresholds", where="thresholds")
