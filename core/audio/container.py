"""Open a media file for its sound, safely, and say in plain words why one cannot be opened.

A media file is untrusted input. Only self-contained containers are let in (a playlist such as `.m3u8` would make
the library open other files or addresses), and only the `file:` protocol, so that a name like `http:...` or
`concat:...` is a name and nothing else.
"""

import os
import struct
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

from core.errors import BadInput

# Demuxers by libavformat's names. Left out on purpose: hls, dash, concat, image sequences, devices, raw PCM guesses.
_FORMATS = (
    "wav,w64,aiff,au,caf,flac,mp3,aac,ac3,eac3,dts,dtshd,truehd,mlp,ogg,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,asf,"
    "mpeg,mpegts,flv,ape,wv,tta,tak,amr,dsf,iff,voc,mpc,mpc8,oma,rm,loas,mxf,nut,gxf,sox,avr,ircam,paf,svx,aa,xwma,smjpeg,"
    "wtv,dv,ivf,swf,qcp,aix,aea,act,bit,adp,ast,brstm,lvf,mmf,nsv,sds,vqf,wve,wsd"
)

EXPORT_HINT = "Open it in a player or an audio editor and export it as WAV or FLAC."
AGAIN_HINT = "Copy or download the file again, or export it again from where it was made."
DRM_HINT = (
    "The studio cannot open protected files. Use a recording that you made yourself or a file that you bought "
    "without protection."
)

_ASF_PROTECTION = (
    # GUIDs of the Content, Extended Content and Advanced Content Encryption objects, as stored (mixed endian).
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),
    bytes.fromhex("b69b077aa4da124ea5ca91d38dc11a8d"),
)
_EBML = b"\x1a\x45\xdf\xa3"
_WEBM_ENCRYPTION = b"\x50\x35"  # ContentEncryption element
_AUDIBLE_AA = b"\x57\x90\x75\x36"
_MP4_PARENTS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
_MP4_PROTECTED = frozenset({b"enca", b"drms", b"drmi", b"aavd"})
_HEAD_BYTES = 1 << 20
_ASF = bytes.fromhex("3026b2758e66cf11")
_MAGIC = {
    b"RIFF": "WAV",
    b"RF64": "WAV",
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    _EBML: "Matroska/WebM",
    b"FORM": "AIFF",
    _ASF: "WMA",
    b"caff": "CAF",
}
_MP4_STARTS = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"})


def open_audio(path: str | os.PathLike[str]) -> InputContainer:
    """A container with at least one sound track. Close it (it is a context manager).

    Raises BadInput: nothing there, a folder, no right to read, 0 bytes, protected (DRM), not a media file,
    damaged beyond opening, no sound track that can be decoded.
    """
    file = Path(path)
    _check_file(file)
    if protected(file):
        raise _drm(file)
    try:
        container = av.open(
            f"file:{file}",
            mode="r",
            metadata_errors="ignore",
            options={"format_whitelist": _FORMATS, "protocol_whitelist": "file"},
        )
    except (av.error.FFmpegError, ValueError) as err:  # ValueError: a NUL byte in the name
        raise _unreadable(file) from err
    if not container.streams.audio:
        kind = "a video without sound" if container.streams.video else "a file without a sound track"
        container.close()
        raise BadInput(f"{file.name} is {kind}.", "Choose a file that has sound in it.", where=str(file))
    if sound_track(container) is None:
        container.close()
        raise BadInput(f"{file.name} holds sound of an unknown kind, or is damaged.", EXPORT_HINT, where=str(file))
    return container


def sound_track(container: InputContainer) -> AudioStream | None:
    """The first sound track that a decoder is known for."""
    # codec_context is None where libav knows no decoder, which the library's types do not say.
    return next((track for track in container.streams.audio if getattr(track, "codec_context", None)), None)


def _check_file(file: Path) -> None:
    try:
        size = file.stat().st_size
    except (OSError, ValueError) as err:
        raise BadInput(f"{file.name} cannot be found.", "Check the name and the folder.", where=str(file)) from err
    if file.is_dir():
        raise BadInput(f"{file.name} is a folder.", "Choose the files in it.", where=str(file))
    if not file.is_file():
        raise BadInput(f"{file.name} is not a regular file.", "Choose an audio file.", where=str(file))
    if size == 0:
        raise BadInput(f"{file.name} is empty (0 bytes).", AGAIN_HINT, where=str(file))
    if not os.access(file, os.R_OK):
        raise BadInput(f"{file.name} may not be read.", "Change its permissions, or copy it.", where=str(file))


