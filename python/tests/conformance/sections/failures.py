"""Exceptions."""

from conformance.case import Section

SECTION = Section("Exceptions", [])
