"""Starting the process."""

from conformance.case import Section

SECTION = Section("Starting the process", [])
