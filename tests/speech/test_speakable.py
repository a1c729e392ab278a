from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniid.speech.language import LANGUAGES
from omniid.speech.speakable import (
    MAX_FIRST_PIECE_CHARS,
    MAX_PIECE_CHARS,
    MAX_READ_CHARS,
    MAX_SPOKEN_CHARS,
    speakable,
)

MORE = "There is more in the history."


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("**Hello** _there_ and *you*, ~~not~~ `now`!", ["Hello there and you, not now!"]),
        ("***all of it***.", ["all of it."]),
        ("2 * 3 * 4 and snake_case_name.", ["2 times 3 times 4 and snake case name."]),
        ("See [the docs](https://example.org/a?b) or ![a cat](cat.png).", ["See the docs or a cat."]),
        ("A [ref][1] and a note[^1].\n\n[1]: https://a.example\n[^1]: small", ["A ref and a note."]),
        ("[](https://www.example.org/a)", ["example.org."]),
        ("Go to https://www.example.org/path?q=1#x.", ["Go to example.org."]),
        ("Or www.example.org/path, ok?", ["Or example.org, ok?"]),
        ("At <http://user@host.example:8080/>, now.", ["At host.example, now."]),
        ("Broken http://[::1 here.", ["Broken here."]),
        ("# Eggs\nMilk and\nbread\n\nBye", ["Eggs.", "Milk and bread.", "Bye."]),
        ("Title\n=====\nBody", ["Title.", "Body."]),
        ("- eggs\n* milk\n• tea\n1. bread\n", ["eggs.", "milk.", "tea.", "1. bread."]),
        ("- [x] done\n- [ ] to do", ["done.", "to do."]),
        ("- here (at 9) or\n1) [x] there (of 9) too", ["here (at 9) or.", "1. there (of 9) too."]),
        ("-> one\n● two", ["one.", "two."]),
        ("Today:\n10:30 Standup\n12:45 Lunch", ["Today:", "10:30 Standup.", "12:45 Lunch."]),
        ("> said\n> twice", ["said twice."]),
        ("Run this:\n```sh\nls\n```\nDone", ["Run this:", "A line of code.", "Done."]),
        ("~~~\na\n\nb\n~~~", ["A code block of 2 lines."]),
        ("Never closed:\n```py\nx = 1\ny = 2\nz = 3", ["Never closed:", "A code block of 3 lines."]),
        ("Use the `<div>` tag.", ["Use the div tag."]),
        (
            "| Name | Age |\n|:---|---:|\n| Bob | 5 |\n| Eve | |\n\nThat is all.",
            ["Name: Bob, Age: 5.", "Name: Eve.", "That is all."],
        ),
        ("|Day|Rain|\n|-|-|\n" + "|Mon|1 mm|\n" * 20, ["A table of 20 rows: Day, Rain."]),
        ("one\n\n---\n\ntwo", ["one.", "two."]),
        (
            "<p>Hello <b>you</b><br/>Bye &amp; thanks</p><script>alert(1)</script>",
            ["Hello you.", "Bye and thanks."],
        ),
        ("a <!-- not said --> b &lt;i&gt; &#65;", ["a b i A."]),
        (
            '<speak>Hi <break time="1s"/><say-as interpret-as="date">2026-11-27</say-as></speak>',
            ["Hi.", "27 November 2026."],
        ),
        ("[[h@'loU]] you", ["h 'loU you."]),
        ("\x1b[1;31mred\x1b[0m \x1b]8;;http://x.org\x07link\x1b]8;;\x1b\\!", ["red link!"]),
        ("a\x00b\x07c\u202ed\u2066e\ufefff\u200bg", ["abcdefg."]),
        ("half \ud800 a pair", ["half a pair."]),
        ("good 👍🏽 day ❤️ 👨‍👩‍👧 🇫🇷 3️⃣ ✅", ["good day."]),
        ("می‌خواهم", ["می‌خواهم."]),
        ("  many \t spaces\r\nhere ", ["many spaces here."]),
        ("“Really?”", ["“Really?”"]),
        ("Hello , world !", ["Hello, world!"]),
        ("", []),
        (" \n\t ", []),
        ("---", []),
        ("👍", []),
        ("...", []),
        ("\x00\x01\x02\u202e" * 10, []),
    ],
)
def test_text_for_the_eye_becomes_sentences_for_the_ear(written: str, spoken: list[str]) -> None:
    assert speakable(written, "en") == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("at 10:30", "at 10:30."),
        ("at 9:00, 9:05 am, 12:00 p.m. and 5pm", "at 9 o'clock, 9:05 am, 12 p.m. and 5 pm."),
        ("at 14:05:30, 15:00:00 and 12:30:45.123", "at 14:05:30, 15 o'clock and 12:30:45.123."),
        ("00:05:00 left, 17:00h", "00:05:00 left, 17 o'clock."),
        ("scores 3:2 and 25:61", "scores 3:2 and 25:61."),
        ("on 2026-11-27", "on 27 November 2026."),
        ("on 2026-02-31", "on 2026-02-31."),
        ("on 27.11.2026", "on 27 November 2026."),
        ("on 11/27/2026", "on 27 November 2026."),
        ("on 3/4/2026", "on 3/4/2026."),
        ("since 2026-11-27T10:30:00Z", "since 27 November 2026, 10:30 UTC."),
        ("$1,234.50", "1,234 dollars and 50 cents."),
        ("$1 or £0.99 or 5 €", "1 dollar or 99 pence or 5 euros."),
        ("€3.5 million", "3.5 million euros."),
        ("3.5 km at 100 km/h", "3.5 kilometres at 100 kilometres an hour."),
        ("1 kg, 20°C and 50 %", "1 kilogram, 20 degrees Celsius and 50 %."),
        ("10-12 people, 3–1", "10 to 12 people, 3 to 1."),
        ("omniid v1.2.3, version v2.0", "omniid version 1.2.3, version 2.0."),
        ("call +49 170 1234567", "call plus 4 9, 1 7 0, 1 2 3 4 5 6 7."),
        ("call (555) 123-4567", "call 5 5 5, 1 2 3, 4 5 6 7."),
        ("mail joe.smith@example.org", "mail joe dot smith at example dot org."),
        ("x < 5, AT&T, C# and #3, ~5 min", "x less than 5, AT and T, C sharp and number 3, about 5 minutes."),
    ],
)
def test_figures_are_said_in_english(written: str, spoken: str) -> None:
    assert speakable(written, "en-gb") == [spoken]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("the 1990s and the 80s", "the 19 nineties and the eighties."),
        ("the 50s, '60s and 70s", "the fifties, sixties and seventies."),
        ("80s music, the 2000s", "eighties music, the 2 thousands."),
        ("for 90s, in ~5s, the 30s timer", "for 90 seconds, in about 5 seconds, the 30 seconds timer."),
        ("two 6s, 90s, 0.5s, 5 s", "two 6s, 90s, 0.5 seconds, 5 seconds."),
        ("low 70s to upper 80s, mid-60s", "low seventies to upper eighties, mid-sixties."),
        ("in the high 40s, lower 30s", "in the high forties, lower thirties."),
        ("100s of AK-47s", "hundreds of AK-47s."),
        ("in 5m, 1.8m, 5 m, 100m", "in 5m, 1.8 metres, 5 metres, 100 metres."),
        (
            "1h30, 2h 15m, 5m 30s, 3d 4h",
            "1 hour 30, 2 hours 15 minutes, 5 minutes 30 seconds, 3 days 4 hours.",
        ),
    ],
)
def test_seconds_minutes_and_decades_are_told_apart(written: str, spoken: str) -> None:
    assert speakable(written, "en") == [spoken]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("$1.5M, €3bn, £20k", "1.5 million dollars, 3 billion euros, 20 thousand pounds."),
        ("-$5, $5/month, $5MM", "minus 5 dollars, 5 dollars per month, $5MM."),
        ("$10-15, $1.5M–$2M", "10 to 15 dollars, 1.5 to 2 million dollars."),
        ("$500K - $1M, 5 € - 10 €", "500 thousand to 1 million dollars, 5 to 10 euros."),
        ("it was $5 b/c of that", "it was 5 dollars b/c of that."),
        ("€1.200,50 or $3.459", "1200 euros and 50 cents or 3.459 dollars."),
    ],
)
def test_sums_of_money_keep_their_size(written: str, spoken: str) -> None:
    assert speakable(written, "en") == [spoken]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("2026-03-05T14:30:00+02:00", "5 March 2026, 14:30 UTC plus 2."),
        ("2026-03-05 14:30:00.5-03:30", "5 March 2026, 14:30 UTC minus 3 30."),
        ("2026-03-05T14:30+00:00", "5 March 2026, 14:30 UTC."),
        ("20260305T143000Z", "5 March 2026, 14:30 UTC."),
        ("2026-03-05 10:30-11:30", "5 March 2026, 10:30 to 11:30."),
        ("14:30Z, GMT-5", "14:30 UTC, GMT minus 5."),
        ("2026-W10, 2026-W10-3, 2026-03", "week 10 of 2026, 4 March 2026, March 2026."),
        ("27-11-2026, 03-04-2026, 05/03/2026", "27 November 2026, 03-04-2026, 05/03/2026."),
        ("the season of 2009-10", "the season of 2009 to 10."),
    ],
)
def test_a_moment_keeps_its_zone(written: str, spoken: str) -> None:
    assert speakable(written, "en") == [spoken]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("10:00-11:30, 7pm–9pm", "10 o'clock to 11:30, 7 pm to 9 pm."),
        ("10%-20%, 500MB-1GB", "10% to 20%, 500 megabytes to 1 gigabyte."),
        ("Mon–Fri, Mary-Ann", "Mon to Fri, Mary-Ann."),
        ("-5 to 5, –5 °C, 3 - 1", "minus 5 to 5, minus 5 degrees Celsius, 3 - 1."),
        ("5 - 3 = 2, 10/2=5", "5 minus 3 = 2, 10 divided by 2=5."),
        ("x >= 5, y <= 3, ≥ 2, +/-1", "x at least 5, y at most 3, at least 2, ±1."),
        ("A -> B => C", "A to B to C."),
        ("x², 10^6, 10⁻³, CO₂", "x squared, 10 to the power of 6, 10 to the power of minus 3, CO2."),
        ("1/2 cup, 1½ tsp, 9/11", "a half cup, 1 and a half teaspoons, 9/11."),
        ('5\'10", a 12" pizza', "5 feet 10 inches, a 12 inches pizza."),
        ('He said "I am 24" twice', 'He said "I am 24" twice.'),
        ("180°C/350°F at 3.30pm", "180 degrees Celsius/350 degrees Fahrenheit at 3:30 pm."),
        ("bus No. 5 w/o stop, 24/7", "bus number 5 without stop, 24 7."),
        ("1 000 000, 20 000, 1 800", "1000000, 20000, 1 800."),
        ("192.168.0.1:80, 1.2.3", "192 dot 168 dot 0 dot 1 port 80, 1.2.3."),
        ("call +1 (555) 123-4567 or 555-0199", "call plus 1, 5 5 5, 1 2 3, 4 5 6 7 or 5 5 5, 0 1 9 9."),
        ("500-1000 words", "500 to 1000 words."),
        ("ISBN 978-3-16-148410-0, 4-4-2", "ISBN 9 7 8, 3, 1 6, 1 4 8 4 1 0, 0, 4, 4, 2."),
        ("mail a_b@my-host.org", "mail a underscore b at my dash host dot org."),
    ],
)
def test_what_an_engine_would_drop_or_garble_is_written_out(written: str, spoken: str) -> None:
    assert speakable(written, "en") == [spoken]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("room 3-12, seat 12-3, gate 4-2", "room 3-12, seat 12-3, gate 4-2."),
        ("Boeing 737-800, Boeing 787-9", "Boeing 737-800, Boeing 787-9."),
        ("invoice 2026-114, case 2024-05", "invoice 2026-114, case 2024-05."),
        ("room No. 3-12, Apt. 4-12, room #3-12", "room number 3-12, Apt. 4-12, room number 3-12."),
        ("rooms 3-12, room 5-7 pm", "rooms 3 to 12, room 5 to 7 pm."),
        ("12-14 Elm Street, pages 12-15", "12 to 14 Elm Street, pages 12 to 15."),
        ("2009-10.5, 2000-1,5", "2009-10.5, 2000-1,5."),
        ("10-4, 100-50, a 50-50 chance", "10-4, 100-50, a 50-50 chance."),
        ("won 3-2, lost 21-14, a 0-0 draw", "won 3 to 2, lost 21 to 14, a 0 to 0 draw."),
        ("White won 6-4, 3-6, 7-5", "White won 6 to 4, 3 to 6, 7 to 5."),
        ("open 9-5, 10-2 pm, 22:00-6:00", "open 9 to 5, 10 to 2 pm, 22 o'clock to 6 o'clock."),
        ("2020-21, 1914-18, 12/24-12/26", "2020 to 21, 1914 to 18, 12/24 to 12/26."),
        ("500-1,000 m, 0.5-1 mg, 3-1/2", "500 to 1,000 metres, 0.5 to 1 milligram, 3-1/2."),
        ("seat 12A-12B, seats 12A-12C", "seat 12A-12B, seats 12A to 12C."),
        ("John 3:16-18, a 16:9 screen, 3:2", "John 3:16 to 18, a 16:9 screen, 3:2."),
        (
            "$10 - $3 = $7, 20 € - 5 € = 15 €",
            "10 dollars minus 3 dollars = 7 dollars, 20 euros minus 5 euros = 15 euros.",
        ),
        ("$100 - $50, 3/$10", "100 dollars - 50 dollars, 3/$10."),
        ("rooms 101 102 103, codes 100 200 300", "rooms 101 102 103, codes 100 200 300."),
        ("passport 123 456 789, 12 345 678", "passport 123 456 789, 12 345 678."),
        ("$12 500, 1 234 567 km, 20 000", "12500 dollars, 1234567 kilometres, 20000."),
        ("PIN 100 000", "PIN 100 000."),
    ],
)
def test_names_and_scores_are_no_ranges_and_no_thousands(written: str, spoken: str) -> None:
    assert " ".join(speakable(written, "en")) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("gate 10 L, runway 27L, size 10 W", "gate 10 L, runway 27L, size 10 W."),
        ("7 W 57th St, 1600 L St, 1300 V St", "7 W 57th St, 1600 L St, 1300 V St."),
        ("flat 2 h, line 4 m, iPhone 5 s", "flat 2 h, line 4 m, iPhone 5 s."),
        ("5 m a year, 7 m people, 100m users", "5 m a year, 7 m people, 100m users."),
        ("5 m wide, 300 m away, 3 m", "5 metres wide, 300 metres away, 3 metres."),
        ("exit 5 km, gate 10 min away", "exit 5 kilometres, gate 10 minutes away."),
        ("2 L of milk, a 60 W bulb, 3 h later", "2 litres of milk, a 60 watts bulb, 3 hours later."),
    ],
)
def test_a_lone_letter_that_may_be_no_unit_stays(written: str, spoken: str) -> None:
    assert speakable(written, "en") == [spoken]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("p<0.05, BMI>30, p < .05", "p less than 0.05, BMI greater than 30, p less than .05."),
        ("if a<b and c>d", "if a less than b and c greater than d."),
        ("10<x<20, x<-5", "10 less than x less than 20, x less than minus 5."),
        ("`a<b`, `x > 5`, `<h1>`", "a less than b, x greater than 5, h1."),
        ("3 @ $5, @ 5 pm, a@b, @bob", "3 at 5 dollars, at 5 pm, a at b, bob."),
        ("2*x, a*b, 50%*2", "2 times x, a times b, 50% times 2."),
        ("Settings > Privacy > Location", "Settings, Privacy, Location."),
        ("5~10 km", "5 to 10 kilometres."),
        ("<details open>More</details>, List<String>", "More, List."),
    ],
)
def test_no_sign_is_dropped_that_changes_the_sense(written: str, spoken: str) -> None:
    assert speakable(written, "en") == [spoken]


