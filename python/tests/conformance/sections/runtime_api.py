"""The Runtime API."""

from conformance.case import Section

SECTION = Section("The Runtime API", [])
