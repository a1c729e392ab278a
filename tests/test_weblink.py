from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from omniid.weblink import MAX_CHARACTERS, MAX_SHOWN, Link, judge

OPENED = [
    ("https://accounts.example/o/auth?state=1", "https://accounts.example/o/auth?state=1"),
    ("HTTPS://Accounts.EXAMPLE/O?S=A#F", "https://accounts.example/O?S=A#F"),
    ("https://a.example:8443/x", "https://a.example:8443/x"),
    ("https://a.example:00443", "https://a.example:443"),
    ("https://a.example:/x", "https://a.example/x"),
    ("https://192.0.2.7/x", "https://192.0.2.7/x"),
    ("https://[2001:DB8:0::1]:8443/x", "https://[2001:db8::1]:8443/x"),
    ("https://my_host.example/", "https://my_host.example/"),
    ("http://127.0.0.1:8000/x", "http://127.0.0.1:8000/x"),
    ("http://127.8.9.1/x", "http://127.8.9.1/x"),
    ("http://[::1]:8000/x", "http://[::1]:8000/x"),
    ("http://localhost:8000/x", "http://localhost:8000/x"),
    ("https://a.example//b@c/?u=http://x@y", "https://a.example//b@c/?u=http://x@y"),
    ("https://a.example/\"<b>`{c}|^?'q", "https://a.example/%22%3Cb%3E%60%7Bc%7D%7C%5E?'q"),
    ("https://a.example/%zz%2f", "https://a.example/%zz%2f"),
    ("https://müller.example/ü?ä=ö", "https://xn--mller-kva.example/%C3%BC?%C3%A4=%C3%B6"),
    ("https://good。example/", "https://good.example/"),
    ("https://ＧＯＯＤ.example/", "https://good.example/"),
]
NOT_OPENED = [
    # No page at all, or one that is not encrypted.
    "javascript:alert(1)",
    "JavaScript://a.example/%0aalert(1)",
    "file:///etc/passwd",
    "ftp://a.example/",
    "data:text/html,x",
    "//a.example/",
    "a.example",
    "--version",
    "http://a.example/",
    "http://127.0.0.1.evil.example/",
    "http://localhost.evil.example/",
    "http://128.0.0.1/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::]/",
    "http://0.0.0.0/",
    # No site, or one behind another.
    "https:",
    "https://",
    "HTTPS://",
    "https:///evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https://?q",
    "https://good@evil.example",
    "https://good:secret@evil.example",
    "https://@evil.example",
    "https://evil%2f@good.example",
    "https:/\\evil.example",
    "https://good.example\\@evil.example",
    "https://a.example/\\evil.example",
    # No name or number of a site.
    "https://evil%2f.example",
    "https://ev%69l.example",
    "https://evil／good.example/",
    "https://evil＠good.example/",
    "https://a..example/",
    "https://.example/",
    "https://a.example./",
    "https://-a.example/",
    "https://a!b.example/",
    "https://xn--a/",
    "https://xn--/",
    f"https://{'a' * 64}.example/",
    f"https://{'a.' * 127}example/",
    "http://0x7f.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0177.0.0.1/",
    "http://127.0.0.１２７.1/",
    "https://1.2.3.4.5/",
    "https://256.1.1.1/",
    "https://[::1/",
    "https://[::1]x/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[v1.a]/",
    "https://[127.0.0.1]/",
    # No port.
    "https://a.example:0/",
    "https://a.example:65536/",
    "https://a.example:99999999999999999999/",
    "https://a.example:-1/",
    "https://a.example:+1/",
    "https://a.example:８０/",
    "https://a.example:80:80/",
    # What cannot be seen, or steers.
    " https://a.example/",
    "https://a.example/ ",
    "https://exa\nmple/",
    "https://exa\tmple/",
    "https://a.example/\0",
    "https://a.example/\x1b[2J",
    "https://a.example/\x7f",
    "https://a.example/\x9b",
    "https://a.example/\u202egpj",
    "https://a.example/\u2066x",
    "https://a.example/\u200b",
    "https://a.example/\u00a0",
    "https://a.example/\u2028",
    "https://a.example/\ufeff",
    "https://a.example/\ud800",
    "https://a.example/" + "a" * MAX_CHARACTERS,
    "https://a.example/" + "ü" * (MAX_CHARACTERS // 2),
]


@pytest.mark.parametrize(("url", "opened"), OPENED)
def test_a_page_that_may_be_opened_is(url: str, opened: str) -> None:
    link = judge(url)
    assert (link.url, link.problem) == (opened, None)
    assert link.shown is not None
    assert link.shown.removesuffix(" (a name in another script)") == opened


@pytest.mark.parametrize("url", NOT_OPENED)
def test_anything_else_is_not_and_the_sentence_says_why(url: str) -> None:
    link = judge(url)
    assert link.url is None
    assert link.shown
    assert link.problem is not None
    assert link.problem.startswith(f"omniid does not open {link.shown}, since ")
    assert link.problem.endswith(".")
    assert_harmless(link)


@pytest.mark.parametrize("url", ["https://good@evil.example", "https://evil%2f@good.example/"])
def test_a_site_that_hides_behind_a_name_is_called_that(url: str) -> None:
    assert "another site can hide" in str(judge(url).problem)


@pytest.mark.parametrize("url", [None, "", "  ", "\n"])
def test_no_address_is_told_apart(url: str | None) -> None:
    assert judge(url) == Link(None, None, "", "The assistant gave no address to sign in at.")


def assert_harmless(link: Link) -> None:
    for text in (link.shown, link.problem):
        assert text is None or re.fullmatch("[ -~…]+", text)
    assert link.shown is None or len(link.shown) <= MAX_SHOWN
    assert re.fullmatch("[ -~]*", link.account)
    if link.url is not None:
        assert link.problem is None
        assert re.fullmatch(r"https?://[a-z0-9_.\-\[\]:]+([/?#][!-~]*)?", link.url)
        assert not set('"<>\\^`{|} ') & set(link.url)


WORDS = (
    "https http HTTP : / // \\ @ % %2f [ ] ::1 127.0.0.1 0x7f localhost xn-- xn--mller-kva example . ? # "
    "& $HOME :443 https://a.example/ 。 ／ ٣ ß İ １ ℀"
)
PIECES = st.lists(
    st.one_of(
        st.sampled_from([*WORDS.split(), "\n", " ", "\0", "\u200d", "\u202e", "\ud800"]), st.text(max_size=5)
    ),
    max_size=12,
).map("".join)


@given(st.one_of(PIECES, PIECES.map("https://".__add__), st.text()))
@example("https://" + "ü" * 253)
@example("https://[" + ":" * 4_000)
def test_no_text_breaks_it_and_nothing_it_shows_steers_a_terminal(url: str) -> None:
    link = judge(url)
    assert (link.url is None) == (link.problem is not None)
    assert_harmless(link)


@given(PIECES)
def test_what_it_opens_it_opens_unchanged(rest: str) -> None:
    opened = judge("https://a.example/" + rest).url
    assert opened is None or judge(opened).url == opened


def test_only_the_account_of_two_addresses_has_to_be_the_same() -> None:
    account = judge("https://Accounts.example/o/auth?state=1&nonce=2").account
    assert account == "https://accounts.example:443/o/auth"
    for same in ("HTTPS://accounts.example:443/o/auth#x", "https://accounts.EXAMPLE/o/auth?state=9"):
        assert judge(same).account == account
    assert judge("https://a.example").account == judge("https://a.example/?x").account
    assert judge("https://a.example/%c3").account == judge("https://a.example/%C3").account
    for other in (
        "https://accounts.example/O/auth",
        "https://accounts.example:444/o/auth",
        "https://b.example",
    ):
        assert judge(other).account != account


def test_one_page_may_sign_in_to_several_accounts() -> None:
    def account(query: str) -> str:
        return judge(f"https://accounts.example/auth?{query}").account

    assert account("client_id=a&scope=mail&state=1") == account("state=2&scope=mail&client_id=a")
    assert len({account("scope=mail"), account("scope=calendar"), account("client_id=a"), account("")}) == 4
    assert account("scope=mail#x") == account("scope=mail")


def test_what_is_not_opened_has_an_account_too() -> None:
    for first, second in (
        ("http://a.example/x?state=1", "http://A.example/x?state=2"),
        ("https://u@a.example/x?state=1", "https://u@a.example/x?state=2"),
    ):
        assert judge(first).account == judge(second).account != ""


def test_a_name_in_another_script_is_shown_as_what_it_is() -> None:
    link = judge("https://аpple.example/")
    assert link.shown == "https://xn--pple-43d.example/ (a name in another script)"
    assert judge("https://xn--pple-43d.example/").shown == link.shown


@pytest.mark.parametrize("name", ["a.example", ".".join(["a" * 60] * 4), "ü" * 40 + ".example"])
def test_a_long_address_is_shown_with_its_whole_host_and_its_end(name: str) -> None:
    link = judge(f"https://{name}:44300/{'x' * 1_000}END")
    assert link.url is not None
    assert link.shown is not None
    assert link.shown.startswith(link.url.partition("/x")[0])
    assert "…" in link.shown
    assert "END" in link.shown
    assert_harmless(link)


def test_the_longest_is_opened_and_one_more_is_not() -> None:
    longest = "https://a.example/".ljust(MAX_CHARACTERS, "x")
    assert judge(longest).url == longest
    assert judge(longest + "x").url is None


@pytest.mark.skipif(shutil.which("node") is None, reason="not installed: node (Debian: nodejs)")
def test_a_browser_reads_the_same_site() -> None:
    opened = [url for _, url in OPENED]
    script = "console.log(JSON.stringify(JSON.parse(process.argv[1]).map(u => new URL(u).hostname)))"
    done = subprocess.run(
        ["node", "-e", script, json.dumps(opened)], capture_output=True, timeout=60, check=True
    )
    ours = [re.sub(r":\d*$", "", url.partition("://")[2].partition("/")[0]) for url in opened]
    assert json.loads(done.stdout) == ours
