"""What differs between languages in reading a reply aloud: the words for signs, units, dates and notes. Pure.

A voice engine reads plain numbers and words in its own language. What it reads badly is written out here: an
ISO date, a sum of money, a clock time with two zeros. A language that is not here keeps its figures as they
are, and its notes are left out rather than said in English.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Language:
    """Templates and words. `units` and `currencies` give one and many: "kilometre|kilometres"."""

    code: str
    more: str = ""
    left_out: str = ""  # as `more`, of a text that no history keeps
    code_line: str = ""
    code_lines: str = ""  # {lines}
    table: str = ""  # {rows}, {columns}
    decimal: str = "."
    months: tuple[str, ...] = ()
    date: str = ""  # {day}, {month}, {year}
    clock: str = ""  # {hour}, {minute}: as the engine reads it right; empty: 10:30 as it is
    full_hour: str = ""  # {hour}
    version: str = "version"
    at: str = ""
    dot: str = ""
    plus: str = ""
    to: str = ""
    sharp: str = ""
    money_and: str = ""
    about: str = ""
    number: str = ""
    times: str = ""
    signs: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    currencies: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # the whole, its hundredth
    has_ordinal_dots: bool = False  # "der 3. Mann"


def find_language(name: str | None) -> Language:
    """For a language tag, a locale or a voice's name: de, de-AT, de_DE.UTF-8, de_DE-thorsten-medium."""
    code = (name or "").replace("_", "-").partition("-")[0].partition(".")[0].casefold()
    return LANGUAGES.get(code, Language(code))


def _table(lines: str) -> dict[str, str]:
    """One `sign: words` a line."""
    return dict(line.strip().split(": ") for line in lines.strip().splitlines())


