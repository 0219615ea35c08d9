"""Importing the function."""

from conformance.case import Section

SECTION = Section("Importing the function", [])
