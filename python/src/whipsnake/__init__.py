"""Whipsnake, a custom AWS Lambda runtime for Python."""

__version__ = "0.1.0"
