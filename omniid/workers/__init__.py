"""The child processes that hold native code, and what the daemon needs to run them."""
