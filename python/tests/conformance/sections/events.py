"""Events."""

from conformance.case import Section

SECTION = Section("Events", [])
