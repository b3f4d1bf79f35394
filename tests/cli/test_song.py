"""`song` on the command line: what is refused before any work, and what the options become."""

from pathlib import Path

import pytest

from cli.main import build_parser
from cli.song import _chosen
from core.song.options import parse_options
from tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "needs --voice"),
        (["a.wav"], 2, "needs --voice"),
        (["--voice", "Ann"], 2, "both --vocals and --accompaniment"),
        (["--voice", "Ann", "--vocals", "a.wav"], 2, "both --vocals and --accompaniment"),
        (["a.wav", "--voice", "Ann", "--vocals", "b.wav"], 2, "needs --voice"),
        (["a.wav", "--voice", "nobody"], 1, "nobody"),
        (["a.wav", "--voice", "Ann", "--format", "ogg"], 2, "invalid choice"),
        (["a.wav", "--voice", "Ann", "--reverb", "7"], 1, "mix.reverb"),
        (["a.wav", "--voice", "Ann", "--set", "colour=1"], 1, "colour"),
        (["a.wav", "--voice", "Ann", "--out", "r.mp3", "--format", "wav"], 1, "format is wav"),
        (["a.wav", "--voice", "Ann"], 1, "no trained model"),
        (["--from-sidecar", "no.json"], 1, "no.json"),
        (["--from-sidecar", "no.json", "--voice", "Ann"], 1, "takes files and voice from the sidecar"),
    ],
)
def test_wrong_orders_are_named(words: list[str], code: int, said: str, command: Command) -> None:
    command("voices", "--create", "Ann")
    err = command("song", *words, code=code)[1]
    assert said in err
    assert "Traceback" not in err
    assert "unexpectedly" not in err


def test_every_option_of_the_mix_arrives_where_it_belongs() -> None:
    words = ["song", "a.wav", "--voice", "Ann", "--transpose", "-12", "--set", "seed=3", "--no-match", "--room", "2"]
    words += [
        "--vocals-level",
        "-2.5",
        "--vocals-low-cut",
        "90",
        "--accompaniment-pan",
        "0.5",
        "--accompaniment-mid",
        "-3",
    ]
    words += ["--reverb", "0.3", "--offset", "15", "--loudness", "-14", "--separator", "Kim_Vocal_2"]
    options = parse_options(_chosen(build_parser().parse_args(words)))
    assert options.source == str(Path("a.wav").absolute())
    assert options.convert == {"transpose": -12.0, "seed": 3}
    assert (options.mix.vocals.level_db, options.mix.vocals.low_cut_hz, options.mix.vocals.pan) == (-2.5, 90, 0)
    assert (options.mix.accompaniment.pan, options.mix.accompaniment.mid_db) == (0.5, -3)
    assert (options.mix.reverb, options.mix.room_s, options.mix.match_vocals) == (0.3, 2.0, False)
    assert (options.mix.offset_ms, options.mix.loudness_lufs, options.separator) == (15, -14, "Kim_Vocal_2")
