"""Settings: order of sources, typos named, hosts guarded, secrets kept."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.errors import BadInput
from core.paths import REPO_ROOT
from core.settings import Settings, is_loopback, load_settings


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_defaults() -> None:
    settings = load_settings({}, {})
    assert (settings.host, settings.port, settings.token) == ("127.0.0.1", 7860, None)
    assert settings.workspace == REPO_ROOT / "workspace"
    assert settings.runs == REPO_ROOT / "logs"
    assert all(line.source == "default" for line in settings.describe())


def test_later_sources_win_and_describe_says_which(tmp_path: Path) -> None:
    write(tmp_path, 'port = 1000\nlanguage = "zh"\nthreads = 3\n')
    env = {"TIMBRE_WORKSPACE": str(tmp_path), "TIMBRE_PORT": "2000", "TIMBRE_THREADS": "5", "OTHER": "x"}
    settings = load_settings({"port": 3000, "device": None}, env)
    assert (settings.port, settings.threads, settings.language, settings.device) == (3000, 5, "zh", "auto")
    sources = {line.name: line.source for line in settings.describe()}
    assert sources["port"] == "command line"
    assert sources["threads"] == "TIMBRE_THREADS"
    assert sources["language"] == str(tmp_path / "settings.toml")
    assert sources["device"] == "default"


def test_folders_follow_the_workspace(tmp_path: Path) -> None:
    settings = load_settings({"workspace": tmp_path}, {})
    assert settings.runs == tmp_path / "logs"
    for path in (settings.voices_dir, settings.outputs, settings.database, settings.cache_dir, settings.log_dir):
        assert path.is_relative_to(tmp_path)
    assert load_settings({"workspace": tmp_path, "runs_dir": tmp_path / "r"}, {}).runs == tmp_path / "r"


def test_relative_and_home_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings({"workspace": "w"}, {}).workspace == tmp_path / "w"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings({"workspace": "~/w"}, {}).workspace == tmp_path / "w"


def test_every_unknown_key_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    file = write(tmp_path, "prot = 1\ncompletely_else = 2\n")
    with pytest.raises(BadInput) as err:
        load_settings({"devise": "cpu"}, {"TIMBRE_WORKSPAC": "x"}, file)
    for name in ("prot", "completely_else", "devise", "TIMBRE_WORKSPAC", str(file)):
        assert name in err.value.message
    for pair in ("prot -> port", "devise -> device", "TIMBRE_WORKSPAC -> TIMBRE_WORKSPACE"):
        assert pair in err.value.hint


def test_the_launchers_own_variables_are_no_settings() -> None:
    assert load_settings({}, {"TIMBRE_LAUNCH_PYTHON": "/usr/bin/python3"}).port == 7860


def test_every_wrong_value_is_named_with_its_source() -> None:
    with pytest.raises(BadInput) as err:
        load_settings({"device": "gpu"}, {"TIMBRE_PORT": "many", "TIMBRE_MAX_DECODE_HOURS": "inf"})
    for words in ("device = 'gpu' (command line)", "port = 'many' (TIMBRE_PORT)", "max_decode_hours"):
        assert words in err.value.message


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:11"])
def test_devices(device: str) -> None:
    assert load_settings({"device": device}, {}).device == device


@pytest.mark.parametrize(("text", "says"), [("port = ", "TOML"), ("[server]\nport = 1", "server")])
def test_a_broken_file_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(BadInput, match=says) as err:
        load_settings({}, {}, file)
    assert str(file) in err.value.message


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not there"):
        load_settings({}, {}, tmp_path / "none.toml")


def test_a_workspace_cannot_move_itself(tmp_path: Path) -> None:
    file = write(tmp_path, 'workspace = "/elsewhere"\n')
    with pytest.raises(BadInput, match="workspace"):
        load_settings({"workspace": tmp_path}, {})
    assert load_settings({}, {}, file).workspace == Path("/elsewhere").absolute()


def test_windows_editors_byte_order_mark_is_harmless(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(b"\xef\xbb\xbfport = 99\n")
    assert load_settings({}, {}, file).port == 99


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]"])
def test_loopback_needs_no_token(host: str) -> None:
    assert load_settings({"host": host}, {}).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "studio.example", "127.0.0.1.example"])
def test_other_hosts_need_a_token(host: str) -> None:
    with pytest.raises(BadInput, match="password"):
        load_settings({"host": host}, {})
    with pytest.raises(BadInput):
        load_settings({"host": host, "token": "  "}, {})
    assert load_settings({"host": host, "token": "s3cret"}, {}).token == "s3cret"


@given(st.text(max_size=40))
def test_is_loopback_answers_for_any_text(host: str) -> None:
    if is_loopback(host):
        assert host == "localhost" or host.strip("[]").startswith(
            ("127.", "::1", "0:", "00", "::ffff:127.", "::FFFF:127.")
        )


def test_the_token_is_never_shown_nor_given_to_workers() -> None:
    settings = load_settings({"host": "0.0.0.0"}, {"TIMBRE_TOKEN": "s3cret-value"})
    shown = " ".join(f"{line.name} {line.value}" for line in settings.describe())
    assert "token set (hidden)" in shown
    assert "s3cret" not in shown
    assert "s3cret" not in settings.for_worker()
    with pytest.raises(BadInput) as err:
        load_settings({"token": 12345678, "port": -1}, {})
    assert "12345678" not in err.value.message


def test_a_worker_reads_back_what_it_was_given(tmp_path: Path) -> None:
    settings = load_settings({"workspace": tmp_path / "声 x", "threads": 2, "host": "0.0.0.0", "token": "t"}, {})
    worker = Settings.model_validate_json(settings.for_worker())
    assert (worker.workspace, worker.threads, worker.host) == (settings.workspace, 2, "127.0.0.1")


def test_an_empty_variable_means_not_set() -> None:
    assert load_settings({}, {"TIMBRE_TOKEN": "", "TIMBRE_PORT": ""}).port == 7860


def test_settings_cannot_be_changed_in_place() -> None:
    settings = load_settings({}, {})
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]
