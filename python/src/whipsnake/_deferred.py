"""Modules whose code runs when somebody first looks into them, and not when they are imported."""

import sys
from _thread import RLock

# What type checkers take for true, without the import of types and typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.abc import Loader
    from types import ModuleType as Module
else:
    Module = type(sys)

# What the import system has set before a module's code runs, and reads again whenever somebody imports the module.
_SET_BY_IMPORT = frozenset({"__class__", "__file__", "__loader__", "__name__", "__package__", "__path__", "__spec__"})

# One for all: to be used for modules that import nothing which looks into a deferred module while it is imported itself.
lock = RLock()


def defer(loader: "Loader") -> None:
    """Has `loader`, which is one module's own, put off the execution of its code."""
    loader.exec_module = _put_off  # type: ignore[method-assign]


def _put_off(module: Module) -> None:
    del module.__loader__.exec_module  # type: ignore[union-attr]
    module.__class__ = DeferredModule


class DeferredModule(Module):
    """Executes its code at the first look at what that makes. It is a plain module from then on."""

    def __getattribute__(self, name: str) -> object:
        if name not in _SET_BY_IMPORT:
            _execute(self)
        return Module.__getattribute__(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        _execute(self)
        Module.__setattr__(self, name, value)


class _ExecutingModule(Module):
    """Keeps all but the executing thread waiting."""

    def __getattribute__(self, name: str) -> object:
        with lock:
            return Module.__getattribute__(self, name)


def _execute(module: Module) -> None:
    with lock:
        if type(module) is not DeferredModule:
            return
        Module.__setattr__(module, "__class__", _ExecutingModule)
        try:
            module.__loader__.exec_module(module)  # type: ignore[union-attr]
        except BaseException:
            module.__class__ = DeferredModule
            raise
        module.__class__ = Module  # type: ignore[assignment]
