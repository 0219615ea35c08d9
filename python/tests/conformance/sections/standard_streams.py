"""Standard output and standard error."""

from conformance.case import Section

SECTION = Section("Standard output and standard error", [])
