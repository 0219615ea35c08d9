"""Logging to a descriptor."""

from conformance.case import Section

SECTION = Section("Logging to a descriptor", [])
