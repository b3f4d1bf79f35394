"""What a run of the gate is asked for, besides its thresholds. Light: doors import it."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.options import parse


class QaOptions(BaseModel):
    """Unknown or wrong settings are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    apply: bool = Field(False, description="write the proposed verdicts into the voice's table (can be undone)")
    report: str | None = Field(None, description="where the HTML report goes; default: the voice's reports folder")
    language: Literal["auto", "en", "zh"] = Field("auto", description="language of findings and report")
    speaker: str = Field("auto", description="what tells voices apart: network, timbre, or auto: the network if here")
    asr: str | None = Field(None, description="recogniser to compare texts with; None: not done")
    text_language: str = Field("", max_length=20, description="language of the texts, as en or it; empty: by script")
    workers: int = Field(0, ge=0, le=64, description="processes; 0 chooses")


def parse_qa_options(data: Mapping[str, Any]) -> QaOptions:
    """QaOptions of a mapping. Raises BadInput that names every field that is unknown or wrong."""
    return parse(QaOptions, data, "Quality gate", more="Limits go into thresholds.")