@pytest.mark.parametrize(
    ("language", "written", "spoken"),
    [
        ("de", "1,5 Mio. €, €3bn, 10-15 €", "1,5 Millionen Euro, 3 Milliarden Euro, 10 bis 15 Euro."),
        ("de", "2026-03-05T14:30:00Z", "5. März 2026, 14 Uhr 30 UTC."),
        ("de", "die 80s, 192.168.0.1", "die 80s, 192 Punkt 168 Punkt 0 Punkt 1."),
        ("de", "9.30 Uhr, 14:05:30, -5 °C", "9 Uhr 30, 14:05:30, minus 5 Grad Celsius."),
        (
            "fr",
            "1,5 M€, $20k, −5 °C, ≥ 5",
            "1,5 millions d'euros, 20 mille dollars, moins 5 degrés Celsius, au moins 5.",
        ),
        ("fr", "14h30, XIXe, le n° 5", "14 heures 30, dix-neuvième, le numéro 5."),
        (
            "es",
            "1,5 M€, 3 bn €, -5 °C, ½",
            "1,5 millones de euros, 3 mil millones de euros, menos 5 grados Celsius, medio.",
        ),
        ("es", "2026-03-05T14:30:00-05:00", "5 de marzo de 2026, 14:30 UTC menos 5."),
        ("de_DE", "Am 27.11.2026 um 10:30 Uhr", "Am 27. November 2026 um 10 Uhr 30."),
        ("de", "Um 9:00 kostet es 1.234,50 €", "Um 9 Uhr kostet es 1.234 Euro und 50 Cent."),
        ("de", "Der 3. Mann, z. B. Harry", "Der 3. Mann, z. B. Harry."),
        ("fr", "Le 27/11/2026 à 9:00", "Le 27 novembre 2026 à 9 heures."),
        ("es-mx", "El 2026-11-27, 3,5 km", "El 27 de noviembre de 2026, 3,5 kilómetros."),
        ("de", "Zimmer 3-12, Zimmer 101 102 103", "Zimmer 3-12, Zimmer 101 102 103."),
        ("de", "Hausnummer 3-12, in 5s, in 1990s", "Hausnummer 3-12, in 5 Sekunden, in 1990s."),
        ("fr", "salle 3-12, chambres 101 102, 12 500", "salle 3-12, chambres 101 102, 12500."),
        ("es", "sala 3-12, códigos 123 456, 12 500", "sala 3-12, códigos 123 456, 12500."),
        ("ja", "2026-11-27 9:00 $5", "2026-11-27 9:00 $5."),
        (None, "2026-11-27 9:00 $5", "2026-11-27 9:00 $5."),
    ],
)
def test_figures_follow_the_voices_language(language: str | None, written: str, spoken: str) -> None:
    assert speakable(written, language) == [spoken]


