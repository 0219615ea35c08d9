"""The context object."""

from conformance.case import Section

SECTION = Section("The context object", [])
