"""An address as a QR code in the terminal, for the phone that signs in where no browser could be opened."""

from __future__ import annotations

_QUIET = 4  # modules of light on each side, as readers want it
# Black on white whatever the terminal's colours: the fixed ones of 256, which no palette changes.
_INK = "\x1b[38;5;16;48;5;231m"
_PLAIN = "\x1b[0m"
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def draw(url: str, width: int) -> str | None:
    """The code in lines of half blocks, two of its rows in each; None where it is wider than `width`."""
    import segno  # noqa: PLC0415 light verbs do without it

    try:
        code = segno.make_qr(url, error="l", boost_error=True)
    except segno.DataOverflowError:
        return None
    rows = [[bool(module) for module in row] for row in code.matrix_iter(border=_QUIET)]
    across = len(rows[0])
    if across > width:
        return None
    if len(rows) % 2:
        rows.append([False] * across)
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join(_INK + "".join(map(_half, upper, lower)) + _PLAIN for upper, lower in pairs)


def _half(upper: bool, lower: bool) -> str:
    return _HALVES[upper, lower]