@pytest.mark.parametrize(
    "sentences",
    [
        ["It is 5:04 p.m. and 3.5 degrees.", "Good night!"],
        ["Use e.g. this.", "Dr. Smith called."],
        ["J. S. Bach lived on St. John St. until Dec. 24.", "Mr. X did not."],
        ["It is on p. 5, vol. 7.", "The answer is no.", "Next."],
        ["We meet on Fri. or later, i.e. never.", "Bye."],
        ["Really?!", "Yes... yes.", "No."],
        ["Wait… what?", "Hm...", "Ok."],
        ['He said "Go."', "She went."],
        ["今日は。", "良い天気！", "そう？"],
        ["मैं ठीक हूँ।", "आप?"],
        ["no end."],
    ],
)
def test_sentences_are_whole(sentences: list[str]) -> None:
    text = "".join(sentences) if "。" in sentences[0] else " ".join(sentences)
    assert speakable(text, "en") == sentences


def test_what_never_ends_is_cut_at_commas_spaces_or_anywhere() -> None:
    for text in ("some words, " * 100, "word " * 100, "x" * 1_000):
        pieces = speakable(text)
        assert len(pieces) > 1
        assert max(map(len, pieces)) <= MAX_PIECE_CHARS
        assert "".join(pieces).replace(" ", "").replace(",", "").rstrip(".") == text.replace(" ", "").replace(
            ",", ""
        )


