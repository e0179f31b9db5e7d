"""Whether a text is one that somebody wrote, or what a wrong encoding makes of it.

Rules about letters, not statistics: the wrong reading of `déjà` holds letters no single language
has together, capitals within words, signs between letters, or alphabets mixed in a word.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
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

_BORROWED: Final = frozenset(
    "naïve naïvely naïveté café cafés résumé résumés façade façades voilà déjà à fiancé fiancée "
    "cliché clichés élite rôle crème brûlée château piñata jalapeño señor über doppelgänger "
    "coöperate zoë chloë noël".split()
)
"""Words of other languages in English texts, which hold too few such letters to tell otherwise."""

_LATIN_CODECS: Final = (
    *("cp1252", "cp1250", "cp1254", "cp1257", "iso8859_15", "iso8859_2"),
    *("iso8859_16", "mac_roman", "mac_latin2", "cp850", "cp437", "cp852"),
)
_CYRILLIC_CODECS: Final = ("cp1251", "koi8_r", "koi8_u", "cp866", "iso8859_5", "mac_cyrillic")
_SCRIPTS: Final = {
    "cp1253": "GREEK",
    "iso8859_7": "GREEK",
    "cp1255": "HEBREW",
    "cp1256": "ARABIC",
    "cp874": "THAI",
}
_DOUBLE: Final = {
    "gb18030": ("gb2312", 0xB0, 0xD7),
    "big5": ("big5", 0xA4, 0xC6),
    "cp949": ("euc_kr", 0xB0, 0xC8),
    "cp932": ("euc_jp", 0xA4, 0xCF),
    "euc_jp": ("euc_jp", 0xA4, 0xCF),
}
"""For two-byte encodings: the national standard and the rows in it of the characters of everyday
use (GB 2312 and JIS X 0208 level 1, Big5 level 1, the syllables of KS X 1001)."""

CANDIDATES: Final = (*_LATIN_CODECS, *_CYRILLIC_CODECS, *_SCRIPTS, *_DOUBLE)
"""What is looked for. The rare ones stand here so that they make a common one doubtful."""

_SIGNS: Final = frozenset(
    "‘’“”„‚«»‹›–—…•·°§©®™€£¥¢±×÷²³¹½¼¾¿¡ªºµ´¶№‰†‡−≤≥≠\xa0\xad、。，．・：；？！（）「」『』【】《》〈〉ー～〜\u3000"
)
_LETTER_LIKE: Final = frozenset("ªºµ")
_BETWEEN: Final = frozenset("‘’·–—…\xad\xa0/")
_THAI_VOWELS: Final = frozenset(map(chr, (*range(0x0E30, 0x0E3B), *range(0x0E40, 0x0E4F))))
_LEAST_THAI_VOWELS: Final = 0.3
_AROUND_WORDS: Final = ".,;:!?()[]{}<>*_`'\"/‘’“”–—…"
_BLANKS: Final = frozenset("\t\n\v\f\r")
_BAD_CATEGORIES: Final = frozenset({"Cc", "Cn", "Co", "Cs"})

_WORD: Final = re.compile(r"\S*[^\x00-\x7f\s]\S*")
_OPENS_WITHIN: Final = re.compile(r"[^\W\d_][‚„¿¡]")
_NEAR_DIGIT: Final = re.compile(r"[0-9][^\W\d_\x00-\x7fªºµ]|[^\W\d_\x00-\x7fªºµ][0-9]")
_UNSPELLABLE: Final = re.compile(
    r"\b[ъыь]|[бвгджзклмнпрстфхцчшщ]й|\b[бвгджзклмнпрстфхцчшщ]{4,}\b|(?-i:ς\w)",
    re.IGNORECASE,
)
"""What Russian and Greek never spell, and Hebrew read as one of them does all the time."""
_SIGN_WITHIN: Final = re.compile(r"(?<=[^\W\d_])[^\w\s\x00-\x7f](?=[^\W\d_])")


def is_clean(text: str) -> bool:
    """No control characters but blanks, nothing unassigned or for private use."""
    return all(
        char in _BLANKS or unicodedata.category(char) not in _BAD_CATEGORIES for char in set(text)
    )


def is_plausible(text: str, encoding: str) -> bool:
    """Whether `text`, which `encoding` made of some bytes, reads like one in its languages."""
    if not is_clean(text):
        return False
    characters = Counter(char for char in text if char > "\x7f")
    letters = Counter({c: n for c, n in characters.items() if _is_letter(c)})
    if not _everyday_signs(characters, letters):
        return False
    if encoding in _DOUBLE:
        return _everyday_double(letters, encoding) and not _scattered(text)
    if letters and not _everyday_single(letters, encoding):
        return False
    words = _WORD.findall(text)
    odd = sum(_is_odd(word) for word in words)
    return odd <= len(words) * _MOST_ODD_WORDS


def only_borrowed_words(text: str) -> bool:
    """Whether all that is not ASCII belongs to words known in English; no wrong reading has any."""
    words = {word.strip(_AROUND_WORDS).lower() for word in _WORD.findall(text)}
    return words <= _BORROWED


def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] in "LM" and char not in _LETTER_LIKE


def _everyday_signs(characters: "Counter[str]", letters: "Counter[str]") -> bool:
    signs = characters - letters
    odd = sum(count for char, count in signs.items() if char not in _SIGNS)
    return odd <= characters.total() * (1 - _LEAST_EVERYDAY)


def _everyday_single(letters: "Counter[str]", encoding: str) -> bool:
    least = letters.total() * _LEAST_EVERYDAY
    if encoding in _SCRIPTS:
        script = _SCRIPTS[encoding]
        vowels = _share(letters, _THAI_VOWELS.__contains__)
        if script == "THAI" and vowels < letters.total() * _LEAST_THAI_VOWELS:
            return False
        return _share(letters, lambda char: unicodedata.name(char, "").startswith(script)) >= least
    alphabets = _LATIN if encoding in _LATIN_CODECS else _CYRILLIC
    return any(
        _share(letters, lambda char, known=alphabet: char.lower()[0] in known) >= least  # type: ignore[misc]
        for alphabet in alphabets
    )


def _everyday_double(letters: "Counter[str]", encoding: str) -> bool:
    standard, first, last = _DOUBLE[encoding]

    def row(char: str) -> int:
        code = char.encode(standard, "ignore")
        return code[0] if len(code) > 1 else 0

    everyday = _share(letters, lambda char: first <= row(char) <= last)
    if standard == "euc_jp":
        kana = _share(letters, lambda char: row(char) in {0xA4, 0xA5})
        if kana < letters.total() * _LEAST_KANA:
            return False
    return bool(letters) and everyday >= letters.total() * _LEAST_EVERYDAY_CJK


def _share(letters: "Counter[str]", fits: Callable[[str], bool]) -> int:
    return sum(count for char, count in letters.items() if fits(char))


def _scattered(text: str) -> bool:
    """Lone ideographs stuck to Latin letters are what an accent becomes in a two-byte encoding."""
    runs = re.findall(r"[^\x00-\x7f]+", text)
    stuck = re.findall(r"(?<=[A-Za-z])[^\x00-\x7f](?![^\x00-\x7f])", text)
    return len(stuck) * 2 > len(runs)


def _is_odd(word: str) -> bool:
    if _NEAR_DIGIT.search(word) or _OPENS_WITHIN.search(word) or _UNSPELLABLE.search(word):
        return True
    if any(not (_is_letter(s) or s in _BETWEEN) for s in _SIGN_WITHIN.findall(word)):
        return True
    return any(_is_odd_pair(*pair) for pair in pairwise(" " + word))


def _is_odd_pair(before: str, char: str) -> bool:
    """A capital or another alphabet within a word, or a mark with no letter to stand on."""
    if char > "\x7f" and char.isupper() and before.islower():
        return True
    if unicodedata.category(char) == "Mn" and not _is_letter(before):
        return True
    return _is_letter(before) and _is_letter(char) and _script(before) != _script(char)


def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").split(" ", 1)[0]
