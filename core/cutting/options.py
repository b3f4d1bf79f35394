"""What a person chooses for cutting by subtitles. Light: the page and the command line import it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.options import parse

Language = Literal["", "zh", "en", "ja", "ko", "yue"]


class CutOptions(BaseModel):
    """How the speech of each cue becomes a clip. Unknown settings are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    buffer_ms: int = Field(100, ge=0, le=2000, description="speech is searched from this before a cue to after it, ms")
    silence_ms: int = Field(200, ge=0, le=5000, description="silence put before and after each clip, ms")
    vad_threshold: float = Field(0.5, ge=0.05, le=0.95, description="probability from which a frame is speech")
    sample_rate: int = Field(44100, ge=8000, le=192000, description="sample rate of the clips, Hz")
    append: bool = Field(False, description="go on with the numbers of the dataset that is in the folder")
    merge: bool = Field(False, description="join cues to whole sentences first, by the rules")
    glossary: list[str] = Field(
        default=[], max_length=2000, description="with merge: names and terms as they are spelled, or wrong = right"
    )
    fix_timing: bool = Field(False, description="correct an offset or a drift of the subtitles, if one is found")
    use_original: bool = Field(False, description="cut a voice's recording as imported, although it was cleaned")
    language: Language = Field("", description="language of the text; empty: told from its script, clip by clip")
    speaker: str = Field("", max_length=80, description="who speaks; empty: what the subtitles say, or the folder")
    gpt_sovits: bool = Field(True, description="also write the list that GPT-SoVITS reads (gpt_sovits.list)")
    sovits: bool = Field(False, description="also lay the clips out as so-vits-svc wants them (dataset_raw/<speaker>)")


def parse_options(data: dict[str, Any] | None) -> CutOptions:
    """CutOptions of a mapping. Raises BadInput that names every field that is unknown or out of range."""
    return parse(CutOptions, data, "Cutting options")
