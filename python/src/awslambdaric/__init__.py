"""The names of the managed runtime that third-party tools look for, on top of whipsnake.

Only the context is made for every function. All else is imported when somebody looks for it; from then on invocations take the
way through `bootstrap.handle_event_request`, so that what a tool has replaced there or on the client is what runs.
"""

__version__ = "4.2.2"
