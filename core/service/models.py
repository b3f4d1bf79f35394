"""What the character service takes and gives, with the field names of its document. Light."""

import re
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core.service.languages import code_of

Status = Literal["pending", "running", "completed", "failed", "cancelled", "outdated"]
_GPUS = re.compile(r"\d{1,2}([-,]\d{1,2})*")
MAX_TEXT = 5000


class CharacterConfig(BaseModel):
    """How a character is prepared and trained. Unknown fields are refused, values checked, and all of it stored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    character_name: str = Field(default="", max_length=80, description="the character's own name; may be left out")
    language: str = Field(
        default="zh", description="of the recordings: zh, en, ja, ko, yue or auto; Chinese words work too"
    )
    batch_size: int = Field(default=16, ge=1, le=256, description="clips that are computed at once")
    epochs_s2: int = Field(
        default=50, ge=1, le=10_000,
        description="rounds over the clips while the sound model (engine sovits: the whole model) is trained; a round "
        "is at least 100 clips, smaller sets repeat",
    )  # fmt: skip
    epochs_s1: int = Field(
        default=15, ge=1, le=10_000, description="rounds of the text model; kept, but neither engine has one apart"
    )
    gpu_id: str = Field(
        default="0",
        description='GPUs by number; several, such as "0-1-2", train together where the studio\'s device is a GPU',
    )
    enable_denoise: bool = Field(default=True, description="take noise out of the recordings before they are cut")
    engine: Literal["sovits", "voxcpm"] = Field(
        default="sovits",
        description="what is trained: a converter, through which built-in speech goes, or VoxCPM, which speaks by "
        "itself and needs its released model on this machine; gpt_sovits is refused until it can be trained here",
    )
    preset: Literal["lite", "tiny", "standard", "lora", "full"] = Field(
        default="lite",
        description="engine sovits: size of the model (lite, tiny, standard); engine voxcpm: lora, which it takes if "
        "none is given, or full",
    )
    steps: int | None = Field(
        default=None, ge=1, le=2_000_000, description="training steps in all; overrides epochs_s2"
    )

    @field_validator("engine", mode="before")
    @classmethod
    def _not_yet(cls, value: Any) -> Any:
        if value == "gpt_sovits":
            raise ValueError("gpt_sovits cannot be trained here yet: use sovits or voxcpm")
        return value

    @model_validator(mode="before")
    @classmethod
    def _its_own_preset(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("engine") == "voxcpm" and "preset" not in data:
            return {**data, "preset": "lora"}
        return data

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.engine == "voxcpm") != (self.preset in ("lora", "full")):
            raise ValueError(f"the preset {self.preset} is not one of the engine {self.engine}")
        return self

    @field_validator("language")
    @classmethod
    def _known_language(cls, value: str) -> str:
        code_of(value)
        return value

    @field_validator("gpu_id")
    @classmethod
    def _known_gpus(cls, value: str) -> str:
        if not _GPUS.fullmatch(value):
            raise ValueError('numbers of GPUs joined by "-", such as "0" or "0-1-2"')
        if len(set(re.split("[-,]", value))) != len(re.split("[-,]", value)):
            raise ValueError("a GPU is named twice")
        return value


class CharacterCreateRequest(BaseModel):
    """Body of POST /characters."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"character_name": "my_speaker", "config": {"character_name": "my_speaker", "language": "zh"}}]
        },
    )

    character_name: str = Field(description="letters and digits of any language, `_` and `-`")
    config: CharacterConfig = Field(default_factory=lambda: CharacterConfig.model_validate({}))

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if self.config.character_name not in ("", self.character_name):
            raise ValueError("config.character_name is not character_name: give the same, or leave the former out")
        return self


class CharacterRenameRequest(BaseModel):
    """Body of PUT /characters/{name}."""

    model_config = ConfigDict(extra="forbid")

    new_name: str


class CharacterInfo(BaseModel):
    """One character. Times are ISO 8601."""

    character_name: str
    config: CharacterConfig
    created_at: str
    updated_at: str
    audio_count: int = 0
    audio_processing_status: Status = "pending"
    training_status: Status = "pending"
    model_exists: bool = False
    is_default: bool = False


class _Progress(BaseModel):
    """How far something of a character is. `progress` is 0..100; times are ISO 8601."""

    character_name: str
    status: Status
    current_step: str | None = None
    progress: float = 0.0
    started_at: str | None = None
    completed_at: str | None = None
    error_message: str | None = None
    job_id: int | None = None
    eta_s: float | None = None


class AudioProcessingInfo(_Progress):
    """How far the audio of a character is. `progress` is 0..100."""

    processed_audio_count: int = 0


class TrainingInfo(_Progress):
    """How far the training of a character is. `progress` is 0..100; paths are relative to the character's folder."""

    gpt_model_path: str | None = None
    sovits_model_path: str | None = None


class CheckInfo(BaseModel):
    """What the files say, whatever any job did."""

    character_name: str
    status: Status
    message: str


class AudioFileInfo(BaseModel):
    """One recording. `file_path` is relative to the character's folder, `duration` in seconds."""

    filename: str
    file_path: str
    file_size: int
    created_at: str
    modified_at: str
    duration: float | None = None


class InferenceRequest(BaseModel):
    """Body of POST /inference."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"character_name": "my_speaker", "target_text": "你好，这是一个测试语音。"}]},
    )

    character_name: str | None = Field(default=None, description="null: the default character")
    target_text: str = Field(
        default="", max_length=MAX_TEXT, description="what to say; may be empty only with source_audio"
    )
    ref_audio: str | None = Field(
        default=None,
        description="a recording or clip of the character, by its name or its path in the character's files, never a "
        "path of the server; engine voxcpm copies it (1 to 60 s), others keep it; left out, the best clip is taken",
    )
    ref_text: str | None = Field(
        default=None,
        max_length=2000,
        description="what is said in ref_audio, without which it has no use; left out: the clip's own words",
    )
    ref_language: str = Field(default="中文", description="language of ref_text")
    target_language: str = Field(default="中文", description="language of target_text; auto looks at the text")
    output_name: str | None = Field(
        default=None, max_length=80, description="name of the result; a number is added if taken"
    )
    source_audio: str | None = Field(
        default=None, description="engine sovits: an uploaded file of the character to convert instead of spoken text"
    )
    transpose: float | None = Field(
        default=None, ge=-36, le=36, description="semitones; null fits the source to the voice"
    )
    seed: int = Field(default=52468, ge=0, lt=2**31)

    @field_validator("ref_language", "target_language")
    @classmethod
    def _known_language(cls, value: str) -> str:
        code_of(value)
        return value

    @model_validator(mode="after")
    def _something_to_say(self) -> Self:
        if not self.source_audio and not any(char.isalnum() for char in self.target_text):
            raise ValueError("target_text holds nothing that can be said")
        return self


class InferenceInfo(BaseModel):
    """One spoken text. `output_path` is relative to the workspace, `progress` 0..100."""

    inference_id: str
    character_name: str
    target_text: str
    status: Status
    created_at: str
    completed_at: str | None = None
    output_path: str | None = None
    error_message: str | None = None
    progress: float = 0.0
    job_id: int | None = None


class Done(BaseModel):
    """A short answer."""

    message: str
    success: bool = True
    filename: str | None = None
    path: str | None = None
