from __future__ import annotations

from typing import Any

import pytest

from omniid.backend.consent import redirect

GOOD = [
    "http://127.0.0.1:8080",
    "http://127.0.0.1:1/",
    "http://localhost:65535/done?state=a%20b&c=d",
    "http://[::1]:8080/x#part",
    "HTTP://LOCALHOST:80/",
    "http://127.0.0.1:80?x=http://example.com/",
]
BAD: list[Any] = [
    None, 7, {}, ["http://127.0.0.1:80/"], "",
    "https://127.0.0.1:80/", "http://127.0.0.1/", "http://127.0.0.1:/", "http://127.0.0.1:0/",
    "http://127.0.0.1:65536/", "http://127.0.0.1:99999999/", "http://example.com:80/",
    "http://127.0.0.1.example.com:80/", "http://localhost.example.com:80/", "http://127.0.0.1:80.example.com/",
    "http://127.0.0.1:80@example.com/", "http://user@127.0.0.1:80/", "http://example.com:80@127.0.0.1:80/",
    "http://127.0.0.1:80\\@example.com/", "http://127.0.0.1:80/\r\nX: y", "http://127.0.0.1:80/\n",
    "http://127.0.0.1:80/ ", " http://127.0.0.1:80/", 'http://127.0.0.1:80/"><b>', "http://127.0.0.1:80/ü", "http://127.1:80/",
    "http://2130706433:80/", "http://0.0.0.0:80/", "http://[::]:80/", "http://[::1%25lo]:80/",
    "http://127.0.0.1:８０/", "javascript:alert(1)//127.0.0.1:80", "file:///127.0.0.1:80", "//127.0.0.1:80/",
    "http://127.0.0.1:80/" + "x" * 2_000,
]  # fmt: skip


@pytest.mark.parametrize("url", GOOD)
def test_a_program_on_this_machine_is_taken(url: str) -> None:
    assert redirect.wanted({"redirectUrl": url, "more": 1}) == url


@pytest.mark.parametrize("url", BAD)
def test_anything_else_is_ignored(url: Any) -> None:
    assert redirect.wanted({"redirectUrl": url}) is None


@pytest.mark.parametrize("metadata", [None, {}])
def test_none_is_none(metadata: dict[str, Any] | None) -> None:
    assert redirect.wanted(metadata) is None


@pytest.mark.parametrize(
    ("url", "denied"),
    [
        ("http://127.0.0.1:80", "http://127.0.0.1:80?error=access_denied"),
        ("http://127.0.0.1:80/a?b=c%26", "http://127.0.0.1:80/a?b=c%26&error=access_denied"),
        ("http://[::1]:80/a?#x", "http://[::1]:80/a?error=access_denied#x"),
    ],
)
def test_a_no_is_added_to_the_query(url: str, denied: str) -> None:
    assert redirect.denied(url) == denied
    assert redirect.wanted({"redirectUrl": denied}) == denied


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("http://127.0.0.1:80/a?b", "http://127.0.0.1:80"),
        ("http://LOCALHOST:80", "http://localhost:80"),
        ("http://[::1]:80/", "http:"),
    ],
)
def test_a_form_may_lead_there(url: str, source: str) -> None:
    assert redirect.as_form_action(url) == source
