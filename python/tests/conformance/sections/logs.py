"""Logging."""

from conformance.case import Section

SECTION = Section("Logging", [])
