"""What single libraries need around a checkpoint. Each adapter does something only where its library is loaded."""

import os
import sys
import weakref

# What type checkers take for true, without the import of typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Credentials that botocore has read from the environment, wherever they are kept.
_credentials: "list[weakref.ref[Any]]" = []

# Event loops that were closed for the dump: loop, whether it is the thread's current one, the class of its selector.
_event_loops: "list[tuple[Any, bool, type]]" = []


class RefusedError(Exception):
    """There can be no checkpoint. The message says why."""


def record() -> None:
    """Begins to notice what has to be renewed."""
    sys.meta_path.insert(0, _BotocoreFinder)


def before() -> None:
    """Puts away what cannot be in a checkpoint."""
    if _BotocoreFinder in sys.meta_path:
        sys.meta_path.remove(_BotocoreFinder)
    _seed_openssl()
    _close_event_loops()
    _stop_resource_trackers()
    _stop_sentry_worker()


def after() -> None:
    """Renews it in a restored process."""
    _seed_openssl()
    _seed_numpy()
    _renew_authentication_key()
    _refill_credentials()
    _open_event_loops()


def _seed_openssl():
    """Copies of a process would get the same random numbers."""
    ssl = sys.modules.get("_ssl")
    if ssl is not None:
        ssl.RAND_add(os.urandom(32), 32.0)
        # From the pool into the generator that is asked.
        ssl.RAND_bytes(1)


def _seed_numpy():
    """The global generator. CPython's own `random` renews itself after a fork."""
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()


def _renew_authentication_key():
    """The key by which processes of `multiprocessing` know each other."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None:
        process.current_process().authkey = os.urandom(32)


class _BotocoreFinder:
    """Has `botocore.credentials` say which credentials it has read from the environment: clients keep a copy."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):  # noqa: ARG003
        if name != "botocore.credentials":
            return None
        sys.meta_path.remove(cls)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path)
            if spec is not None:
                _after_execution(spec.loader, _watch_credentials)
                return spec
        return None


def _after_execution(loader, action):
    execute = loader.exec_module

    def exec_module(module):
        del loader.exec_module
        execute(module)
        action(module)

    loader.exec_module = exec_module


def _watch_credentials(module):
    load = module.EnvProvider.load

    def load_and_note(self):
        credentials = load(self)
        if credentials is not None:
            _credentials.append(weakref.ref(credentials))
        return credentials

    module.EnvProvider.load = load_and_note


def _refill_credentials():
    environment = os.environ
    for reference in _credentials:
        credentials = reference()
        if credentials is not None and "AWS_ACCESS_KEY_ID" in environment:
            credentials.access_key = environment["AWS_ACCESS_KEY_ID"]
            credentials.secret_key = environment.get("AWS_SECRET_ACCESS_KEY")
            credentials.token = environment.get("AWS_SESSION_TOKEN")


def _close_event_loops():
    """An idle event loop has an epoll instance and a socket pair. Neither is needed before it runs again."""
    selector_events = sys.modules.get("asyncio.selector_events")
    if selector_events is None:
        return
    import asyncio
    import gc

    current = _current_event_loop()
    # By the type itself: a lazy object's `__class__` may run code.
    for loop in [o for o in gc.get_objects() if issubclass(type(o), selector_events.BaseSelectorEventLoop)]:
        if loop.is_closed():
            continue
        tasks = asyncio.all_tasks(loop)
        if loop.is_running() or tasks or len(loop._selector.get_map()) > 1:
            places = "".join(sorted({f"\n  {_place_of(task)}" for task in tasks}))
            work = f"an event loop has work to do ({len(tasks)} tasks)"
            raise RefusedError(f"{work}: start background tasks in the handler{places}")
        selector = type(loop._selector)
        loop._close_self_pipe()
        loop._selector.close()
        _event_loops.append((loop, loop is current, selector))


def _place_of(task):
    """Where a task waits: file, line and coroutine."""
    frames = task.get_stack(limit=1)
    coroutine = getattr(task.get_coro(), "__qualname__", task.get_name())
    return f"{frames[0].f_code.co_filename}:{frames[0].f_lineno}, in {coroutine}" if frames else coroutine


def _current_event_loop():
    policy = getattr(sys.modules["asyncio.events"], "_event_loop_policy", None)
    return getattr(getattr(policy, "_local", None), "_loop", None)


def _open_event_loops():
    for loop, is_current, selector in _event_loops:
        import asyncio

        loop._selector = selector()
        loop._make_self_pipe()
        if is_current:
            asyncio.set_event_loop(loop)
        if getattr(loop, "_signal_handlers", None):
            import signal

            signal.set_wakeup_fd(loop._csock.fileno())
    _event_loops.clear()


# Processes that remove what `multiprocessing` leaves in the file system: CPython's, and joblib's own.
_RESOURCE_TRACKERS = ("multiprocessing.resource_tracker", "joblib.externals.loky.backend.resource_tracker")


def _stop_resource_trackers():
    """Such a process holds a pipe to this one. It removes what it knows of, and its next user starts another."""
    for name in _RESOURCE_TRACKERS:
        tracker = getattr(sys.modules.get(name), "_resource_tracker", None)
        if tracker is not None:
            tracker._stop()


def _stop_sentry_worker():
    """The thread that sends events. The next event starts another one, which would share a queue with a reader that is gone."""
    sentry = sys.modules.get("sentry_sdk")
    if sentry is not None:
        worker = getattr(getattr(sentry.get_client(), "transport", None), "_worker", None)
        if worker is not None:
            worker.kill()


# Whose background threads start again in a forked process, by the module of what the thread runs. A hook for
# `os.register_at_fork` starts them, or the library itself when it is used and sees another process id.
_STARTS_THREADS_AGAIN = ("opentelemetry.sdk.", "sentry_sdk.monitor", "sentry_sdk.sessions")


def threads_started_again() -> list[int]:
    """The ids of the threads that their libraries start again in a forked process."""
    threading = sys.modules.get("threading")
    if threading is None:
        return []
    threads = [thread for thread in threading.enumerate() if _module_of_target(thread).startswith(_STARTS_THREADS_AGAIN)]
    return [thread.native_id for thread in threads if thread.native_id is not None]


def thread_names() -> dict[int, str]:
    """Python's names of its threads, by their ids."""
    threading = sys.modules.get("threading")
    threads = [] if threading is None else threading.enumerate()
    return {thread.native_id: thread.name for thread in threads if thread.native_id is not None}


def _module_of_target(thread):
    module = getattr(getattr(thread, "_target", None), "__module__", None)
    return module if isinstance(module, str) else ""


def services_in_use() -> list[str]:
    """The AWS services whose models the default session of boto3 has loaded."""
    session = getattr(sys.modules.get("boto3"), "DEFAULT_SESSION", None)
    if session is None:
        return []
    loaded = getattr(session._session.get_component("data_loader"), "_cache", {})
    services = {key[1] for key in loaded if isinstance(key, tuple) and len(key) > 1 and key[0] == "load_service_model"}
    return sorted(service for service in services if isinstance(service, str))


def warm_up(services: list[str]) -> None:
    """Has the default session of boto3 load the models of these services, and keep nothing of the credentials."""
    boto3 = sys.modules.get("boto3")
    if boto3 is None or not services:
        return
    region = os.environ._data.get(b"AWS_REGION") or b"us-east-1"  # type: ignore[attr-defined]
    boto3.setup_default_session()
    for service in services:
        boto3.client(service, region_name=region.decode())
    boto3.DEFAULT_SESSION._session._credentials = None
