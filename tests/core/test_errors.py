"""The family of errors: JSON form, and telling a full disk from everything else."""

import errno
import json
from pathlib import Path

import pytest

from core import errors
from core.errors import BadInput, Cancelled, NoSpace, StudioError, from_dict, human_bytes, is_no_space, no_space

FAMILY = [BadInput, errors.NotFound, errors.Conflict, NoSpace, errors.ModelFileError, errors.Unavailable, Cancelled]


@pytest.mark.parametrize("cls", [StudioError, *FAMILY])
def test_json_form_and_back(cls: type[StudioError]) -> None:
    err = cls("song.wav is empty.", "Choose another.", where="song.wav")
    data = json.loads(json.dumps(err.to_dict()))
    assert data == {"code": cls.code, "message": "song.wav is empty.", "hint": "Choose another.", "where": "song.wav"}
    back = from_dict(data)
    assert type(back) is cls
    assert back.to_dict() == data
    assert str(err) == "song.wav is empty. Choose another."


class Late(errors.Unavailable):
    code = "late in a test"


class Counted(StudioError):
    code = "counted in a test"

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} are too many.")


def test_a_class_defined_anywhere_comes_back_as_itself() -> None:
    assert type(from_dict(Late("m", "h", where="w").to_dict())) is Late
    # One that is made of something else than words cannot be made again: its words remain.
    back = from_dict(Counted(7).to_dict())
    assert (type(back), back.message) == (StudioError, "7 are too many.")


def test_codes_differ_and_an_unknown_one_is_still_an_error() -> None:
    codes = [cls.code for cls in FAMILY]
    assert len(set(codes)) == len(codes)
    assert type(from_dict({"code": "from the future", "message": "m"})) is StudioError


@pytest.mark.parametrize(
    ("err", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EFBIG, "File too large"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        # How safetensors and SQLite, which lose the number, put it.
        (RuntimeError('Error while serializing: IoError(Os { message: "No space left on device" })'), True),
        (RuntimeError("I/O error: os error 28"), True),
        (RuntimeError("database or disk is full"), True),
        (ValueError("a space is left"), False),
    ],
)
def test_a_full_disk_is_known_in_all_its_forms(err: Exception, full: bool) -> None:
    assert is_no_space(err) is full


def test_no_space_says_where_how_much_is_free_and_how_much_is_needed(tmp_path: Path) -> None:
    cause = OSError(errno.ENOSPC, "full")
    err = no_space(cause, 3 * 1024**3, tmp_path / "not" / "yet" / "model.safetensors")
    assert "model.safetensors" in err.message
    assert "3.0 GB are needed" in err.message
    assert " free" in err.message
    assert err.__cause__ is cause
    assert err.where.endswith("model.safetensors")
    assert "needed" not in no_space(cause, None, tmp_path).message


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KB"), (5 * 1024**3, "5.0 GB"), (2 * 1024**4, "2.0 TB")]
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert human_bytes(size) == text