def _unreadable(file: Path) -> BadInput:
    """The error of a file that libav refuses: a known container is damaged, anything else is no audio."""
    with open(file, "rb") as handle:
        head = handle.read(64)
    kind = _known_container(head)
    if kind:
        return BadInput(
            f"{file.name} is a damaged or incomplete {kind} file: its index or header cannot be read.",
            AGAIN_HINT,
            where=str(file),
        )
    return BadInput(f"{file.name} is not an audio or video file that can be read.", EXPORT_HINT, where=str(file))


def _known_container(head: bytes) -> str:
    if head[4:8] in _MP4_STARTS:
        return "MP4/M4A"
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")


def _drm(file: Path) -> BadInput:
    return BadInput(f"{file.name} is copy-protected (DRM).", DRM_HINT, where=str(file))


def undecodable(path: str | os.PathLike[str], codec: str, *, n_damaged: int) -> BadInput:
    """The error of a file that opened but gave no single sample; `n_damaged` packets failed to decode."""
    file = Path(path)
    if n_damaged and encrypted_webm(file):
        return _drm(file)
    if n_damaged:
        return BadInput(
            f"{file.name} holds no readable sound: all of its {codec or 'audio'} data is damaged or encrypted.",
            AGAIN_HINT,
            where=str(file),
        )
    return BadInput(f"{file.name} holds no sound: its track is empty.", AGAIN_HINT, where=str(file))


def protected(path: str | os.PathLike[str]) -> bool:
    """True if the file says that its sound is encrypted: MP4 family (FairPlay, CENC, Audible), WMA, Audible .aa."""
    with open(path, "rb") as handle:
        head = handle.read(16)
        if head[4:8] == _AUDIBLE_AA:
            return True
        if head[4:8] in _MP4_STARTS:
            handle.seek(0, os.SEEK_END)
            return _mp4_protected(handle, 0, handle.tell())
        if head.startswith(_ASF):
            handle.seek(0)
            data = handle.read(_HEAD_BYTES)
            return any(guid in data for guid in _ASF_PROTECTION)
    return False


def encrypted_webm(path: str | os.PathLike[str]) -> bool:
    """True if a Matroska/WebM head holds an encryption element. Two bytes can be chance: ask only after a failure."""
    with open(path, "rb") as handle:
        data = handle.read(_HEAD_BYTES)
    return data.startswith(_EBML) and _WEBM_ENCRYPTION in data


def _mp4_protected(handle: BinaryIO, start: int, end: int) -> bool:
    """Walk the boxes in [start, end) down to the sample descriptions and look for a protected entry.

    Source: ISO/IEC 14496-12: box = size u32 (1 = u64 follows, 0 = to the end), type; `stsd` = version and flags,
    entry count, entries that are boxes themselves. Box sizes are bounded by their parent, so damage ends the walk.
    """
    at = start
    while at + 8 <= end:
        handle.seek(at)
        size, kind = struct.unpack(">I4s", handle.read(8))
        header = 8
        if size == 1 and at + 16 <= end:
            (size,) = struct.unpack(">Q", handle.read(8))
            header = 16
        elif size == 0:
            size = end - at
        if size < header or at + size > end:
            return False
        if kind in _MP4_PARENTS and _mp4_protected(handle, at + header, at + size):
            return True
        if kind == b"stsd" and _stsd_protected(handle, at + header, at + size):
            return True
        at += size
    return False


def _stsd_protected(handle: BinaryIO, start: int, end: int) -> bool:
    at = start + 8
    while at + 8 <= end:
        handle.seek(at)
        size, kind = struct.unpack(">I4s", handle.read(8))
        if kind in _MP4_PROTECTED:
            return True
        if size < 8:
            return False
        at += size
    return False


def wav_seconds(path: str | os.PathLike[str]) -> float | None:
    """What a WAV header promises, in seconds, whether the samples are there or not; None for other or open-ended files.

    libav trusts the file's size instead, so that a file that was cut off would look whole.
    """
    with open(path, "rb") as handle:
        if handle.read(4) != b"RIFF":
            return None
        handle.seek(12)
        bytes_per_s = 0
        for _ in range(64):
            head = handle.read(8)
            if len(head) < 8:
                return None
            kind, size = struct.unpack("<4sI", head)
            if kind == b"data":
                open_ended = size in (0, 0xFFFFFFFF)  # written by a recorder that could not go back
                return None if open_ended or not bytes_per_s else size / bytes_per_s
            if kind == b"fmt " and size >= 12:
                bytes_per_s = struct.unpack("<I", handle.read(12)[8:12])[0]
                size -= 12
            handle.seek(size + size % 2, os.SEEK_CUR)
    return None
