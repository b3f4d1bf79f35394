"""In which language a text is: by its script, and for Latin letters by the small words that every sentence has."""

import re

_SCRIPTS = (
    ("ja", r"[\u3040-\u30ff]"),
    ("ko", r"[\uac00-\ud7a3]"),
    ("zh", r"[\u3400-\u9fff]"),
    ("ru", r"[\u0400-\u04ff]"),
    ("el", r"[\u0370-\u03ff]"),
    ("ar", r"[\u0600-\u06ff]"),
    ("he", r"[\u0590-\u05ff]"),
    ("hi", r"[\u0900-\u097f]"),
    ("th", r"[\u0e00-\u0e7f]"),
)
# Words that are frequent in one of these languages and rare in the others.
_WORDS = {
    "en": "the and is of to in that it was for on are with his they this have from not but what all were when your",
    "de": "der die das und ist nicht ein eine ich sie mit den von auf auch wir dem für wie nach es war aber noch",
    "fr": "le les et est pas une dans des qui que pour je vous nous sur avec au mais du ce il elle sont cette",
    "es": "el los las y es una que en por con para no se del al lo como más pero sus le ya esta muy sin",
    "it": "il che di non una per è sono con gli della nel ma anche lo mi ho si alla come più questo quando",
    "pt": "o que não uma para com os do da em um é mas você na se dos ao mais foi eu ele também são muito",
    "nl": "de het een en van ik dat niet zijn je op te met voor er maar om hem dan zou wat mijn heb deze",
}
_SETS = {code: frozenset(words.split()) for code, words in _WORDS.items()}


def detect(text: str) -> str:
    """A two-letter code; "en" where nothing speaks for another."""
    for code, pattern in _SCRIPTS:
        if re.search(pattern, text):
            return code
    words = re.findall(r"[^\W\d_]+", text.lower())
    votes = {code: sum(word in known for word in words) for code, known in _SETS.items()}
    best = max(votes, key=lambda code: votes[code])
    return best if votes[best] > votes["en"] else "en"
