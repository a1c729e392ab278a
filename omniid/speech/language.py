"""What differs between languages in reading a reply aloud: the words for signs, units, dates and notes. Pure.

A voice engine reads plain numbers and words in its own language. What it reads badly is written out here: an
ISO date, a sum of money, a clock time with two zeros. A language that is not here keeps its figures as they
are, and its notes are left out rather than said in English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache


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
    month_of_year: str = ""  # {month}, {year}
    week: str = ""  # {week}, {year}
    spans: str = ""  # days and short months, for "Mon-Fri"
    clock: str = ""  # {hour}, {minute}: as the engine reads it right; empty: 10:30 as it is
    full_hour: str = ""  # {hour}
    version: str = "version"
    at: str = ""
    dot: str = ""
    dash: str = ""
    underscore: str = ""
    plus: str = ""
    minus: str = ""
    to: str = ""
    per: str = ""
    and_: str = ""
    sharp: str = ""
    about: str = ""
    number: str = ""
    number_marks: tuple[str, ...] = ()  # "No.", before a number
    times: str = ""
    squared: str = ""
    cubed: str = ""
    to_the_power: str = ""
    words: Mapping[str, str] = field(default_factory=dict)  # "w/": as written and as said
    signs: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    durations: Mapping[str, str] = field(default_factory=dict)  # d, h, m and s, of "1h 30m"
    fractions: Mapping[str, str] = field(default_factory=dict)
    parted: str = ""  # what "1/2" stands before where it is a half and not a day or a page
    scales: Mapping[str, str] = field(
        default_factory=dict
    )  # of money; one of two letters or less is glued on
    currencies: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # the whole, its hundredth
    of_currency: Mapping[str, str] = field(default_factory=dict)  # "d'euros" after a million
    decades: tuple[str, ...] = ()  # from ten; empty: the engine reads 80s, or nobody writes it
    before_decade: str = ""  # "the" in "the 80s", which are no seconds
    after_decade: str = ""  # "music" in "80s music"
    before_seconds: str = ""  # "for" in "for 30s"; empty: nobody writes "two 6s"
    after_seconds: str = ""  # "timer" in "the 30s timer"
    named: str = ""  # "room" in "room 3-12": what follows is a name and no amount, range or time
    scored: str = ""  # "won" in "won 3-2": the greater number may come first
    foot_and_inch: tuple[str, str] = ("", "")
    ordinals: tuple[str, ...] = ()  # from one, where the engine reads 2e badly
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
    month_of_year="{month} {year}",
    week="week {week} of {year}",
    spans="(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs?)?|Fri|Sat(?:ur)?|Sun)(?:day)?"
    "|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec",
    full_hour="{hour} o'clock",
    at="at",
    dot="dot",
    dash="dash",
    underscore="underscore",
    plus="plus",
    minus="minus",
    to="to",
    per="per",
    and_="and",
    sharp="sharp",
    about="about",
    number="number",
    number_marks=("No.", "no.", "№"),
    times="times",
    squared="squared",
    cubed="cubed",
    to_the_power="to the power of",
    words=_table("""
        w/: with
        w/o: without
        24/7: 24 7
        1700s: 17 hundreds
        1800s: 18 hundreds
        1900s: 19 hundreds
        2000s: 2 thousands
        100s of: hundreds of
        1000s of: thousands of
        1,000s of: thousands of
    """),
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
        −: minus
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
        mL: millilitre|millilitres
        µg: microgram|micrograms
        μg: microgram|micrograms
        mcg: microgram|micrograms
        tsp: teaspoon|teaspoons
        tbsp: tablespoon|tablespoons
        kcal: kilocalorie|kilocalories
        km/h: kilometre an hour|kilometres an hour
        kph: kilometre an hour|kilometres an hour
        mph: mile an hour|miles an hour
        m/s: metre a second|metres a second
        m/s²: metre per second squared|metres per second squared
        m³: cubic metre|cubic metres
        sq ft: square foot|square feet
        km²: square kilometre|square kilometres
        m²: square metre|square metres
        W: watt|watts
        kW: kilowatt|kilowatts
        kWh: kilowatt hour|kilowatt hours
        V: volt|volts
        mAh: milliampere hour|milliampere hours
        dB: decibel|decibels
        Hz: hertz|hertz
        kHz: kilohertz|kilohertz
        MHz: megahertz|megahertz
        GHz: gigahertz|gigahertz
        KB: kilobyte|kilobytes
        MB: megabyte|megabytes
        GB: gigabyte|gigabytes
        TB: terabyte|terabytes
        MB/s: megabyte a second|megabytes a second
        GB/s: gigabyte a second|gigabytes a second
        Mbps: megabit a second|megabits a second
        Gbps: gigabit a second|gigabits a second
        ms: millisecond|milliseconds
        s: second|seconds
        sec: second|seconds
        secs: second|seconds
        min: minute|minutes
        mins: minute|minutes
        h: hour|hours
        hr: hour|hours
        hrs: hour|hours
        wk: week|weeks
        wks: week|weeks
        yr: year|years
        yrs: year|years
        °C: degree Celsius|degrees Celsius
        °F: degree Fahrenheit|degrees Fahrenheit
    """),
    durations=_table("""
        d: day|days
        h: hour|hours
        m: minute|minutes
        s: second|seconds
    """),
    fractions=_table("""
        ½: a half
        ⅓: a third
        ⅔: two thirds
        ¼: a quarter
        ¾: three quarters
        ⅛: an eighth
    """),
    parted="cups?|tsp|tbsp|(?:tea|table)spoons?|inch(?:es)?|miles?|pounds?|lbs?|oz|ounces?|pints?|hours?|of|an?|full",
    scales=_table("""
        k: thousand|thousand
        K: thousand|thousand
        m: million|million
        M: million|million
        mn: million|million
        b: billion|billion
        B: billion|billion
        bn: billion|billion
        T: trillion|trillion
        tn: trillion|trillion
        thousand: thousand|thousand
        million: million|million
        billion: billion|billion
        trillion: trillion|trillion
    """),
    decades=(
        *("tens", "twenties", "thirties", "forties", "fifties"),
        *("sixties", "seventies", "eighties", "nineties"),
    ),
    before_decade="the|early|mid|late|low|lower|high|upper|my|your|his|her|our|their",
    after_decade="music|songs?|pop|rock|hits?|movies?|films?|style|fashion|shows?|class|kids?|playlist|part|theme",
    before_seconds="in|for|after|every|within|than|about|waits?|takes?|took|lasts?|lasted",
    after_seconds="timers?|countdown|mark|limit|delay|break|rest|pause|interval|timeout|clip|window|exposure",
    named="room|suite|seat|gate|terminal|runway|platform|track|lane|exit|flat|apartment|apt|unit|building"
    "|section|line|bus|flight|train|coach|lot|class|group|model|part|size|order|invoice|case|ticket|task"
    "|booking|ref|reference|row|account|passport|code|PIN|extension|number|channel|locker|box|route|Boeing|iPhone",
    scored="win|wins|won|los[et]|loses|losing|beat|beats|beating|defeat(?:ed|s)?|scores?|scored|leads?|led|draw"
    "|drew|tied|victory|decision|votes?|voted|open|lunch|shift|work|job|def",
    foot_and_inch=("foot|feet", "inch|inches"),
    currencies={
        "$": ("dollar|dollars", "cent|cents"),
        "€": ("euro|euros", "cent|cents"),
        "£": ("pound|pounds", "penny|pence"),
        "¥": ("yen|yen", ""),
        "₹": ("rupee|rupees", ""),
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
    month_of_year="{month} {year}",
    week="Kalenderwoche {week} im Jahr {year}",
    spans="(?:Mo(?:n)?|Di(?:ens)?|Do(?:nners)?|Fr(?:ei)?|Sa(?:ms)?|So(?:nn)?)(?:tag)?|Mi(?:ttwoch)?"
    "|Jan|Feb|Mär|Apr|Jun|Jul|Aug|Sept?|Okt|Nov|Dez",
    clock="{hour} Uhr {minute}",
    full_hour="{hour} Uhr",
    at="ät",
    dot="Punkt",
    dash="Bindestrich",
    underscore="Unterstrich",
    plus="plus",
    minus="minus",
    to="bis",
    per="pro",
    and_="und",
    sharp="sharp",
    about="etwa",
    number="Nummer",
    number_marks=("Nr.", "№"),
    times="mal",
    squared="hoch 2",
    cubed="hoch 3",
    to_the_power="hoch",
    words=_table("""
        24/7: 24 7
    """),
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
        −: minus
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
        EL: Esslöffel|Esslöffel
        TL: Teelöffel|Teelöffel
        GHz: Gigahertz|Gigahertz
        MHz: Megahertz|Megahertz
        m³: Kubikmeter|Kubikmeter
        km²: Quadratkilometer|Quadratkilometer
        MB: Megabyte|Megabyte
        GB: Gigabyte|Gigabyte
        TB: Terabyte|Terabyte
        MB/s: Megabyte pro Sekunde|Megabyte pro Sekunde
        GB/s: Gigabyte pro Sekunde|Gigabyte pro Sekunde
        s: Sekunde|Sekunden
        min: Minute|Minuten
        h: Stunde|Stunden
        Std: Stunde|Stunden
        °C: Grad Celsius|Grad Celsius
        °F: Grad Fahrenheit|Grad Fahrenheit
    """),
    durations=_table("""
        d: Tag|Tage
        h: Stunde|Stunden
        m: Minute|Minuten
        s: Sekunde|Sekunden
    """),
    fractions=_table("""
        ½: ein halb
        ⅓: ein Drittel
        ⅔: zwei Drittel
        ¼: ein Viertel
        ¾: drei Viertel
        ⅛: ein Achtel
    """),
    parted="Tassen?|TL|EL|Teelöffel|Esslöffel|Liter|Stunden?|Pfund|der|des|einer|eines",
    scales=_table("""
        k: Tausend|Tausend
        K: Tausend|Tausend
        m: Million|Millionen
        M: Million|Millionen
        B: Milliarde|Milliarden
        bn: Milliarde|Milliarden
        Tsd.: Tausend|Tausend
        Mio.: Million|Millionen
        Mio: Million|Millionen
        Mrd.: Milliarde|Milliarden
        Mrd: Milliarde|Milliarden
        Million: Million|Millionen
        Millionen: Million|Millionen
        Milliarde: Milliarde|Milliarden
        Milliarden: Milliarde|Milliarden
    """),
    before_seconds="in|nach|für|alle|noch|dauert",
    after_seconds="Timer|Countdown|Pause|Marke|Grenze",
    named=r"Zimmer|Raum|\w*platz|Sitz|Gate|Gleis|Wohnung|Haus|Linie|Bus|Zug|Flug|Modell|Teil|Rechnung"
    r"|Bestellung|Auftrag|Ticket|Fall|Konto|\w*pass|\w*code|\w*nummer|Boeing",
    foot_and_inch=("Fuß|Fuß", "Zoll|Zoll"),
    currencies={
        "€": ("Euro|Euro", "Cent|Cent"),
        "$": ("Dollar|Dollar", "Cent|Cent"),
        "£": ("Pfund|Pfund", "Penny|Pence"),
        "¥": ("Yen|Yen", ""),
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
    month_of_year="{month} {year}",
    week="semaine {week} de {year}",
    spans="(?:lun|mar|mer(?:cre)?|jeu|ven(?:dre)?|same)(?:di)?|sam|dim(?:anche)?"
    "|janv|févr|avr|juil|sept|oct|nov|déc",
    clock="{hour} heures {minute}",
    full_hour="{hour} heures",
    at="arobase",
    dot="point",
    dash="tiret",
    underscore="tiret bas",
    plus="plus",
    minus="moins",
    to="à",
    per="par",
    and_="et",
    sharp="sharp",
    about="environ",
    number="numéro",
    number_marks=("n°", "N°", "nº", "№"),
    times="fois",
    squared="au carré",
    cubed="au cube",
    to_the_power="puissance",
    words=_table("""
        24/7: 24 sur 7
    """),
    signs=_table("""
        &: et
        <: inférieur à
        >: supérieur à
        ≤: au plus
        ≥: au moins
        ≠: différent de
        ≈: environ
        ±: plus ou moins
        ×: fois
        ÷: divisé par
        →: vers
        −: moins
        §: paragraphe
    """),
    units=_table("""
        km: kilomètre|kilomètres
        m: mètre|mètres
        cm: centimètre|centimètres
        mm: millimètre|millimètres
        kg: kilogramme|kilogrammes
        g: gramme|grammes
        mg: milligramme|milligrammes
        l: litre|litres
        ml: millilitre|millilitres
        km/h: kilomètre à l'heure|kilomètres à l'heure
        m²: mètre carré|mètres carrés
        kWh: kilowattheure|kilowattheures
        Mo: mégaoctet|mégaoctets
        Go: gigaoctet|gigaoctets
        s: seconde|secondes
        min: minute|minutes
        h: heure|heures
        °C: degré Celsius|degrés Celsius
        °F: degré Fahrenheit|degrés Fahrenheit
    """),
    durations=_table("""
        d: jour|jours
        h: heure|heures
        m: minute|minutes
        s: seconde|secondes
    """),
    fractions=_table("""
        ½: un demi
        ⅓: un tiers
        ⅔: deux tiers
        ¼: un quart
        ¾: trois quarts
        ⅛: un huitième
    """),
    named="chambre|salle|siège|place|porte|quai|voie|appartement|bâtiment|ligne|bus|train|vol|modèle|pièce"
    "|facture|commande|dossier|billet|code|numéro|compte|passeport|Boeing",
    foot_and_inch=("pied|pieds", "pouce|pouces"),
    parted="tasses?|cuillères?|litres?|heures?|de|du|des",
    scales=_table("""
        k: mille|mille
        K: mille|mille
        m: million|millions
        M: million|millions
        Md: milliard|milliards
        Mds: milliard|milliards
        B: milliard|milliards
        bn: milliard|milliards
        mille: mille|mille
        million: million|millions
        millions: million|millions
        milliard: milliard|milliards
        milliards: milliard|milliards
    """),
    currencies={
        "€": ("euro|euros", "centime|centimes"),
        "$": ("dollar|dollars", "cent|cents"),
        "£": ("livre|livres", "penny|pence"),
        "¥": ("yen|yens", ""),
    },
    of_currency={"€": "d'euros", "$": "de dollars", "£": "de livres", "¥": "de yens"},
    ordinals=(
        *("premier", "deuxième", "troisième", "quatrième", "cinquième", "sixième", "septième", "huitième"),
        *("neuvième", "dixième", "onzième", "douzième", "treizième", "quatorzième", "quinzième"),
        *("seizième", "dix-septième", "dix-huitième", "dix-neuvième", "vingtième", "vingt et unième"),
    ),
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
    month_of_year="{month} de {year}",
    week="semana {week} de {year}",
    spans="lun(?:es)?|mar(?:tes)?|mié(?:rcoles)?|jue(?:ves)?|vie(?:rnes)?|sáb(?:ado)?|dom(?:ingo)?"
    "|ene|feb|abr|may|jun|jul|ago|sep|oct|nov|dic",
    version="versión",
    at="arroba",
    dot="punto",
    dash="guion",
    underscore="guion bajo",
    plus="más",
    minus="menos",
    to="a",
    per="por",
    and_="y",
    sharp="sharp",
    about="unos",
    number="número",
    number_marks=("n.º", "N.º", "n°", "nº", "núm.", "№"),
    times="por",
    squared="al cuadrado",
    cubed="al cubo",
    to_the_power="elevado a",
    words=_table("""
        24/7: 24 7
    """),
    signs=_table("""
        &: y
        <: menor que
        >: mayor que
        ≤: como máximo
        ≥: al menos
        ≠: distinto de
        ≈: aproximadamente
        ±: más menos
        ×: por
        ÷: dividido por
        →: a
        −: menos
    """),
    units=_table("""
        km: kilómetro|kilómetros
        m: metro|metros
        cm: centímetro|centímetros
        mm: milímetro|milímetros
        kg: kilogramo|kilogramos
        g: gramo|gramos
        mg: miligramo|miligramos
        l: litro|litros
        ml: mililitro|mililitros
        km/h: kilómetro por hora|kilómetros por hora
        m²: metro cuadrado|metros cuadrados
        kWh: kilovatio hora|kilovatios hora
        MB: megabyte|megabytes
        GB: gigabyte|gigabytes
        s: segundo|segundos
        min: minuto|minutos
        h: hora|horas
        °C: grado Celsius|grados Celsius
        °F: grado Fahrenheit|grados Fahrenheit
    """),
    durations=_table("""
        d: día|días
        h: hora|horas
        m: minuto|minutos
        s: segundo|segundos
    """),
    fractions=_table("""
        ½: medio
        ⅓: un tercio
        ⅔: dos tercios
        ¼: un cuarto
        ¾: tres cuartos
        ⅛: un octavo
    """),
    named="habitación|sala|asiento|puerta|andén|vía|apartamento|piso|línea|autobús|tren|vuelo|modelo|pieza"
    "|factura|pedido|caso|billete|código|número|cuenta|pasaporte|Boeing",
    foot_and_inch=("pie|pies", "pulgada|pulgadas"),
    parted="tazas?|cucharadas?|cucharaditas?|litros?|horas?|de|del",
    scales=_table("""
        k: mil|mil
        K: mil|mil
        m: millón|millones
        M: millón|millones
        B: mil millones|mil millones
        bn: mil millones|mil millones
        mil: mil|mil
        millón: millón|millones
        millones: millón|millones
        mil millones: mil millones|mil millones
    """),
    currencies={
        "€": ("euro|euros", "céntimo|céntimos"),
        "$": ("dólar|dólares", "centavo|centavos"),
        "£": ("libra|libras", "penique|peniques"),
        "¥": ("yen|yenes", ""),
    },
    of_currency={"€": "de euros", "$": "de dólares", "£": "de libras", "¥": "de yenes"},
)

LANGUAGES = {language.code: language for language in (_ENGLISH, _GERMAN, _FRENCH, _SPANISH)}


def counted(number: str, words: str) -> str:
    """The one of "kilometre|kilometres" that goes with the number."""
    one, _, many = words.partition("|")
    return one if number == "1" else many


def is_named(match: re.Match[str], language: Language, *, many: bool = False) -> bool:
    """Whether the word before the figure says that it is a name: "room", and "rooms" where `many`."""
    if not language.named:
        return False
    before = match.string[max(0, match.start() - 24) : match.start()]
    ending = r"\w{0,2}" if many else ""
    return pattern_of(rf"\b(?:{language.named}){ending}\.? #?$").search(before) is not None


@cache
def pattern_of(words: str) -> re.Pattern[str]:
    return re.compile(words, re.IGNORECASE)


def any_of(words: tuple[str, ...]) -> str:
    """A pattern for one of them, the longest that fits."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