def test_the_first_piece_is_short_where_a_comma_allows_it() -> None:
    first, *_ = speakable("This is a clause of many words, " * 6, "en")
    assert len(first) <= MAX_FIRST_PIECE_CHARS


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_long_reply_is_cut_at_a_sentence_and_says_so(language: str) -> None:
    pieces = speakable("This sentence is here again. " * 500, language)
    assert pieces[-1] == LANGUAGES[language].more
    assert set(pieces[:-1]) == {"This sentence is here again."}
    assert MAX_SPOKEN_CHARS - 200 < sum(map(len, pieces)) <= MAX_SPOKEN_CHARS


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_long_text_that_no_history_keeps_does_not_speak_of_one(language: str) -> None:
    pieces = speakable("This sentence is here again. " * 500, language, in_history=False)
    assert pieces[-1] == LANGUAGES[language].left_out != ""
    assert set(pieces[:-1]) == {"This sentence is here again."}
    assert sum(map(len, pieces)) <= MAX_SPOKEN_CHARS
    assert speakable("\n\n".join(pieces), language) == pieces


def test_a_long_reply_in_an_unknown_language_is_cut_without_a_word() -> None:
    pieces = speakable("Tiu frazo estas ĉi tie denove. " * 500, "eo")
    assert set(pieces) == {"Tiu frazo estas ĉi tie denove."}
    assert sum(map(len, pieces)) <= MAX_SPOKEN_CHARS


