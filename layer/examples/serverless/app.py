"""The function of all examples: says which Python it runs on."""

import platform


def handler(event, context):
    return {"message": f"Hello {event.get('name', 'world')}", "python": platform.python_version()}
