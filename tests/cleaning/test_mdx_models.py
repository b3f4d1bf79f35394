"""A model's figures come from what is written about it, never from a guess."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cleaning import mdx_models
from core.cleaning.mdx_models import choose, digest_of, names, params_of
from core.errors import ModelFileError, NotFound, Unavailable
from core.models.catalogue import entry
from tests.cleaning import tiny_mdx
from tests.cleaning.kit import context

ROW = {"mdx_n_fft_scale_set": 4096, "compensate": 1.04, "primary_stem": "Instrumental", "mdx_dim_f_set": 1000}


def test_without_any_model_the_way_to_one_is_told(workspace: Path) -> None:
    with pytest.raises(Unavailable) as err:
        choose(context(workspace).settings)
    assert "Kim_Vocal_2.onnx" in err.value.hint
    assert "pretrain/separation" in err.value.hint


def test_a_json_beside_it_speaks_first(tmp_path: Path) -> None:
    path = tiny_mdx.write(tmp_path)
    (tmp_path / "mdx_model_data.json").write_text(json.dumps({digest_of(path): ROW}))
    assert params_of(path).model_dump() == tiny_mdx.PARAMS


@pytest.mark.parametrize("table", mdx_models.TABLES)
def test_then_the_public_tables(tmp_path: Path, table: str) -> None:
    path = tiny_mdx.write(tmp_path, params={})
    (tmp_path / table).write_text(json.dumps({digest_of(path): ROW}))
    params = params_of(path)
    assert (params.n_fft, params.compensation, params.stem) == (4096, 1.04, "accompaniment")


def test_the_digest_is_of_the_last_ten_megabytes(tmp_path: Path) -> None:
    import hashlib

    path = tmp_path / "large.onnx"
    path.write_bytes(b"head" + b"x" * 10_240_000)
    assert digest_of(path) == hashlib.md5(b"x" * 10_240_000).hexdigest()


def test_an_unknown_model_is_refused_with_what_to_write(tmp_path: Path) -> None:
    path = tiny_mdx.write(tmp_path, params={})
    with pytest.raises(Unavailable) as err:
        params_of(path)
    assert "Tiny.json" in err.value.hint
    path.with_suffix(".json").write_text(err.value.hint[err.value.hint.index("{") : err.value.hint.index("}") + 1])
    assert params_of(path).stem == "vocals"


def test_a_model_for_drums_is_refused(tmp_path: Path) -> None:
    path = tiny_mdx.write(tmp_path, params={})
    (tmp_path / mdx_models.TABLES[0]).write_text(json.dumps({digest_of(path): {**ROW, "primary_stem": "Drums"}}))
    with pytest.raises(Unavailable, match="Drums"):
        params_of(path)


@given(st.binary(max_size=60) | st.recursive(st.none() | st.integers() | st.text(max_size=5),
       lambda inner: st.dictionaries(st.sampled_from(["n_fft", "compensation", "stem", "mdx_n_fft_scale_set"]), inner),
       max_leaves=4).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_whatever_the_json_holds_is_figures_or_words(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("mdx") / "Tiny.onnx"
    path.write_bytes(b"x")
    path.with_suffix(".json").write_bytes(data)
    with contextlib.suppress(ModelFileError, Unavailable):
        assert params_of(path).n_fft >= 256


def test_known_models_have_sound_figures() -> None:
    for digest, (n_fft, compensation, _) in mdx_models._KNOWN.items():
        assert len(digest) == 32
        assert n_fft in (5120, 6144, 7680)
        assert 1.0 <= compensation <= 1.75


class TestChoosing:
    @pytest.fixture
    def folder(self, workspace: Path) -> Path:
        return workspace / entry("vocals").folder

    def test_by_name_with_or_without_its_ending(self, workspace: Path, folder: Path) -> None:
        settings = context(workspace).settings
        for name in ("b.onnx", "a.onnx"):
            tiny_mdx.write(folder, name)
        assert names(settings) == ["a.onnx", "b.onnx"]
        assert choose(settings, "b").path == choose(settings, "b.onnx").path == folder / "b.onnx"

    @pytest.mark.parametrize("name", ["c", "../a", "/etc/passwd", ""])
    def test_other_names_are_refused(self, workspace: Path, folder: Path, name: str) -> None:
        tiny_mdx.write(folder, "a.onnx")
        with pytest.raises(NotFound, match="no separation model"):
            choose(context(workspace).settings, name)

    def test_auto_takes_the_best_that_is_known(
        self, workspace: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tiny_mdx.write(folder, "a.onnx", params={}, content=tiny_mdx.onnx_bytes(seed=1))  # nobody knows it
        tiny_mdx.write(folder, "b.onnx", content=tiny_mdx.onnx_bytes(seed=2))  # has figures of its own
        known = tiny_mdx.write(folder, "c.onnx", params={}, content=tiny_mdx.onnx_bytes(seed=3))
        settings = context(workspace).settings
        assert choose(settings).path.name == "b.onnx"
        monkeypatch.setitem(mdx_models._KNOWN, digest_of(known), (2048, 1.0, True))
        assert choose(settings).path.name == "c.onnx"

    def test_auto_with_none_that_is_known_says_why(self, workspace: Path, folder: Path) -> None:
        tiny_mdx.write(folder, params={})
        with pytest.raises(Unavailable, match="not known here"):
            choose(context(workspace).settings)
