"""Responses."""

from conformance.case import Section

SECTION = Section("Responses", [])
