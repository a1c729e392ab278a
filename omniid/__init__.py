"""omniid: hold a key, speak, let go, and hear the reply."""

__version__ = "0.1.0"
