"""Which weights are here, which are best, and what a person is told where they are not."""

from pathlib import Path

import pytest

from core.errors import BadInput, Unavailable
from core.models import catalogue
from core.settings import Settings
from core.subtitles.options import parse_options
from core.transcribe.models import find, here, names
from core.transcribe.options import TranscribeOptions


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(workspace=tmp_path / "w", pretrain_dir=tmp_path / "pretrain")


def place(settings: Settings, name: str, leave_out: str = "") -> None:
    one = catalogue.entry(name)
    folder = settings.pretrain_dir / one.folder
    folder.mkdir(parents=True)
    for wanted in one.files:
        file = wanted if isinstance(wanted, str) else wanted[0]
        if file != leave_out:
            (folder / file).write_bytes(b"x")


def test_nothing_here_says_how_to_import(settings: Settings) -> None:
    for engine, folder in (("whisper", "pretrain/whisper/small"), ("parakeet", "pretrain/parakeet/tdt-0.6b-v3")):
        assert here(settings, engine) == []
        with pytest.raises(Unavailable, match="not on this machine") as missing:
            find(settings, engine, None, None)
        assert folder in missing.value.hint
        assert "by hand" in missing.value.hint


def test_the_best_for_the_language(settings: Settings) -> None:
    for name in ("whisper-tiny", "whisper-base.en", "parakeet-tdt-0.6b-v2"):
        place(settings, name)
    assert find(settings, "whisper", None, None).name == "whisper-tiny"
    assert find(settings, "whisper", None, "zh").name == "whisper-tiny"
    assert find(settings, "whisper", None, "en").name == "whisper-base.en"
    assert find(settings, "whisper", "tiny", None).name == "whisper-tiny"
    assert find(settings, "whisper", "whisper-tiny", None).name == "whisper-tiny"
    assert find(settings, "parakeet", None, None).english_only
    with pytest.raises(Unavailable):
        find(settings, "parakeet", None, "de")
    place(settings, "whisper-large-v3")
    assert find(settings, "whisper", None, None).name == "whisper-large-v3"


def test_half_a_model_is_none(settings: Settings) -> None:
    place(settings, "whisper-large-v3", leave_out="preprocessor_config.json")
    with pytest.raises(Unavailable, match=r"missing: preprocessor_config\.json"):
        find(settings, "whisper", "large-v3", None)
    with pytest.raises(Unavailable, match="whisper-huge") as unknown:
        find(settings, "whisper", "huge", None)
    assert "large-v3-turbo" in unknown.value.hint


def test_a_folder_of_ones_own(settings: Settings, tmp_path: Path) -> None:
    found = find(settings, "whisper", str(tmp_path), "zh")
    assert (found.folder, found.name) == (tmp_path, tmp_path.name)


def test_every_size_is_listed() -> None:
    sizes = {name.removeprefix("whisper-") for name in names("whisper")}
    assert {"tiny", "base", "small", "medium", "large-v3", "large-v3-turbo"} <= sizes


@pytest.mark.parametrize("given", [{"engine": "siri"}, {"language": "English"}, {"modell": "tiny"}, {"limit_s": 99}])
def test_options_are_strict(given: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=next(iter(given))):
        parse_options(TranscribeOptions, {"audio": "a", "out": "b", **given})