def test_what_is_far_behind_code_is_not_forgotten_in_silence() -> None:
    code = "```\n" + "x = 1\n" * MAX_READ_CHARS + "```\nThe end."
    pieces = speakable(f"See:\n{code}", "en")
    assert pieces[0] == "See:"
    assert pieces[-1] == MORE


_SCRAPS = [
    *("**", "*", "_", "`", "```", "~~", "\n", "\n\n", " ", "\t", "a", "b c", "word", "Word", "é", "今", "。"),
    *("Dr.", "12.", "27.", "November", "e.g.", "p.m.", "A.", "5 km", "$5.50", "€", "°C", "%", "10:30"),
    *("2026-11-27", "+49 170 123456", "joe@x.org", "v1.2", "10-12", "C#", "~5", "#3", "0123456", "0", "1"),
    *("[", "](", "]", ")", "(", "http://x.org/a", "www.a.b", "://", "<b>", "</p>", "<", ">", "&amp;", "&"),
    *("lt;", "1. ", "- ", "> ", "# ", "|", "|---|---|", "---", "...", "…", "!", "?", ":", ";", ",", ".", "-"),
    *(
        "1990s",
        "the ",
        "80s",
        "$1.5M",
        "–",
        "½",
        "1/2",
        " cup",
        "²",
        "^6",
        "->",
        "T10:30:00+02:00",
        "Z",
        "UTC+2",
    ),
    *(
        "192.168.0.1",
        "5'10\"",
        "1h30",
        "5m",
        "30s",
        "Mon–Fri",
        "No. ",
        "€10",
        " €",
        "k",
        "XIXe",
        "/month",
        "−",
    ),
    *("room ", "won ", "low ", "5-3", " 100 200", "5s", " L", "<", "@", "`a<b`", " > ", "*", "~5"),
    *("=", "+", "“", "”", "'", "\\", "[^1]", "[x]: y", "\x1b[31m", "\x1b", "\u202e", "\u200b", "x" * 130),
]
_TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(_SCRAPS), max_size=30).map("".join))
_LANGUAGES = st.sampled_from([None, "ja", *LANGUAGES])


