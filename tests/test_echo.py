"""Echoes as tiny.en heard them of piper and eSpeak NG, whole and cut, and what people say after replies."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.spoken_replies import REPLIES

from omniid.echo import _ends, sounds_like

ANNA = "I will remind you to call Anna tomorrow at five."
MILK = "I added milk, eggs and bread to your shopping list. You now have seven items on it."
DENTIST = "Your next appointment is the dentist on Thursday at 14:30 in Marlborough Street."
LIGHTS = "I turned off the lights in the kitchen and set the heating to 19 °C."
TIMER = "I set a timer for 12 minutes. I'll tell you when it's done."
UNREAD = 'There are three unread messages. The first is from Peter: "Can we move our meeting to 17:00?"'
MIRIAM = "I couldn't find a contact called Miriam. Should I send it to Marian instead?"
CAPITAL = (
    "The capital of Australia is Canberra. It has about 450,000 inhabitants "
    "and lies between Sydney and Melbourne."
)
JAZZ = "Playing the album Kind of Blue by Miles Davis from 1959."
RAIN = (
    "Tomorrow it will rain in the afternoon, with a high of 12 degrees and a low of 4. "
    "Don't forget your umbrella!"
)
FLIGHT = "The flight BA 2490 leaves at 6:55 a.m. from gate B17. You should leave home at 4:15."
NOTES = "Shall I delete all 14 notes in the folder Ideas? This cannot be undone."
ALARM = "I set the alarm for seven thirty in the morning on weekdays."
MOVED = "I moved the meeting with Peter from Thursday to Friday at ten."
SENT = 'I sent the message "I am running ten minutes late" to Peter and Anna.'
LICHT = "Ich habe das Licht in der Küche ausgeschaltet und erinnere dich morgen um 17 Uhr an den Zahnarzt."
DAY, TRAIN, SUNNY, PARCEL, BILL, TERMINAL, CITIES, LION, VERSION, HAMLET = REPLIES

ECHOES = [
    (ANNA, "I will remind you to call under tomorrow at time."),
    (ANNA, "I will remind you to call in at tomorrow at 5."),
    (MILK, "I added milk, eggs and bread to your shopping list. You now have seven items on it."),
    (MILK, "shopping list. You now have 7."),
    (MILK, "eggs and bread to your shopping list. You now have seven items on."),
    (DENTIST, "Your next appointment is the dentist on Thursday at 1430 in Marborough Street."),
    (DENTIST, "The next appointment is the dentist on Thursday."),
    (DENTIST, "The next appointment is the dentist on Thursday at 14."),
    (DENTIST, "1430 in Marborough Street."),
    (LIGHTS, "I turned off the lights in the kitchen and set the heating to 19 degrees Celsius."),
    (LIGHTS, "off the lights in the kitchen and set the heating tonight."),
    (LIGHTS, "and set the heating to 19 degrees Celsius."),
    (TIMER, "I sent a timer for 12 minutes. I'll tell you when it's done."),
    (TIMER, "set a timer for 12 minutes. I'll tell you when it's done."),
    (TIMER, "for 12 minutes. I'll tell you when it's..."),
    (UNREAD, "can we move our meeting to 17 o'clock?"),
    (UNREAD, "can we move our meeting to 5 p.m.?"),
    (UNREAD, "can we move our meeting to five"),
    (
        UNREAD,
        "There are three and red messages. The first is from Peter. Can we move our meeting to 17 o'clock?",
    ),
    (UNREAD, "The first is from Peter. Can we move our meeting to set?"),
    (MIRIAM, "I couldn't find a contact call, Miriam, should I send it to Mario Instant?"),
    (MIRIAM, "didn't find a contact called Miriam. Should I send it to Miriam instead?"),
    (CAPITAL, "it found out 450,000 inhabitants and lines between Sydney and Melbourne."),
    (
        CAPITAL,
        "the capital of Australia as Canberra. It has about 450,000 inhabitants and lies between Sydney.",
    ),
    (CAPITAL, "Canberra. It has about 450,000."),
    (JAZZ, "the album kind of blew by Miles Davis from now."),
    (RAIN, "tomorrow it will rain in the afternoon with a high 12 degrees and a low on four."),
    (RAIN, "Don't forget your umbrella."),
    (RAIN, "do not forget your umbrella"),
    (FLIGHT, "flight via 2,490 leaves at 6.55"),
    (NOTES, "shall I delete all 14 notes in the folder ideas? This cannot be undone."),
    (NOTES, "14 notes in the fold of ideas, this cannot."),
    (DAY, "Your day, 1030 meeting with doctor. Smith, 1245 lunch, 5 p.m. dentist."),
    (DAY, "meeting with Dr. Smith, 1245 lunch."),
    (TRAIN, "the train lean at 9.45. See the timetable for more."),
    (SUNNY, "It is sunny today, about 20 degrees Celsius, with a light wind of 10 to 15 kilometers an hour."),
    (SUNNY, "20 degrees Celsius with a light wind of 10 to 15."),
    (PARCEL, "Your parcel arrived on 27 November 2026, it went 3.5 kilogrammed."),
    (PARCEL, "2026. It weighs 3.5."),
    (BILL, "The bill is $1,234.50. You paid half of it last week."),
    (BILL, "$34.50, you paint half of it last week."),
    (BILL, "and 50 cents. You paid half of it."),
    (TERMINAL, "run this command in the terminal, a code block of two lines, then restart the computer."),
    (TERMINAL, "terminal, a code block of two lines, then restart the complete."),
    (CITIES, "London weather rain city Paris weather snow"),
    (LION, "restaurants. The best one is the golden line."),
    (LION, "the golden lion, for example for dinner."),
    (VERSION, "version 2.4.1 is ready. It fixes two problems and adds a new one."),
    (HAMLET, "That is the question. That line will..."),
    (HAMLET, "William Shakespeare"),
    (LICHT, "Licht in der Küche ausgeschaltet und erinnere dich morgen um 17 Uhr."),
    (LICHT, "erinnere dich morgen um siebzehn Uhr an den Zahnarzt"),
]
COMMANDS = {
    ANNA: (
        "remind me to call Anna",
        "remind me to call Anna tomorrow at five",
        "remind me to call Anna tomorrow at six instead",
        "please remind me to call Bella tomorrow at five as well",
        "no, remind me at six",
        "call Anna now",
        "tomorrow at six please",
        "what is Anna's number",
        "yes",
        "stop",
        "tomorrow",
        "thanks",
    ),
    MILK: (
        "add milk to the shopping list",
        "add milk, eggs and bread to my shopping list",
        "also add butter to my shopping list",
        "remove milk, eggs and bread from the shopping list",
        "remove the eggs from the shopping list",
        "what is on my shopping list",
        "no bread, please",
        "how many items are on it",
    ),
    DENTIST: (
        "cancel my next appointment",
        "when is my next appointment",
        "move the dentist to Friday at 14:30",
        "cancel the dentist on Thursday",
        "how do I get to Marlborough Street",
        "remind me of the dentist on Thursday at two",
    ),
    LIGHTS: (
        "turn off the lights in the kitchen",
        "turn off the lights in the kitchen and set the heating to 21 degrees",
        "turn off the lights in the bedroom and set the heating to 19 degrees",
        "turn the lights in the kitchen on again",
        "set the heating to 21 degrees",
        "and the lights in the living room",
    ),
    TIMER: (
        "set a timer for 20 minutes",
        "set another timer for 12 minutes",
        "set a timer for 12 hours",
        "cancel the timer",
        "tell me when it's done",
        "how long is left on the timer",
    ),
    UNREAD: (
        "read the second one",
        "tell Peter I can't move our meeting",
        "tell Peter yes we can move our meeting to five",
        "move our meeting with Peter to 5 p.m.",
        "read me the unread messages from Peter",
    ),
    MIRIAM: (
        "yes, send it to Marian instead",
        "no, don't send it to Marian",
        "send it to Marian and Miriam",
        "add a contact called Miriam",
    ),
    CAPITAL: (
        "what is the capital of New Zealand",
        "how far is it between Sydney and Melbourne",
        "and the capital of Austria",
    ),
    JAZZ: (
        "play Kind of Blue by Miles Davis",
        "play something else by Miles Davis",
        "play the album Kind of Blue from the beginning",
        "who plays the piano on Kind of Blue",
    ),
    RAIN: (
        "will it rain in the afternoon",
        "will it rain tomorrow in the morning",
        "how cold will it be on Sunday",
        "where is my umbrella",
    ),
    FLIGHT: (
        "set an alarm for 4:15",
        "wake me at four fifteen",
        "which gate does it leave from",
        "book a taxi for when I should leave home",
    ),
    NOTES: (
        "yes, delete all 14 notes in the folder Ideas",
        "no, delete only the notes in the folder Trash",
        "don't delete all 14 notes",
        "delete all notes",
    ),
    ALARM: ("set the alarm for six thirty in the morning on weekdays", "set an alarm for eight"),
    MOVED: (
        "move the meeting with Peter from Thursday to Friday at ten",
        "move the meeting with Peter to Friday at eleven",
    ),
    SENT: (
        "send the message I am running ten minutes late to Peter and Anna",
        "send Peter and Anna the address",
        "tell Peter I'm ten minutes late",
    ),
    LICHT: (
        "schalte das Licht in der Küche aus",
        "erinnere mich morgen um 17 Uhr an den Zahnarzt",
        "nein, um sechzehn Uhr",
        "mach das Licht in der Küche wieder an",
    ),
}


def language_of(spoken: str) -> str:
    return "de" if spoken is LICHT else "en"


@pytest.mark.parametrize(("spoken", "heard"), ECHOES)
def test_a_piece_of_what_is_spoken_is_known(spoken: str, heard: str) -> None:
    assert sounds_like(heard, spoken, language_of(spoken))


@pytest.mark.parametrize(
    ("spoken", "heard"), [(reply, each) for reply, all_ in COMMANDS.items() for each in all_]
)
def test_what_a_person_says_is_no_echo(spoken: str, heard: str) -> None:
    assert not sounds_like(heard, spoken, language_of(spoken))


@pytest.mark.parametrize("spoken", [reply for reply, _ in ECHOES])
@pytest.mark.parametrize(
    "heard", ["", "?!", "yes", "stop that", "what is the time", "turn on the radio please"]
)
def test_what_has_nothing_to_do_with_it_is_no_echo(heard: str, spoken: str) -> None:
    assert not sounds_like(heard, spoken)


def test_nothing_is_an_echo_of_silence() -> None:
    assert not sounds_like("what is the time in Paris", "")


def test_words_of_it_far_apart_are_no_piece_of_it() -> None:
    assert not sounds_like("the lights set the heating", LIGHTS)
    assert not sounds_like("kitchen the in lights the off", LIGHTS)


def test_a_script_without_spaces_goes_by_the_character() -> None:
    spoken = "明日の会議は午後三時に始まります。忘れないでください。"
    assert sounds_like("会議は午後三時に始まります", spoken, "ja")
    assert not sounds_like("会議を明日に変えてください", spoken, "ja")
    assert not sounds_like("はい", spoken, "ja")


@given(st.data())
@settings(deadline=None)  # the machine may be busy
def test_every_longer_piece_of_plain_words_is_known(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from(CAPITAL.split()), min_size=5, max_size=40))
    start = data.draw(st.integers(0, len(words) - 5))
    piece = words[start : data.draw(st.integers(start + 5, len(words)))]
    assert sounds_like(" ".join(piece), " ".join(words))


@given(st.text(), st.text())
@settings(deadline=None)
def test_any_text_is_compared_with_any(heard: str, spoken: str) -> None:
    assert sounds_like(heard, spoken) in {True, False}


_WORDS = st.lists(st.sampled_from(["one1", "two2", "six6", "ten0"]), max_size=12)


@given(_WORDS.filter(bool), _WORDS, st.integers(0, 4))
@settings(deadline=None)
def test_pieces_are_found_as_the_plain_algorithm_finds_them(
    heard: list[str], spoken: list[str], most_wrong: int
) -> None:
    row = list(range(len(heard) + 1))
    expected = []
    for end, word in enumerate(spoken, 1):
        before, row = row, [0]
        for at, each in enumerate(heard, 1):
            row.append(min(before[at] + 1, row[-1] + 1, before[at - 1] + (each != word)))
        expected += [end] if row[-1] <= most_wrong else []
    assert list(_ends(heard, spoken, most_wrong)) == expected


@pytest.mark.parametrize(
    "piece", ["word ", "a b ", "x", "you ", "17 ", "12:30", "12:30 ", "会議は明日です", "**a** [x](y) ", "é́"]
)
def test_the_longest_texts_take_little_time(piece: str) -> None:
    text = piece * (50_000 // len(piece))
    began = time.perf_counter()
    sounds_like(text, text)
    assert (
        time.perf_counter() - began < 1.0
    )  # below 50 ms on an idle machine; what is quadratic takes minutes
