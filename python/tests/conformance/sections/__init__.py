"""The behaviours, in the order of Lambda's lifecycle."""

from conformance.case import Section
from conformance.sections import (
    context,
    environment,
    events,
    failed_imports,
    failures,
    handlers,
    log_frames,
    logs,
    names,
    process,
    responses,
    runtime_api,
    snapshots,
    standard_streams,
    start,
)

SECTIONS: list[Section] = [
    start.SECTION,
    handlers.SECTION,
    failed_imports.SECTION,
    events.SECTION,
    context.SECTION,
    responses.SECTION,
    failures.SECTION,
    standard_streams.SECTION,
    logs.SECTION,
    log_frames.SECTION,
    environment.SECTION,
    runtime_api.SECTION,
    process.SECTION,
    names.SECTION,
    snapshots.SECTION,
]
