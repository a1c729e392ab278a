"""The pages: small, without scripts, and without anything from elsewhere. Pure."""

from __future__ import annotations

import base64
import hashlib
import html
import unicodedata
from dataclasses import dataclass

from omniid.backend.consent import redirect
from omniid.backend.consent.register import OPEN_S, Asked, State

_CSS = """
:root{color-scheme:light dark;--ground:#f3f4f8;--card:#fff;--ink:#1b1e28;--soft:#5b6070;--line:#dfe1ea;
--accent:#3d4fd6;--on-accent:#fff;--well:#f6f7fb}
@media (prefers-color-scheme:dark){:root{--ground:#111319;--card:#1b1e27;--ink:#eceef5;--soft:#a3a9ba;
--line:#323644;--accent:#a5b1ff;--on-accent:#12173d;--well:#14161d}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--ground);
color:var(--ink);font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{width:100%;max-width:31rem;padding:2.25rem;background:var(--card);border:1px solid var(--line);
border-radius:1.125rem;box-shadow:0 1px 2px rgb(0 0 0/.04),0 14px 40px rgb(0 0 0/.07)}
svg{display:block;width:3rem;height:3rem;margin-bottom:1.25rem;color:var(--accent)}
h1{margin:0 0 .75rem;font-size:1.4rem;line-height:1.25;letter-spacing:-.01em;text-wrap:balance}
p{margin:0 0 1rem;text-wrap:pretty}
h2{margin:1.5rem 0 .5rem;font-size:.875rem;font-weight:600;color:var(--soft)}
ul{margin:0;padding:0;list-style:none}
.folders{border:1px solid var(--line);border-radius:.625rem;background:var(--well);overflow:hidden}
.folders li{padding:.55rem .875rem;font:.875rem/1.5 ui-monospace,"DejaVu Sans Mono",monospace;
overflow-wrap:anywhere}
.folders li+li{border-top:1px solid var(--line)}
.facts li{position:relative;padding-left:1.5rem;margin-bottom:.375rem}
.facts li::before{content:"";position:absolute;left:.2rem;top:.42em;width:.34rem;height:.64rem;
border:solid var(--accent);border-width:0 2px 2px 0;transform:rotate(42deg)}
form{display:flex;gap:.75rem;margin:1.75rem 0 0}
button{flex:1;padding:.75rem 1rem;border:1px solid var(--line);border-radius:.625rem;font:inherit;
font-weight:600;color:var(--ink);background:var(--card);cursor:pointer}
button:hover{border-color:var(--soft)}
button.yes{border-color:var(--accent);background:var(--accent);color:var(--on-accent)}
button.yes:hover{filter:brightness(1.08)}
button:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.small{margin:1.25rem 0 0;font-size:.875rem;color:var(--soft)}
main>:last-child{margin-bottom:0}
"""
_STYLE = base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()
_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{css}</style>
</head>
<body>
<main>
{icon}
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
_ICON = (
    '<svg viewBox="0 0 48 48" fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round" '
    'stroke-linejoin="round" aria-hidden="true">{lines}</svg>'
)
_CALENDAR = '<rect x="5" y="9" width="38" height="34" rx="7"/><path d="M5 19h38M15 4v9M33 4v9"/>'
_ICONS = {
    "ask": f'{_CALENDAR}<path d="M14 27h4M22 27h4M30 27h4M14 35h4M22 35h4"/>',
    "yes": f'{_CALENDAR}<path d="m17 31 5 5 10-10"/>',
    "no": f'{_CALENDAR}<path d="m19 26 10 10M29 26 19 36"/>',
    "plain": '<circle cx="24" cy="24" r="19"/><path d="M24 22v11M24 15v.01"/>',
}
_CONSENT = """<p>You asked for something that is on your calendar. To answer, <strong>omniid</strong>, the
assistant on this computer, has to read files of your calendar programs.</p>
<h2>It will read the calendars in</h2>
<ul class="folders">{folders}</ul>
<h2>You should know</h2>
<ul class="facts">
<li>{reach}</li>
<li>It reads when you ask, and changes nothing.</li>
<li>Say “forget my calendar” to take this back.</li>
</ul>
<form method="post"><input type="hidden" name="form" value="{form_token}">
<button name="choice" value="deny">Deny</button>
<button class="yes" name="choice" value="allow">Allow</button></form>
<p class="small">This page works once, within {minutes:.0f} minutes of your question.</p>"""
_STAYS = "What it reads stays on this computer."
_GOES = "Its answers also go to the programs on other machines that you let talk to it."
_AGAIN = "If you still want it, ask omniid again and take the new link."
_CLOSE = "<p>You can close this page.</p>"


@dataclass(frozen=True, slots=True)
class Page:
    """`form_action` is where a form on it may lead."""

    status: int
    body: str
    form_action: str = "'none'"

    def headers(self) -> dict[str, str]:
        policy = (
            f"default-src 'none'; style-src 'sha256-{_STYLE}'; form-action {self.form_action}; "
            "base-uri 'none'; frame-ancestors 'none'"
        )
        return {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": policy,
            "Referrer-Policy": "no-referrer",
            "X-Frame-Options": "DENY",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }


def consent(asked: Asked, *, reaches_others: bool) -> Page:
    """The question. `reaches_others` where programs on other machines may hear the answers."""
    body = _CONSENT.format(
        folders="".join(f"<li>{_shown(folder)}</li>" for folder in asked.ask.folders),
        reach=_GOES if reaches_others else _STAYS,
        form_token=html.escape(asked.form_token),
        minutes=OPEN_S / 60,
    )
    target = asked.ask.redirect
    form_action = f"'self' {redirect.as_form_action(target)}" if target else "'self'"
    return Page(200, _framed("May omniid read your calendar?", body, "ask"), form_action)


def allowed() -> Page:
    words = "<p>omniid may read your calendar from now on.</p>"
    return Page(200, _framed("Thank you", f"{words}{_CLOSE}", "yes"))


def denied() -> Page:
    words = "<p>omniid does not read your calendar. Ask it again if you change your mind.</p>"
    return Page(200, _framed("Nothing will be read", f"{words}{_CLOSE}", "no"))


def gone(state: State | None) -> Page:
    """A link that cannot be used: used already, expired or unknown."""
    status, title, words = {
        State.USED: (410, "This link was used already", "Each link works once."),
        State.EXPIRED: (410, "This link has expired", f"It worked for {OPEN_S / 60:.0f} minutes."),
    }.get(state or State.OPEN, (404, "This link is unknown", "There is no question behind it."))
    return plain(status, title, f"{words} {_AGAIN}")


def plain(status: int, title: str, words: str) -> Page:
    return Page(status, _framed(title, f"<p>{html.escape(words)}</p>", "plain"))


def _framed(title: str, body: str, icon: str) -> str:
    return _FRAME.format(title=html.escape(title), css=_CSS, icon=_ICON.format(lines=_ICONS[icon]), body=body)


def _shown(text: str) -> str:
    """A folder's name as it is, but for what would hide or turn round its letters."""
    plain = "".join("\N{REPLACEMENT CHARACTER}" if _hidden(char) else char for char in text)
    return html.escape(plain).replace("/", "/<wbr>")


def _hidden(char: str) -> bool:
    return unicodedata.category(char).startswith("C")
