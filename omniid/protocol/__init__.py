"""The Omnii wire without any wire: models, the pure link, the chat mapping, backoff."""
