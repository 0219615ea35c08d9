"""Environment variables."""

from conformance.case import Section

SECTION = Section("Environment variables", [])
