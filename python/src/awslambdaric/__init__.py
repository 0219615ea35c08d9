"""The names of the managed runtime that third-party tools look for, on top of whipsnake."""

__version__ = "4.2.2"
