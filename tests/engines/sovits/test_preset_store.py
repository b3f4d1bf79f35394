"""Presets: kept, listed, shared; and that every flag of so-vits-svc 4.1 has its counterpart."""

import argparse
import json
import re
from pathlib import Path

import pytest

from cli import convert as command
from core.engines.sovits.convert_options import ConvertOptions, parse_options
from core.engines.sovits.convert_upstream import FLAGS, OURS_DIFFER, our_default, table, upstream_defaults
from core.engines.sovits.preset_store import BUILT_IN, KEPT, NOT_KEPT, PresetStore
from core.errors import BadInput, Conflict, NotFound

REPO = Path(__file__).resolve().parents[3]


@pytest.fixture
def presets(workspace: Path) -> PresetStore:
    return PresetStore(workspace)


def test_kept_listed_and_replaced(presets: PresetStore) -> None:
    assert [one.name for one in presets.list()] == [one.name for one in BUILT_IN]
    saved = presets.save("我的 song", {"voice": "v", "source": "s", "k_step": 50, "pitch": "pm", "seed": 3})
    assert saved.options == {"k_step": 50, "pitch": "pm", "seed": 3}
    presets.save("我的 song", {"k_step": 60})
    assert presets.get("我的 song").options == {"k_step": 60}
    assert presets.list()[0].name == "我的 song"
    presets.delete("我的 song")
    with pytest.raises(NotFound, match="so-vits-svc"):
        presets.get("我的 song")


def test_shared_as_a_file(presets: PresetStore, tmp_path: Path) -> None:
    presets.save("a", {"noise_scale": 0.2}, note="for tenors")
    file = presets.export("a", tmp_path / "a.json")
    assert presets.get(str(file)).options == {"noise_scale": 0.2}
    other = PresetStore(tmp_path / "other")
    assert other.import_file(file).note == "for tenors"
    assert other.import_file(file).name == "a (2)"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "no preset"),
        (json.dumps({"format": "timbre-convert-preset-1", "options": {"noise_scal": 1}}), "noise_scal"),
        (json.dumps({"format": "timbre-convert-preset-1", "options": {"noise_scale": 9}}), "noise_scale"),
        (json.dumps({"format": "timbre-convert-preset-1", "options": {"vocoder": "/etc/x"}}), "does not hold vocoder"),
        (
            json.dumps({"format": "timbre-convert-preset-1", "options": {"enhance": True, "diffusion": "only"}}),
            "enhance",
        ),
    ],
)
def test_a_file_that_is_none_is_refused(content: str, words: str, presets: PresetStore, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(content)
    with pytest.raises(BadInput, match=words):
        presets.import_file(file)
    assert not presets.folder.exists()


def test_names_and_built_in_ones(presets: PresetStore) -> None:
    with pytest.raises(BadInput, match="needs a name"):
        presets.save(" .. ", {})
    with pytest.raises(Conflict, match="comes with"):
        presets.save("SO-VITS-SVC 4.1", {})
    with pytest.raises(Conflict):
        presets.delete("so-vits-svc 4.1")
    saved = presets.save("../../up", {})
    assert (presets.folder / f"{saved.name}.json").is_file()


def test_every_option_is_kept_or_not() -> None:
    assert set(KEPT) | NOT_KEPT == set(ConvertOptions.model_fields)
    assert not set(KEPT) & NOT_KEPT


# ---- so-vits-svc 4.1


def test_every_flag_of_upstream_is_there(shared_dir: Path) -> None:
    spec = (shared_dir / "spec" / "so_vits_svc.md").read_text("utf-8")
    part = spec[spec.index("### 1.2") : spec.index("Output: results/")]
    assert set(re.findall(r"(-\w+)/(--\w+)", part)) == {(flag.short, flag.long) for flag in FLAGS}
    for short, default in re.findall(r"(-\w+)/--\w+ \(([\d.-]+)[);, ]", part):
        flag = next(one for one in FLAGS if one.short == short)
        assert flag.default == default, short


def test_defaults_match_but_for_those_that_say_why() -> None:
    for flag in FLAGS:
        for name, value in flag.sets.items():
            if name in OURS_DIFFER:
                assert our_default(name) != value
                assert "**" in flag.note, f"{flag.long} does not say why"
            else:
                assert our_default(name) == value, flag.long
    assert parse_options({"voice": "v", "source": "s", **upstream_defaults()}).pitch == "pm"
    assert BUILT_IN[0].options == upstream_defaults()


def test_every_counterpart_is_a_flag_of_ours() -> None:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    ours = parser.parse_args(["convert"])
    for flag in FLAGS:
        for word in re.findall(r"--[\w-]+", flag.ours):
            assert hasattr(ours, word[2:].replace("-", "_")), f"{flag.long}: {word}"


def test_the_page_holds_the_table() -> None:
    assert table() in (REPO / "docs" / "from_so_vits_svc.md").read_text("utf-8")
