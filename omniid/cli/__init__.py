"""The command line: `omniid`, one file a verb. A verb imports what it needs when it runs, to start fast."""
