"""Languages as clients name them: by code, or by the Chinese words that the documented service uses."""

from typing import Literal, get_args

Code = Literal["zh", "en", "ja", "ko", "yue", "auto"]
CODES: tuple[str, ...] = get_args(Code)
_WORDS: dict[str, Code] = {
    "中文": "zh", "英文": "en", "英语": "en", "日文": "ja", "日语": "ja", "韩文": "ko", "韩语": "ko", "粤语": "yue",
    "中英混合": "zh", "日英混合": "ja", "韩英混合": "ko", "粤英混合": "yue", "多语种混合": "auto",
    "all_zh": "zh", "all_ja": "ja", "all_ko": "ko", "all_yue": "yue", "jp": "ja", "auto_yue": "auto",
}  # fmt: skip
_ESPEAK = {"zh": "cmn", "en": "en-us", "ja": "ja", "ko": "ko", "yue": "yue"}


def code_of(word: str) -> Code:
    """The code of a language's name. Raises ValueError (inside a pydantic model it becomes a 422)."""
    plain = word.strip()
    for code in get_args(Code):
        if plain.lower() == code:
            return code
    found = _WORDS.get(plain) or _WORDS.get(plain.lower())
    if found is None:
        raise ValueError(f"{word!r} is no known language: use one of {', '.join(CODES)}, or 中文, 英文, 日文")
    return found


def guess(text: str) -> Code:
    """The language of a text by its script; Latin letters count as English."""
    if any("\u3040" <= char <= "\u30ff" for char in text):
        return "ja"
    if any("\uac00" <= char <= "\ud7a3" for char in text):
        return "ko"
    return "zh" if any("\u3400" <= char <= "\u9fff" for char in text) else "en"


def espeak_voice(language: str, text: str) -> str:
    """espeak-ng's voice for a language (name or code); "auto" looks at the text."""
    code = code_of(language)
    return _ESPEAK[guess(text) if code == "auto" else code]
