"""`python -m omniid` is `omniid`."""

from omniid.cli.edge import main

main()
