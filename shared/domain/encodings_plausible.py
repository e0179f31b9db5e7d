"""Whether a text is one that somebody wrote, or what a wrong encoding makes of it.

Rules about letters, not statistics: the wrong reading of `déjà` holds letters no single language
has together, capitals within words, signs between letters, or alphabets mixed in a word.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Final

_MOST_ODD_WORDS: Final = 0.02
_LEAST_EVERYDAY: Final = 0.95
_LEAST_EVERYDAY_CJK: Final = 0.9
_LEAST_KANA: Final = 0.1

_LATIN: Final = tuple(
    frozenset(letters)
    for letters in (
        "àâæçéèêëîïôœùûüÿñ",  # French, and English with its borrowed words
        "äöüßéàè",  # German
        "áéíñóúüçàèïòl·",  # Spanish, Catalan
        "áâãàçéêíóôõúü",  # Portuguese
        "àèéìíîòóùú",  # Italian
        "æøåäöéüèêëó",  # Danish, Norwegian, Swedish, Finnish
        "áéíóúýðþæö",  # Icelandic
        "éëïöüèêáíóú",  # Dutch
        "ąćęłńóśźż",  # Polish
        "áčďéěíňóřšťúůýž",  # Czech
        "áäčďéíľňóôšťúýž",  # Slovak
        "áéíóöőúüű",  # Hungarian
        "ăâîşţșț",  # Romanian
        "čćđšž",  # Croatian, Slovene
        "çğıiöşüâîû",  # Turkish
        "ąčęėįšųūž",  # Lithuanian
        "āčēģīķļņšūž",  # Latvian
        "äöõüšž",  # Estonian
        "ĉĝĥĵŝŭ",  # Esperanto
        "ăâđêôơưàáãèéìíòóõùúý\u0300\u0301\u0303\u0309\u0323",  # Vietnamese, its tones apart
    )
)
_CYRILLIC: Final = tuple(
    frozenset(letters)
    for letters in (
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",  # Russian, Bulgarian
        "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя",  # Ukrainian
        "абвгдеёжзійклмнопрстуўфхцчшыьэюя",  # Belarusian
        "абвгдђежзијклљмнњопрстћуфхцчџш",  # Serbian
    )
)

_BORROWED_WORDS: Final = (
    "naïve naïvely naïveté café cafés résumé résumés façade façades voilà déjà à fiancé fiancée "
    "cliché clichés élite rôle crème brûlée château piñata jalapeño señor über doppelgänger "
    "coöperate zoë chloë noël"
)
_BORROWED: Final = frozenset(_BORROWED_WORDS.split())
"""Words of other languages in English texts, which hold too few such letters to tell otherwise."""

_COMMON_LATIN: Final = ("cp1252", "cp1250", "cp1254", "cp1257", "iso8859_15", "iso8859_2")
_RARE_LATIN: Final = (
    *("mac_roman", "mac_latin2", "cp850", "cp437", "cp852", "cp1258"),
    *("iso8859_3", "iso8859_16"),
)
_CYRILLIC_CODECS: Final = ("cp1251", "koi8_r", "koi8_u", "cp866", "iso8859_5", "mac_cyrillic")
_RARE: Final = frozenset({*_RARE_LATIN, "cp866", "iso8859_5", "mac_cyrillic", "cp874"})
_LEAST_WORDS_IF_RARE: Final = 4
_LEAST_LETTERS_IF_DOUBLE: Final = 8
_LATIN_CODECS: Final = frozenset({*_COMMON_LATIN, *_RARE_LATIN})
_SCRIPTS: Final = {
    "cp1253": "GREEK",
    "iso8859_7": "GREEK",
    "cp1255": "HEBREW",
    "cp1256": "ARABIC",
    "cp874": "THAI",
}
TWO_BYTES: Final = {
    "gb18030": ("gb2312", 0xB0, 0xD7),
    "big5": ("big5", 0xA4, 0xC6),
    "cp949": ("euc_kr", 0xB0, 0xC8),
    "cp932": ("euc_jp", 0xA4, 0xCF),
    "euc_jp": ("euc_jp", 0xA4, 0xCF),
}
"""For two-byte encodings: the national standard and the rows in it of the characters of everyday
use (GB 2312 and JIS X 0208 level 1, Big5 level 1, the syllables of KS X 1001)."""

CANDIDATES: Final = (*_COMMON_LATIN, *_RARE_LATIN, *_CYRILLIC_CODECS, *_SCRIPTS, *TWO_BYTES)
"""What is looked for. The rare ones stand here so that they make a common one doubtful."""

_SIGNS: Final = frozenset(
    "‘’“”„‚«»‹›–—…•·°§©®™€£¥¢±×÷²³¹½¼¾¿¡ªºµ´¶№‰†‡−≤≥≠\xa0\xad、。，．・：；？！（）「」『』【】《》〈〉ー～〜\u3000"
)
_LETTER_LIKE: Final = frozenset("ªºµ")
_BETWEEN: Final = frozenset("‘’·–—…\xad/")
_THAI_VOWELS: Final = frozenset(map(chr, (*range(0x0E30, 0x0E3B), *range(0x0E40, 0x0E4F))))
_LEAST_THAI_VOWELS: Final = 0.3
_AROUND_WORDS: Final = ".,;:!?()[]{}<>*_`'\"/‘’“”–—…"
_LONE: Final = frozenset("àÀèÈéÉáåÅđĐįĮ")
"""The words of one such letter; any other standing alone is a sign read wrongly."""
_MANY_ACCENTS: Final = 4
_MOST_BLANKS: Final = 0.1
_ONLY_VIETNAMESE: Final = frozenset("ăđơưĂĐƠƯ")
_LEAST_ONLY_VIETNAMESE: Final = 0.1
_BLANKS: Final = frozenset("\t\n\v\f\r")
_BAD_CATEGORIES: Final = frozenset({"Cc", "Cn", "Co", "Cs"})

_WORD: Final = re.compile(r"[^\x00-\x20]*[^\x00-\x7f][^\x00-\x20]*")
_LONGER_WORD: Final = re.compile(r"[^\W\d_\x00-\xbf]{2}")
"""Other scripts show in words; a lone letter of one is a sign read wrongly."""

_SIGN_TOO_CLOSE: Final = re.compile(r"[^\W\d_][‚„¿¡≤≥≠]|[^\W\d_]{3}[¹²³]|[¶¹²³¼½¾][^\W\d_]")
_LETTER: Final = "[^\\W\\d_\x00-\x7fªºµ¹²³¼½¾]"
_NEAR_DIGIT: Final = re.compile(rf"(?<![^\W\d_]){_LETTER}[0-9]|[0-9]{_LETTER}(?![^\W\d_])")
_UNSPELLABLE: Final = re.compile(
    r"\b[ъыь]|[бвгджзклмнпрстфхцчшщ]й|\b[бвгджзклмнпрстфхцчшщ]{4,}\b|(?-i:ς\w)",
    re.IGNORECASE,
)
"""What Russian and Greek never spell, and Hebrew read as one of them does all the time."""


def is_clean(text: str) -> bool:
    """No control characters but blanks, nothing unassigned or for private use."""
    return all(
        char in _BLANKS or unicodedata.category(char) not in _BAD_CATEGORIES for char in set(text)
    )


def oddity(text: str, encoding: str) -> int | None:
    """How many letters, signs and words of `text`, which `encoding` made of some bytes, are unusual
    in its languages. None is too many: nobody wrote this."""
    if not is_clean(text):
        return None
    characters = Counter({char: n for char, n in Counter(text).items() if char > "\x7f"})
    letters = Counter({char: n for char, n in characters.items() if _is_letter(char)})
    signs = characters - letters
    odd_signs = signs.total() - _share(signs, _SIGNS.__contains__)
    if odd_signs > characters.total() * (1 - _LEAST_EVERYDAY):
        return None
    if encoding in TWO_BYTES:
        plausible = _everyday_double(letters, encoding) and not _scattered(text, encoding)
        return odd_signs if plausible else None
    odd_letters = letters.total() - _everyday_single(letters, encoding)
    if odd_letters > letters.total() * (1 - _LEAST_EVERYDAY):
        return None
    if encoding not in _LATIN_CODECS and letters and not _LONGER_WORD.search(text):
        return None
    words = Counter(_WORD.findall(text))
    odd_words = _share(words, _is_odd)
    if odd_words > words.total() * _MOST_ODD_WORDS:
        return None
    return odd_signs + odd_letters + odd_words


def has_evidence(text: str, encoding: str) -> bool:
    """Whether a plausible `text` is long enough to prove so much: rare encodings need more."""
    if encoding in TWO_BYTES:
        return sum(map(_is_foreign_letter, text)) >= _LEAST_LETTERS_IF_DOUBLE
    if encoding in _RARE:
        words = {word for word in _WORD.findall(text) if any(map(_is_foreign_letter, word))}
        return len(words) >= _LEAST_WORDS_IF_RARE
    return True


def raises_doubt(text: str, encoding: str) -> bool:
    """Whether a plausible reading makes another one doubtful: not if it is a rare encoding's that
    has signs only, or every `©` were one."""
    return encoding not in _RARE or any(map(_is_foreign_letter, text))


def only_borrowed_words(text: str) -> bool:
    """Whether all that is not ASCII belongs to words known in English; no wrong reading has any."""
    words = {word.strip(_AROUND_WORDS).lower() for word in _WORD.findall(text)}
    return words <= _BORROWED


@cache
def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] in "LM" and char not in _LETTER_LIKE


def _everyday_single(letters: "Counter[str]", encoding: str) -> int:
    if encoding in _SCRIPTS:
        script = _SCRIPTS[encoding]
        vowels = _share(letters, _THAI_VOWELS.__contains__)
        if script == "THAI" and vowels < letters.total() * _LEAST_THAI_VOWELS:
            return 0
        return _share(letters, lambda char: _script(char) == script)
    if encoding == "cp1258":
        own = _share(letters, _ONLY_VIETNAMESE.__contains__)
        if own < letters.total() * _LEAST_ONLY_VIETNAMESE:
            return 0
    alphabets = _CYRILLIC if encoding in _CYRILLIC_CODECS else _LATIN
    lower: Counter[str] = Counter()
    for char, count in letters.items():
        lower[char.lower()[0]] += count
    return max(_share(lower, alphabet.__contains__) for alphabet in alphabets)


def _everyday_double(letters: "Counter[str]", encoding: str) -> bool:
    standard, first, last = TWO_BYTES[encoding]

    def row(char: str) -> int:
        code = char.encode(standard, "ignore")
        return code[0] if len(code) > 1 else 0

    everyday = _share(letters, lambda char: first <= row(char) <= last)
    if standard == "euc_jp":
        kana = _share(letters, lambda char: row(char) in {0xA4, 0xA5})
        if kana < letters.total() * _LEAST_KANA:
            return False
    return bool(letters) and everyday >= letters.total() * _LEAST_EVERYDAY_CJK


def _is_foreign_letter(char: str) -> bool:
    return char > "\x7f" and _is_letter(char)


def _share(letters: "Counter[str]", fits: Callable[[str], bool]) -> int:
    return sum(count for char, count in letters.items() if fits(char))


def _scattered(text: str, encoding: str) -> bool:
    """Lone ideographs stuck to Latin letters are what an accent becomes in a two-byte encoding; and
    only Korean puts blanks between words."""
    runs = re.findall(r"[^\x00-\x7f]+", text)
    stuck = re.findall(r"(?<=[A-Za-z])[^\x00-\x7f](?![^\x00-\x7f])", text)
    spaced = re.findall(r"[^\x00-\x7f] (?=[^\x00-\x7f])", text)
    if encoding != "cp949" and len(spaced) > _MOST_BLANKS * sum(map(len, runs)):
        return True
    return len(stuck) * 2 > len(runs)


def _is_odd(word: str) -> bool:
    if _NEAR_DIGIT.search(word) or _SIGN_TOO_CLOSE.search(word) or _UNSPELLABLE.search(word):
        return True
    accented = [char for char in word if _is_foreign_letter(char) and _script(char) == "LATIN"]
    if len(accented) >= _MANY_ACCENTS and len(accented) * 4 > len(word) * 3:
        return True
    if len(accented) == 1 == sum(map(_is_letter, word)) and accented[0] not in _LONE:
        return True
    padded = f" {word} "
    return any(
        _is_odd_within(padded[at - 1], padded[at], padded[at + 1]) for at in range(1, len(word) + 1)
    )


def _is_odd_within(before: str, char: str, after: str) -> bool:
    """A capital, a sign or another alphabet within a word, or a mark with no letter below it."""
    if char <= "\x7f" and before <= "\x7f":
        return False
    if _is_odd_case(before, char, after):
        return True
    if unicodedata.category(char) == "Mn" and not _is_letter(before):
        return True
    if not _is_letter(before):
        return False
    if _is_letter(char):
        return _script(char) not in {_script(before), "COMBINING"}
    return char > "\x7f" and char not in _BETWEEN and _is_letter(after)


def _is_odd_case(before: str, char: str, after: str) -> bool:
    return char.isupper() and (before.islower() or (before.isupper() and after.islower()))


@cache
def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").split(" ", 1)[0]
