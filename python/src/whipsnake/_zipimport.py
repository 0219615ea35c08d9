"""What CPython imports under the name `zipimport` when it starts, frozen by the bootstrap.

The real one is for archives on `sys.path`, which next to no function has, and one twenty-fifth of a start. It takes this one's
place when somebody looks into the module, or when there may be an archive to read.
"""


def _stand_in() -> type:
    import sys
    from _frozen_importlib_external import _path_split, _path_stat  # type: ignore[attr-defined]

    plain_module = type(sys)
    module = sys.modules[__name__]

    class Importer:
        """In `sys.path_hooks`: refuses what is no archive, as the real one does."""

        def __new__(cls, path: object) -> "Importer":
            if may_be_in_an_archive(path):
                return module.zipimporter(path)  # type: ignore[no-any-return]
            raise ImportError(f"not a Zip file: {path!r}", path=path)  # type: ignore[arg-type]

        @staticmethod
        def wait() -> None:
            """CPython has what it wants; from now on everybody else gets the real one."""
            del Importer.wait
            plain_module.__setattr__(module, "__class__", StandIn)

    def may_be_in_an_archive(path: object) -> bool:
        if path.__class__ is not str or not path:
            # The real one has words for it.
            return True
        while True:
            try:
                return _path_stat(path).st_mode & 0o170000 == 0o100000  # type: ignore[no-any-return]
            except (OSError, ValueError):
                parent, _ = _path_split(path)
                if parent == path:
                    return False
                path = parent

    class StandIn(plain_module):  # type: ignore[misc, valid-type]
        """The module, until somebody looks into it."""

        def __getattribute__(self, name: str) -> object:
            # As `_deferred` has them, whose import has to wait as well.
            if name not in {"__class__", "__file__", "__loader__", "__name__", "__package__", "__path__", "__spec__"}:
                become_the_real_one()
            return plain_module.__getattribute__(self, name)

        def __setattr__(self, name: str, value: object) -> None:
            become_the_real_one()
            plain_module.__setattr__(self, name, value)

    def become_the_real_one() -> None:
        from whipsnake import _deferred

        with _deferred.lock:
            if module.__class__ is not StandIn:
                return
            plain_module.__setattr__(module, "__class__", _deferred.DeferredModule)
            real = module.zipimporter
            sys.path_hooks[:] = [real if hook is Importer else hook for hook in sys.path_hooks]  # type: ignore[comparison-overlap, misc]

    Importer.__name__ = Importer.__qualname__ = "zipimporter"
    return Importer


zipimporter = _stand_in()
del _stand_in
