"""The user's consent to read what other programs keep: asked for on a page of this machine, as OAuth would.

register  PURE: the consents that are asked for, and what became of them
redirect  PURE: where the browser may be sent afterwards
page      PURE: the pages as HTML, and the headers that protect them
door      opens the website while a consent is open, and not a minute longer than its links say something
website   the HTTP server
"""
