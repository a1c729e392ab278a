"""`python -m omniid` is `omniid`."""

from omniid.cli import main

main()
