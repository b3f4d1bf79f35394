"""What a person chooses for CosyVoice. Light: the page and the command line import it."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from core.speech.options import SpeechOptions

BLOCK_TOKENS, TOKENS_A_S, FRAMES_A_S = 25, 25, 50
EXACT_FRAMES = 21

PRESETS: dict[str, dict[str, Any]] = {
    "conversation": {"first_hop": 8, "token_hop_len": 25, "mel_cache_len": 6},
    "general": {"first_hop": 15, "token_hop_len": 25, "mel_cache_len": 8},
    "reading": {"first_hop": 25, "token_hop_len": 50, "mel_cache_len": EXACT_FRAMES},
}
"""Ways to trade the wait for the first sound against smooth seams."""


Scene = Literal["", "conversation", "general", "reading"]


class CosyOptions(SpeechOptions):
    """Settings of one request; none is shared between requests."""

    scene: Scene = Field(
        default="", description="a choice of first_hop, token_hop_len and mel_cache_len; those that are given stay"
    )

    mode: Literal["auto", "preset", "zero_shot", "cross_lingual", "instruct"] = Field(
        default="auto", description="how the voice is used; auto: zero_shot where the clip's words are known"
    )
    preset: str = Field(default="", description="one of the model's own voices; without a clip, empty is the first")
    stored: str = Field(default="", max_length=80, description="a speaker that was stored with the voice")
    instruct: str = Field(default="", max_length=500, description="mode instruct: how it should be said")
    speed: float = Field(default=1.0, ge=0.5, le=2.0, description="1.5 says it in two thirds of the time")
    normalise: bool = Field(default=True, description="write out numbers, dates and signs (by the package wetext)")
    first_hop: int = Field(
        default=BLOCK_TOKENS, ge=1, le=BLOCK_TOKENS, description="speech tokens (40 ms each) in the first block"
    )
    token_hop_len: int = Field(
        default=BLOCK_TOKENS, ge=BLOCK_TOKENS, le=1000, multiple_of=BLOCK_TOKENS, description="tokens in the others"
    )
    mel_cache_len: int = Field(
        default=EXACT_FRAMES,
        ge=1,
        le=EXACT_FRAMES,
        description=f"frames (20 ms each) held back at a seam; {EXACT_FRAMES}: no seam at all",
    )
    left_context_s: float | None = Field(
        default=10.0, ge=1.0, description="how far back the flow sees beside the prompt, s; None: all, and memory grows"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_scene(cls, data: Any) -> Any:
        scene = PRESETS.get(str(data.get("scene", ""))) if isinstance(data, dict) else None
        return {**scene, **data} if scene else data

    @model_validator(mode="after")
    def _instruct_needs_words(self) -> Self:
        if (self.mode == "instruct") != bool(self.instruct.strip()):
            raise ValueError("instruct and the mode instruct go together")
        return self

    @property
    def first_sound_tokens(self) -> int:
        """Speech tokens made before the first sound: the first block, three to look ahead, and what is held back."""
        frames, tokens = 2 * self.first_hop, self.first_hop
        while frames <= self.mel_cache_len:
            frames, tokens = frames + 2 * self.token_hop_len, tokens + self.token_hop_len
        return tokens + 3