_ENGLISH = Language(
    "en",
    more="There is more in the history.",
    left_out="The rest is left out.",
    code_line="A line of code.",
    code_lines="A code block of {lines} lines.",
    table="A table of {rows} rows: {columns}.",
    months=(
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
    date="{day} {month} {year}",
    full_hour="{hour} o'clock",
    at="at",
    dot="dot",
    plus="plus",
    to="to",
    sharp="sharp",
    money_and="and",
    about="about",
    number="number",
    times="times",
    signs=_table("""
        &: and
        <: less than
        >: greater than
        ≤: at most
        ≥: at least
        ≠: not equal to
        ≈: about
        ×: times
        ÷: divided by
        →: to
    """),
    units=_table("""
        km: kilometre|kilometres
        m: metre|metres
        cm: centimetre|centimetres
        mm: millimetre|millimetres
        mi: mile|miles
        ft: foot|feet
        yd: yard|yards
        kg: kilogram|kilograms
        g: gram|grams
        mg: milligram|milligrams
        lb: pound|pounds
        lbs: pound|pounds
        oz: ounce|ounces
        l: litre|litres
        L: litre|litres
        ml: millilitre|millilitres
        km/h: kilometre an hour|kilometres an hour
        mph: mile an hour|miles an hour
        m/s: metre a second|metres a second
        km²: square kilometre|square kilometres
        m²: square metre|square metres
        W: watt|watts
        kW: kilowatt|kilowatts
        kWh: kilowatt hour|kilowatt hours
        V: volt|volts
        Hz: hertz|hertz
        KB: kilobyte|kilobytes
        MB: megabyte|megabytes
        GB: gigabyte|gigabytes
        TB: terabyte|terabytes
        ms: millisecond|milliseconds
        s: second|seconds
        sec: second|seconds
        min: minute|minutes
        h: hour|hours
        hr: hour|hours
        hrs: hour|hours
        °C: degree Celsius|degrees Celsius
        °F: degree Fahrenheit|degrees Fahrenheit
    """),
    currencies={
        "$": ("dollar|dollars", "cent|cents"),
        "€": ("euro|euros", "cent|cents"),
        "£": ("pound|pounds", "penny|pence"),
        "¥": ("yen|yen", ""),
    },
)

_GERMAN = Language(
    "de",
    more="Mehr steht im Verlauf.",
    left_out="Der Rest wird weggelassen.",
    code_line="Eine Zeile Programmcode.",
    code_lines="Ein Codeblock mit {lines} Zeilen.",
    table="Eine Tabelle mit {rows} Zeilen: {columns}.",
    decimal=",",
    months=(
        *("Januar", "Februar", "März", "April", "Mai", "Juni"),
        *("Juli", "August", "September", "Oktober", "November", "Dezember"),
    ),
    date="{day}. {month} {year}",
    clock="{hour} Uhr {minute}",
    full_hour="{hour} Uhr",
    at="ät",
    dot="Punkt",
    plus="plus",
    to="bis",
    sharp="sharp",
    money_and="und",
    about="etwa",
    number="Nummer",
    times="mal",
    signs=_table("""
        &: und
        <: kleiner als
        >: größer als
        ≤: höchstens
        ≥: mindestens
        ≠: ungleich
        ≈: ungefähr
        ×: mal
        ÷: geteilt durch
        →: nach
    """),
    units=_table("""
        km: Kilometer|Kilometer
        m: Meter|Meter
        cm: Zentimeter|Zentimeter
        mm: Millimeter|Millimeter
        kg: Kilogramm|Kilogramm
        g: Gramm|Gramm
        mg: Milligramm|Milligramm
        l: Liter|Liter
        ml: Milliliter|Milliliter
        km/h: Kilometer pro Stunde|Kilometer pro Stunde
        m²: Quadratmeter|Quadratmeter
        W: Watt|Watt
        kW: Kilowatt|Kilowatt
        kWh: Kilowattstunde|Kilowattstunden
        MB: Megabyte|Megabyte
        GB: Gigabyte|Gigabyte
        TB: Terabyte|Terabyte
        s: Sekunde|Sekunden
        min: Minute|Minuten
        h: Stunde|Stunden
        Std: Stunde|Stunden
        °C: Grad Celsius|Grad Celsius
    """),
    currencies={
        "€": ("Euro|Euro", "Cent|Cent"),
        "$": ("Dollar|Dollar", "Cent|Cent"),
        "£": ("Pfund|Pfund", "Pence|Pence"),
    },
    has_ordinal_dots=True,
)

_FRENCH = Language(
    "fr",
    more="La suite est dans l'historique.",
    left_out="Le reste n'est pas lu.",
    code_line="Une ligne de code.",
    code_lines="Un bloc de code de {lines} lignes.",
    table="Un tableau de {rows} lignes : {columns}.",
    decimal=",",
    months=(
        *("janvier", "février", "mars", "avril", "mai", "juin"),
        *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
    ),
    date="{day} {month} {year}",
    clock="{hour} heures {minute}",
    full_hour="{hour} heures",
    at="arobase",
    dot="point",
    plus="plus",
    to="à",
    sharp="sharp",
    money_and="et",
    about="environ",
    number="numéro",
    times="fois",
    signs=_table("""
        &: et
        <: inférieur à
        >: supérieur à
        ×: fois
        →: vers
    """),
    units=_table("""
        km: kilomètre|kilomètres
        m: mètre|mètres
        cm: centimètre|centimètres
        kg: kilogramme|kilogrammes
        g: gramme|grammes
        l: litre|litres
        km/h: kilomètre à l'heure|kilomètres à l'heure
        min: minute|minutes
        °C: degré Celsius|degrés Celsius
    """),
    currencies={"€": ("euro|euros", "centime|centimes"), "$": ("dollar|dollars", "cent|cents")},
)

_SPANISH = Language(
    "es",
    more="Hay más en el historial.",
    left_out="El resto no se lee.",
    code_line="Una línea de código.",
    code_lines="Un bloque de código de {lines} líneas.",
    table="Una tabla de {rows} filas: {columns}.",
    decimal=",",
    months=(
        *("enero", "febrero", "marzo", "abril", "mayo", "junio"),
        *("julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"),
    ),
    date="{day} de {month} de {year}",
    version="versión",
    at="arroba",
    dot="punto",
    plus="más",
    to="a",
    sharp="sharp",
    money_and="y",
    about="unos",
    number="número",
    times="por",
    signs=_table("""
        &: y
        <: menor que
        >: mayor que
        ×: por
        →: a
    """),
    units=_table("""
        km: kilómetro|kilómetros
        m: metro|metros
        cm: centímetro|centímetros
        kg: kilogramo|kilogramos
        g: gramo|gramos
        l: litro|litros
        km/h: kilómetro por hora|kilómetros por hora
        min: minuto|minutos
        °C: grado Celsius|grados Celsius
    """),
    currencies={"€": ("euro|euros", "céntimo|céntimos"), "$": ("dólar|dólares", "centavo|centavos")},
)

LANGUAGES = {language.code: language for language in (_ENGLISH, _GERMAN, _FRENCH, _SPANISH)}
