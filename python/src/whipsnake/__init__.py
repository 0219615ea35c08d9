"""Whipsnake, a custom AWS Lambda runtime for Python."""

__version__ = "0.1.0"


def running():
    """The runtime that serves the function in this process. The bootstrap puts itself here."""
    raise RuntimeError("no function is served in this process: only the one that Lambda started does that")
