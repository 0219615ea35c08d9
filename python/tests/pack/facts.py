"""What a function finds out about its modules: the same whether they come from files or from an archive."""

FILES = {
    "solar/__init__.py": '"""Planets."""\nfrom . import planets\n',
    "solar/planets.py": '''
        """Eight of them."""
        def count():
            return 8

        def fail():
            raise ValueError("Pluto")  # not a planet

        if __name__ == "__main__":
            planets = count()
    ''',
    "solar/moons/__init__.py": "",
    "solar/moons/io.py": "VOLCANOES = 400\n",
    "solar/moons/names.txt": "Io Europa\n",
    "galaxy/arm/orion.py": "here = True\n",  # a namespace package
    "shadowed.py": "where = 'task'\n",
    "written_in_python_2.py": "print 'hello'\n",
    "vendored/vended.py": "from galaxy.arm import orion\n",
    "vendor.pth": "vendored\n",
    "state.py": "import builtins\nbuiltins.runs = getattr(builtins, 'runs', 0) + 1\n",
    "solar-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: solar\nVersion: 1.2\n",
    "solar-1.2.dist-info/RECORD": "solar/__init__.py,,\nsolar/planets.py,,\n",
}

FACTS = {
    "attributes": """
        import solar.planets
        answer = [[m.__name__, m.__file__, getattr(m, '__cached__', None), getattr(m, '__path__', None), m.__doc__, m.__package__,
                   sorted(vars(m))] for m in (solar, solar.planets)]
    """,
    "spec": """
        import solar.planets
        answer = [[s.name, s.origin, s.has_location, s.cached, s.parent, s.submodule_search_locations, s.loader_state, sorted(vars(s))]
                  for s in (solar.__spec__, solar.planets.__spec__)]
    """,
    "found again": """
        import importlib.util, solar.planets
        found = importlib.util.find_spec('solar.planets')
        answer = [repr(type(found.loader)), found == solar.planets.__spec__, found.loader.get_code('solar.planets').co_filename]
    """,
    "loader": """
        import importlib.machinery, solar.moons
        loader = solar.__loader__
        answer = [repr(type(loader)), type(loader) is importlib.machinery.SourceFileLoader, vars(loader), loader.is_package('solar'),
                  loader.get_filename('solar'), loader.get_source('solar'), loader.get_data(solar.__file__).decode(),
                  loader.get_code('solar').co_names, loader.path_stats(solar.__file__)['size'], hash(loader) != 0,
                  loader == importlib.machinery.SourceFileLoader('solar', solar.__file__)]
    """,
    "in one expression": """
        import importlib.util, pkgutil, sys
        root = sys.modules['app'].__file__.removesuffix('/app.py')
        sys.path_importer_cache.pop(root)
        answer = [importlib.util.find_spec('shadowed').loader.get_code('shadowed').co_filename,
                  [hook(root).find_spec('galaxy').submodule_search_locations for hook in sys.path_hooks if not isinstance(hook, type)][0]]
    """,
    "another name for a loader": """
        import importlib.util
        try:
            importlib.util.find_spec('shadowed').loader.get_code('sunlit')
        except ImportError as error:
            answer = str(error)
    """,
    "source": """
        import inspect, linecache, solar.planets
        answer = [inspect.getsource(solar.planets.count), inspect.getsourcefile(solar), inspect.getmodule(solar.planets.count).__name__,
                  linecache.getline(solar.planets.__file__, 3), solar.planets.count.__code__.co_filename,
                  list(solar.planets.fail.__code__.co_positions())[:3]]
    """,
    "traceback": """
        import traceback, solar.planets
        try:
            solar.planets.fail()
        except ValueError as error:
            answer = ''.join(traceback.format_exception(error))
    """,
    "a syntax error": """
        import traceback
        try:
            import written_in_python_2
        except SyntaxError as error:
            answer = [traceback.format_exception(error), error.filename]
    """,
    "resources": """
        import importlib.resources, pkgutil, solar.moons
        folder = importlib.resources.files('solar.moons')
        with importlib.resources.as_file(folder / 'names.txt') as path:
            answer = [(folder / 'names.txt').read_text(), sorted(entry.name for entry in folder.iterdir() if entry.name != '__pycache__'),
                      str(path), pkgutil.get_data('solar.moons', 'names.txt').decode(), repr(folder)]
    """,
    "iterating": """
        import pkgutil, solar
        root = solar.__file__.rpartition('/solar/')[0]
        answer = [[m.name for m in pkgutil.iter_modules([root])], [m.name for m in pkgutil.walk_packages(solar.__path__, 'solar.')],
                  [repr(m.module_finder) for m in pkgutil.iter_modules(solar.__path__)], repr(pkgutil.get_importer(root)),
                  repr(type(pkgutil.get_importer(root)))]
    """,
    "running": """
        import runpy, sys, warnings
        warnings.simplefilter('ignore')
        answer = [runpy.run_module('solar.planets', run_name='__main__')['planets'],
                  runpy.run_path(sys.modules['app'].__file__.replace('app.py', 'solar/planets.py'), run_name='__main__')['planets']]
    """,
    "reloading": """
        import builtins, importlib, state, sys
        before = builtins.runs
        importlib.reload(state)
        del sys.modules['state']
        import state as again
        answer = [builtins.runs - before, again is state, vars(again.__loader__)]
    """,
    "metadata": """
        import importlib.metadata
        distribution = importlib.metadata.distribution('solar')
        answer = [distribution.version, [str(file) for file in distribution.files], importlib.metadata.packages_distributions()['solar']]
    """,
    "namespace package": """
        import galaxy.arm.orion, importlib.resources
        answer = [list(galaxy.__path__), galaxy.__file__, repr(type(galaxy.__spec__.loader)), galaxy.arm.orion.here,
                  str(importlib.resources.files('galaxy.arm'))]
    """,
    "namespace package in two places": """
        import sys, tempfile, pathlib
        folder = pathlib.Path(tempfile.mkdtemp())
        (folder / 'galaxy/arm').mkdir(parents=True)
        (folder / 'galaxy/arm/sagittarius.py').write_text('here = False')
        sys.path.append(str(folder))
        import galaxy.arm.orion, galaxy.arm.sagittarius
        sys.path.remove(str(folder))
        answer = [len(galaxy.__path__), galaxy.arm.orion.here, galaxy.arm.sagittarius.here]
    """,
    "vendored by a .pth file": """
        import vended, sys
        answer = [vended.__file__, [entry for entry in sys.path if entry.endswith('vendored')]]
    """,
    "through a parent": """
        import os, sys, solar
        folder = os.path.join(os.path.dirname(solar.__file__), '..', 'vendored')
        sys.path.insert(0, folder)
        sys.modules.pop('vended', None)
        import vended
        sys.path.remove(folder)
        answer = [vended.__file__, vended.__spec__.origin]
    """,
    "extension module": """
        import importlib, pathlib, native
        [path] = pathlib.Path(native.__path__[0]).glob('*.so')
        module = importlib.import_module('native.' + path.name.partition('.')[0])
        answer = [module.__file__, repr(type(module.__loader__))]
    """,
    "zip file": """
        import sys, zipfile, tempfile
        path = tempfile.mkdtemp() + '/lib.zip'
        with zipfile.ZipFile(path, 'w') as file:
            file.writestr('zipped.py', 'here = True')
        sys.path.insert(0, path)
        import zipped
        sys.path.remove(path)
        answer = [zipped.here, type(zipped.__loader__).__name__]
    """,
    "earlier on sys.path": """
        import sys, tempfile, pathlib, importlib
        folder = tempfile.mkdtemp()
        pathlib.Path(folder, 'shadowed.py').write_text('where = "elsewhere"')
        sys.path.insert(0, folder)
        import shadowed
        first = shadowed.where
        sys.path.remove(folder)
        sys.path.append(folder)
        del sys.modules['shadowed']
        import shadowed
        sys.path.remove(folder)
        answer = [first, shadowed.where]
    """,
    "a finder of the function's": """
        import sys, importlib.util
        class Finder:
            asked = []
            def find_spec(self, name, path=None, target=None):
                self.asked.append(name)
                if name == 'shadowed':
                    return importlib.util.spec_from_loader(name, Loader())
        class Loader:
            def create_module(self, spec): return None
            def exec_module(self, module): module.where = 'made up'
        sys.meta_path.insert(0, Finder())
        sys.modules.pop('shadowed', None)
        sys.modules.pop('solar.moons.io', None)
        import shadowed, solar.moons.io
        where = shadowed.where
        del sys.meta_path[0], sys.modules['shadowed']
        answer = [where, Finder.asked[-2:]]
    """,
    "a hook of the function's": """
        import importlib.machinery as machinery, sys
        class Loader(machinery.SourceFileLoader):
            def source_to_code(self, data, path, **options):
                return super().source_to_code(data + b'\\nhooked = True', path, **options)
        sys.path_hooks.insert(0, machinery.FileFinder.path_hook((Loader, ['.py'])))
        sys.path_importer_cache.clear()
        sys.modules.pop('shadowed', None)
        import shadowed
        hooked = shadowed.hooked
        del sys.path_hooks[0], sys.modules['shadowed']
        sys.path_importer_cache.clear()
        import shadowed
        answer = [hooked, hasattr(shadowed, 'hooked')]
    """,
    "lazily": """
        import importlib.util, sys
        spec = importlib.util.find_spec('solar.moons.io')
        loader = spec.loader = importlib.util.LazyLoader(spec.loader)
        module = sys.modules['solar.moons.io'] = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        answer = [module.VOLCANOES, module.__file__]
    """,
    "what is not there": """
        import importlib.util
        answer = [importlib.util.find_spec(name) for name in ('solar.pluto', 'pluto', 'names')]
        try:
            import solar.planets.pluto
        except ImportError as error:
            answer.append(str(error))
    """,
    "made at run time": """
        import importlib, os, pathlib, solar
        folder = pathlib.Path(solar.__path__[0])
        try:
            import solar.vulcan
        except ImportError:
            (folder / 'vulcan.py').write_text('orbits = 19')
            importlib.invalidate_caches()
            import solar.vulcan
            os.remove(folder / 'vulcan.py')
        answer = solar.vulcan.orbits
    """,
    "copies": """
        import copy, pickle, solar.planets
        answer = [copy.deepcopy(solar.planets.__spec__) == solar.planets.__spec__, pickle.loads(pickle.dumps(solar.planets.count))(),
                  pickle.loads(pickle.dumps(solar.planets.__loader__)) == solar.planets.__loader__]
    """,
    "in a child": """
        import multiprocessing, os, subprocess, sys, solar
        root = solar.__file__.rpartition('/solar/')[0]
        reader, writer = multiprocessing.Pipe()
        process = multiprocessing.get_context('fork').Process(target=lambda: writer.send(__import__('solar.moons.io').__file__))
        process.start()
        process.join()
        said = subprocess.run([sys.executable, '-c', 'import solar; print(solar.__file__)'], cwd=root, capture_output=True, text=True)
        answer = [reader.recv(), said.stdout]
    """,
}

HANDLER = """
import textwrap

def handler(fact, context):
    known = {"__name__": "app"}
    exec(textwrap.dedent(fact), known)
    return known["answer"]
"""
