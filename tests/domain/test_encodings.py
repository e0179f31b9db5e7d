"""Old encodings: real sentences are read rightly, ambiguous ones are refused, none is guessed."""

import pytest

from shared.domain.text import Text, Unreadable, decode

SENTENCES = {
    "French": "Le café était fermé à Noël, hélas. Où êtes-vous allés ? La forêt était enneigée.",
    "German": "Die Straße führt über die Brücke nach Köln. Größere Häuser stehen in München.",
    "Spanish": "¿Dónde está el niño? ¡Mañana será otro día! La acción continúa en España.",
    "Portuguese": "A descrição não está disponível; são três opções de configuração.",
    "Swedish": "Räksmörgås på Östermalm, en kväll på ön när det är kallt.",
    "Polish": "Wczoraj poszliśmy na spacer do parku, było bardzo zimno i padał śnieg; źle, że już.",
    "Czech": "Příliš žluťoučký kůň úpěl ďábelské ódy. Dnes je krásné počasí a jdeme do parku.",
    "Hungarian": "Árvíztűrő tükörfúrógép. Ma szép idő van, és a parkba megyünk sétálni.",
    "Turkish": "Bugün hava çok güzel, arkadaşlarımla parka gidiyoruz. Işık ve gölge, yağmur.",
    "Lithuanian": "Šiandien labai gražus oras, mes einame į parką su draugais. Ąžuolas žydėjo.",
    "Russian": "Привет, как дела? Сегодня хорошая погода, и мы идём гулять в парк с друзьями.",
    "Ukrainian": "Привіт, як справи? Сьогодні гарна погода. Її подруга їде до Києва.",
    "Greek": "Καλημέρα σας, πώς είστε σήμερα; Ο καιρός είναι πολύ καλός και πάμε βόλτα.",
    "Hebrew": "שלום עולם, מה שלומך היום? מזג האוויר יפה מאוד.",
    "Arabic": "مرحبا بالعالم كيف حالك اليوم؟ الطقس جميل جدا.",
    "Japanese": "これは日本語の文章です。今日は天気がいいですね。漢字とカタカナを含みます。",
    "Chinese": "这是一个中文文档。今天天气很好，我们去公园散步吧。软件许可协议如下所述。",
    "Taiwanese": "這是一個中文文件。今天天氣很好，我們去公園散步吧。軟體授權協議如下所述。",
    "Korean": "안녕하세요. 오늘은 날씨가 좋습니다. 우리는 공원에 갑니다.",
}
ENCODINGS = {
    **dict.fromkeys(("French", "German"), ("cp1252", "latin-1", "mac_roman", "cp850")),
    **dict.fromkeys(("Spanish", "Portuguese", "Swedish"), ("cp1252", "latin-1")),
    **dict.fromkeys(("Polish", "Czech", "Hungarian"), ("cp1250", "iso8859_2")),
    "Turkish": ("cp1254",),
    "Lithuanian": ("cp1257",),
    "Russian": ("cp1251", "koi8_r", "cp866", "iso8859_5", "mac_cyrillic"),
    "Ukrainian": ("cp1251", "koi8_u"),
    "Greek": ("cp1253", "iso8859_7"),
    "Hebrew": ("cp1255",),
    "Arabic": ("cp1256",),
    "Japanese": ("cp932", "euc_jp", "iso2022_jp"),
    "Chinese": ("gb18030", "gbk"),
    "Taiwanese": ("big5",),
    "Korean": ("cp949", "euc_kr"),
}
CASES = [(name, encoding) for name, encodings in ENCODINGS.items() for encoding in encodings]


def read(data: bytes) -> str | None:
    """The text, or None where the encoding is not told."""
    try:
        return decode(data).text
    except Unreadable as error:
        fault = error.type
        assert fault == "unknown_encoding"
        return None


@pytest.mark.parametrize(("language", "encoding"), CASES)
def test_a_sentence_in_an_old_encoding_is_read(language: str, encoding: str) -> None:
    text = SENTENCES[language]
    assert read(text.encode(encoding)) == text


@pytest.mark.parametrize(("language", "encoding"), CASES)
@pytest.mark.parametrize("padding", [1, 40_000])
def test_a_few_words_far_into_a_long_ascii_file_are_found(
    language: str, encoding: str, padding: int
) -> None:
    text = "Plain ASCII line.\n" * padding + SENTENCES[language] + "\nand more\n" * padding
    assert read(text.encode(encoding)) == text


@pytest.mark.parametrize(
    "text",
    [
        "“It’s here” — © 2024 André, 20 °C …",
        "# Foo\n\nCopyright © 2019 Foo Inc.\n",
        "The price is £5 — don’t panic.",
        "• one\n• two – three\n",
        "It is a naïve approach to the café.",
        "See § 5 and pay €20",
    ],
)
def test_english_with_the_signs_of_windows_is_read(text: str) -> None:
    assert decode(text.encode("cp1252")) == Text(text=text, encoding="cp1252")


@pytest.mark.parametrize(
    "data",
    [
        "by Dvořák and others".encode("cp1250"),
        "São Paulo".encode("cp1252"),
        "voilà, très".encode("cp850"),
        "名前".encode("euc_jp"),
        b"\xe9\xe8\xe7",
        bytes(range(128, 256)),
        bytes(range(1, 256)) * 200,
    ],
)
def test_what_could_be_several_things_is_not_guessed(data: bytes) -> None:
    assert read(data) is None


@pytest.mark.parametrize(
    ("head", "encoding", "codec"),
    [
        ('<?xml version="1.0" encoding="ISO-8859-2"?>\n<a>', "iso8859_2", "iso8859_2"),
        ("<html><head><meta charset=windows-1250><p>", "cp1250", "cp1250"),
        ('<meta http-equiv="x" content="text/html; charset=gb2312">', "gb2312", "gb18030"),
        ('@charset "iso-8859-1";\n', "latin-1", "cp1252"),
        ("#!/usr/bin/python\n# -*- coding: latin-1 -*-\n", "latin-1", "cp1252"),
        ("// vim: set fileencoding=cp1250 :\n", "cp1250", "cp1250"),
    ],
)
def test_what_a_file_says_of_itself_settles_it(head: str, encoding: str, codec: str) -> None:
    word = "文件" if encoding == "gb2312" else "č" if encoding.endswith(("1250", "2")) else "è"
    found = decode((head + word).encode(encoding))
    assert found == Text(text=head + word, encoding=codec)


@pytest.mark.parametrize(
    "head",
    [
        "# coding: utf-8\n",
        "# coding: rot13\n",
        "# coding: no-such-thing\n",
        '<?xml version="1.0" encoding="UTF-16"?>',
        "We discuss the charset=iso-8859-2 parameter. ",
    ],
)
def test_a_declaration_that_is_false_or_none_settles_nothing(head: str) -> None:
    assert read((head + "è").encode("cp1252")) in {None, head + "è"}


@pytest.mark.parametrize(("language", "encoding"), CASES)
def test_no_part_of_a_sentence_is_read_wrongly(language: str, encoding: str) -> None:
    words = SENTENCES[language].split(" ")
    for first in range(len(words)):
        for last in range(first + 3, len(words) + 1):
            part = " ".join(words[first:last])
            assert read(part.encode(encoding)) in {None, part}
