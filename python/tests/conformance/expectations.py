"""What several cases look for in a view, where no value says it."""


def no_failures(calls: list[str]) -> bool:
    """Every invocation was answered, none with an error."""
    return any(call.endswith("/response") for call in calls) and not any(call.endswith("/error") for call in calls)
