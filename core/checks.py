"""The answer form of every pre-flight and doctor question."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "fail"]
_ORDER: dict[Verdict, int] = {"ok": 0, "warn": 1, "fail": 2}


@dataclass(frozen=True)
class Check:
    """One line of a check list: what was looked at, how it stands, and what to do about it.

    `fix` is empty when there is nothing to do.
    """

    name: str
    verdict: Verdict
    detail: str
    fix: str = ""

    def to_dict(self) -> dict[str, str]:
        """The JSON form."""
        return asdict(self)


def worst(checks: Iterable[Check]) -> Verdict:
    """The most serious verdict among `checks`; `ok` when there are none."""
    return max((check.verdict for check in checks), key=_ORDER.__getitem__, default="ok")
