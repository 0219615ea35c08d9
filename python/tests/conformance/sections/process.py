"""Process, threads, signals."""

from conformance.case import Section

SECTION = Section("Process, threads, signals", [])
