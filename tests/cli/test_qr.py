from __future__ import annotations

import re

import numpy as np
import pytest
import zxingcpp

from omniid.cli.qr import draw

URLS = [
    "https://a.example/",
    "http://127.0.0.1:41234/signed-in/0193b0c4?state=abc-_DEF",
    "https://accounts.example/auth?"
    + "&".join(f"scope{n}=https%3A%2F%2Fapi.example%2F{n}" for n in range(9)),
]
_LINE = re.compile("\x1b\\[38;5;16;48;5;231m([ ▀▄█]+)\x1b\\[0m")


def seen(drawn: str) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """What a camera sees of it in a terminal whose cells are 4 by 8 dots: ink is black, the rest white."""
    rows = []
    for line in drawn.split("\n"):
        found = _LINE.fullmatch(line)
        assert found, repr(line)
        rows.append([cell in "▀█" for cell in found[1]])
        rows.append([cell in "▄█" for cell in found[1]])
    dark = np.kron(np.array(rows), np.ones((4, 4), dtype=bool))
    return np.where(dark, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("url", URLS)
def test_a_phone_reads_the_address(url: str) -> None:
    drawn = draw(url, 200)
    assert drawn is not None
    # On black, as in a dark terminal: the code brings its own margin of white.
    assert [code.text for code in zxingcpp.read_barcodes(np.pad(seen(drawn), 40))] == [url]


def test_it_is_drawn_where_it_fits_and_not_where_it_does_not() -> None:
    drawn = draw(URLS[0], 200)
    assert drawn is not None
    columns = seen(drawn).shape[1] // 4
    assert draw(URLS[0], columns) == drawn
    assert draw(URLS[0], columns - 1) is None


def test_an_address_that_no_code_can_hold_is_not_drawn() -> None:
    assert draw("https://a.example/" + "x" * 4_000, 10_000) is None


def test_the_margin_is_four_light_modules_on_each_side() -> None:
    drawn = draw(URLS[0], 200)
    assert drawn is not None
    image = seen(drawn)
    rows, columns = np.nonzero(image == 0)
    assert (rows.min(), columns.min()) == (16, 16)
    assert columns.max() == image.shape[1] - 17
    assert rows.max() <= image.shape[0] - 17