@given(_TEXTS, _LANGUAGES)
@settings(deadline=None)  # the machine may be busy
def test_whatever_comes_is_bounded_plain_and_settled(text: str, language: str | None) -> None:
    pieces = speakable(text, language)
    assert sum(map(len, pieces)) <= MAX_SPOKEN_CHARS
    for piece in pieces:
        piece.encode()
        assert piece == piece.strip() != ""
        assert len(piece) <= MAX_PIECE_CHARS
        assert not set(piece) & set("<>[]{}|\\`*_~^#@&\n\t")
        assert not {unicodedata.category(char) for char in piece} & {"Cc", "Cs", "Co", "Cn"}
    assert speakable("\n\n".join(pieces), language) == pieces


@pytest.mark.parametrize(
    "evil",
    [
        *(
            "**a ",
            "[",
            "[a](",
            "![",
            "\x1b]",
            "`",
            "```\n",
            "_a ",
            "- ",
            "-",
            "a.",
            "a. ",
            "https://",
            "www.",
        ),
        *("\n", "\n ", " \u200c", "\t", "*a", "~~a", "> ", "***", "x", "今", "<a ", "<", "<!--", "<script>"),
        *(
            "&",
            "|",
            "|-",
            "| a |\n|-|\n",
            "1-",
            "0 ",
            "+1",
            "(1",
            "10:",
            "$1",
            "12/",
            *(
                "$1-",
                "1h",
                "1 m",
                "80s ",
                "1½ ",
                "1/2 ",
                "x^1",
                "²",
                "1 000 ",
                "-1 ",
                "10:30-",
                "555-",
                "Mon-",
                "1'",
            ),
            *(
                '1" ',
                "1.1.1.",
                "2026-",
                "->",
                ">=",
                "1 €-",
                "1-1 = ",
                "T",
                "No. ",
                "V",
                "w/",
                "room 1-",
                "won 2-1 ",
                "a<b",
                "`<a",
                "`<a `",
                "1 > A",
                "@",
                "the ",
                " the 10s,",
            ),
            "a@",
            "1.",
            "\u202e",
            "😀",
        ),
    ],
)
def test_a_megabyte_of_anything_takes_little_time(evil: str) -> None:
    began = time.monotonic()
    speakable(evil * (1_000_000 // len(evil)), "en")
    assert time.monotonic() - began < 20.0  # below 1 s on an idle machine; what is not linear takes minutes
