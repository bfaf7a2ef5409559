"""Imports point one way, wing by wing, and every third-party package has one home."""

import ast
import functools
import importlib
import inspect
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("engine", "strategies", "agent")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# Which wings each wing may use; every list is those below it, so there are no circles.
WINGS = {
    "agent.words": (),
    "agent.home": (),
    "agent.machine": ("agent.words",),
    "agent.ledger": ("agent.words",),
    "agent.trial": ("agent.words", "agent.home", "agent.machine", "agent.ledger"),
    "agent.trial.cluster": ("agent.words", "agent.home", "agent.machine", "agent.ledger",
                            "agent.trial"),
    "agent.search": ("agent.words", "agent.home", "agent.machine", "agent.ledger", "agent.trial"),
    "agent.analysis": ("agent.words", "agent.ledger", "agent.search", "agent.analysis.scaling"),
    "agent.analysis.scaling": ("agent.words", "agent.ledger", "agent.search"),
    "agent.night": ("agent.words", "agent.home", "agent.machine", "agent.ledger", "agent.trial",
                    "agent.search", "agent.analysis", "agent.analysis.scaling"),
    "agent.show": ("agent.words", "agent.home", "agent.machine", "agent.ledger", "agent.trial",
                   "agent.search", "agent.analysis", "agent.analysis.scaling"),
    "agent.show.page": ("agent.words", "agent.ledger", "agent.analysis",
                        "agent.analysis.scaling"),
    "agent.serve": ("agent.words", "agent.home", "agent.machine", "agent.ledger", "agent.analysis",
                    "agent.show", "agent.show.page"),
    "agent.doctor": ("agent.words", "agent.home", "agent.machine", "agent.ledger", "agent.search"),
    "agent.simulate": ("agent.words", "agent.ledger", "agent.trial", "agent.search"),
    "agent.cli": ("agent.words", "agent.home", "agent.machine", "agent.ledger", "agent.trial",
                  "agent.trial.cluster", "agent.search", "agent.night", "agent.analysis",
                  "agent.analysis.scaling", "agent.show", "agent.show.page", "agent.serve",
                  "agent.doctor", "agent.simulate"),
    "engine.native": (),
    "engine.model": ("engine.native",),
    "engine.text": ("engine.text.stories",),
    "engine.text.stories": (),
    "engine.training": ("engine.model", "engine.native"),
    "engine.sampling": ("engine.model",),
    "engine.proof": ("engine.model", "engine.native", "engine.training"),
    "engine.alignment": ("engine.model", "engine.native", "engine.training", "engine.sampling",
                         "engine.text"),
    "engine.export": ("engine.model", "engine.text"),
    "engine.trace": ("engine.model", "engine.native", "engine.training"),
    "engine.door": ("engine.model", "engine.native", "engine.text", "engine.training",
                    "engine.sampling"),
    "engine.bench": ("engine.model", "engine.native", "engine.text", "engine.text.stories",
                     "engine.training", "engine.sampling"),
}
# What stands beside the wings: the floor they share, and the doors of the packages.
FLOOR = {"engine.config", "engine.errors", "engine.files", "engine.blocks", "engine.fields"}
DOORS = {"agent/__init__.py", "agent/__main__.py", "engine/__init__.py"}

# Third-party package → the modules that may import it; a star stands for any letters.
HOMES = {
    "click": ("agent/cli/*.py",),
    "sqlite_utils": ("agent/ledger/*.py",),
    "rich": ("agent/show/*.py", "agent/cli/*.py"),
    "psutil": ("agent/machine/guard.py",),
    "apscheduler": ("agent/night/daemon.py",),
    "dask": ("agent/trial/cluster/*.py",),
    "distributed": ("agent/trial/cluster/*.py",),
    # Optional, and of Python itself from 3.14 on.
    "pyarrow": ("engine/text/parquet.py",),
    "zstandard": ("engine/text/unpack.py",),
    "compression": ("engine/text/unpack.py",),
}
NETWORK = {"urllib", "http", "socket", "ssl", "ftplib"}
# The agent speaks to others here alone: to a browser of this machine, and to who asked for a word.
WIRED = {"agent/serve/server.py", "agent/night/messenger.py"}
CLOCKS = {"time", "datetime", "calendar", "zoneinfo", "sched"}
PICKLES = {"pickle", "cPickle", "shelve", "marshal", "dill"}
# strategies/ are pure: history comes in as values, randomness as a Generator.
IMPURE = CLOCKS | NETWORK | PICKLES | {"os", "pathlib", "random", "secrets", "io", "sqlite3",
                                       "subprocess", "shutil", "tempfile"}
# The one strategy that computes with arrays: a model of 200 results is too slow in plain Python.
ARRAYS = {"strategies/tpe.py"}
# What strategies are held to hands them their Generators, as the agent does.
REFEREE = "strategies/testing.py"
ENVIRONMENT = {"environ", "environb", "getenv", "putenv", "unsetenv"}
STREAMS = {"sys.stdout", "sys.stderr", "sys.argv", "sys.stdin"}
PROCESSES = {"subprocess", "multiprocessing", "threading", "concurrent", "signal", "mmap", "socket",
             "traceback", "argparse"}
# What some modules of the engine may do that the others may not. The benchmark is a program:
# it times, reads its arguments and the environment, starts a peer and prints. A workspace asks the
# system for memory. Kernels are compiled by children, and tried by one that prints. A team forks,
# ends on signals, talks through sockets, and prints the traceback of a replica that cannot raise
# it.
EXEMPT = {
    "engine/bench/__main__.py": {"os.environ", "argparse", "subprocess", "sys.stdout",
                                 "sys.stderr", "sys.argv"},
    "engine/bench/clock.py": {"time", "os.environ", "subprocess"},
    "engine/model/workspace.py": {"mmap"},
    "engine/native/build.py": {"subprocess", "signal"},
    "engine/native/choice.py": {"os.environ"},
    "engine/proof/kernels.py": {"sys.stdout"},
    "engine/training/parallel.py": {"socket", "signal", "mmap", "traceback", "sys.stdout",
                                    "sys.stderr"},
}


def modules_of(*packages):
    """Makes one test of what is claimed of every module; it fails with the name of the first that
    breaks it. A test each would be two thousand, which take longer to count than to check.
    """
    paths = [path for path in MODULES if path.relative_to(ROOT).parts[0] in packages]

    def of_all(claim):
        def test():
            for path in paths:
                try:
                    claim(path)
                except AssertionError as error:
                    error.add_note(f"in {path.relative_to(ROOT).as_posix()}")
                    raise

        test.__doc__ = claim.__doc__
        return test

    return of_all


every_module = modules_of(*PACKAGES)


@functools.cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@functools.cache
def nodes(path):
    return tuple(ast.walk(tree(path)))


@functools.cache
def imports(path):
    """Dotted names of all modules that a file imports, wherever in it."""
    names = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import; write it out"
            names.add(node.module)
            if node.module in PACKAGES:  # from engine import layers: a module, not a name
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
                names -= {node.module}
    return names


def tops(path):
    """Packages that a file imports: the part before the first dot."""
    return {name.partition(".")[0] for name in imports(path)}


def third_party(path):
    return tops(path) - set(sys.stdlib_module_names) - set(PACKAGES)


def exempt(path):
    return EXEMPT.get(path.relative_to(ROOT).as_posix(), set())


def called(path):
    """Names of functions that a file calls without a dot."""
    return {node.func.id for node in nodes(path)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}


def attributes(path):
    """`os.environ` and the like: what a file takes from modules by name."""
    return {f"{node.value.id}.{node.attr}" for node in nodes(path)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)}


def is_home(path, homes):
    return any(fnmatch(path.relative_to(ROOT).as_posix(), home) for home in homes)


def test_there_are_modules_to_look_at():
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(PACKAGES)


# --- who may import whom ---------------------------------------------------------------------


def wing_of(path):
    """The wing a file belongs to; None for the floor and the doors."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return next((".".join(parts[:n]) for n in (3, 2) if ".".join(parts[:n]) in WINGS), None)


def used_wings(path):
    """(wing, dotted module, imported names) of each import from another wing."""
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom):
            for name in node.names:  # from agent import words: a wing, not a name
                full = f"{node.module}.{name.name}"
                if full in WINGS:
                    yield full, full, ()
            parts = node.module.split(".")
            wing = next((".".join(parts[:n]) for n in (3, 2) if ".".join(parts[:n]) in WINGS), None)
            if wing and wing != wing_of(path):
                yield wing, node.module, tuple(name.name for name in node.names)


def test_every_folder_is_a_wing_and_every_file_lies_in_one():
    files = {path.relative_to(ROOT).as_posix() for path in MODULES
             if path.relative_to(ROOT).parts[0] != "strategies" and wing_of(path) is None}
    assert files == DOORS | {name.replace(".", "/") + ".py" for name in FLOOR}


@modules_of("agent", "engine")
def test_a_wing_uses_those_below_it_and_no_others(path):
    wing = wing_of(path)
    package = path.relative_to(ROOT).parts[0]  # of the engine the agent may use all
    used = {other for other, *_ in used_wings(path) if other.startswith(f"{package}.")}
    if wing:
        assert used <= set(WINGS[wing]), path
    elif path.relative_to(ROOT).as_posix() not in DOORS:
        assert used == set(), path


@modules_of("agent", "engine")
def test_a_wing_is_entered_by_its_door(path):
    """From outside only what __init__ exports is taken, and nothing out of a module behind it."""
    for wing, module, names in used_wings(path):
        if path.relative_to(ROOT).as_posix() not in DOORS:
            assert module == wing, path
            assert set(names) <= set(importlib.import_module(wing).__all__), path


@pytest.mark.parametrize("wing", sorted(set(WINGS) | {"engine"}))
def test_what_a_door_offers_is_what_the_type_checker_is_told(wing):
    package = importlib.import_module(wing)
    path = Path(package.__file__)
    told = {(line.module, name.name) for node in nodes(path)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for line in node.body for name in line.names}
    loaded = {name: getattr(package, name) for name in getattr(package, "__all__", ())}
    names = {name for name, value in loaded.items() if not inspect.ismodule(value)}
    assert {name for _, name in told} == names
    assert all(getattr(sys.modules[module], name) is loaded[name] for module, name in told)


@pytest.mark.parametrize("wing", sorted(WINGS))
def test_a_wing_says_what_comes_in_and_what_goes_out(wing):
    said = importlib.import_module(wing).__doc__
    assert "In come" in said
    assert "out come" in said or wing == "agent.simulate"


@modules_of("engine")
def test_the_engine_imports_the_standard_library_numpy_and_itself(path):
    optional = {name for name in third_party(path) & HOMES.keys() if is_home(path, HOMES[name])}
    assert third_party(path) - optional <= {"numpy"}
    assert not tops(path) & {"agent", "strategies"}


@modules_of("strategies")
def test_strategies_see_config_errors_and_each_other(path):
    own = {name for name in imports(path) if name.partition(".")[0] in PACKAGES}
    assert {name for name in own if not name.startswith("strategies.")} <= {
        "engine.config", "engine.errors"}
    assert third_party(path) <= {"numpy"}


@modules_of("engine", "strategies")
def test_nothing_below_imports_the_agent(path):
    assert "agent" not in tops(path)


@modules_of("agent")
def test_every_third_party_package_has_one_home(path):
    strays = third_party(path) - {"numpy"}
    assert strays <= HOMES.keys()
    assert [name for name in sorted(strays) if not is_home(path, HOMES[name])] == []


# --- what the lower layers leave alone -------------------------------------------------------


@modules_of("engine", "strategies")
def test_the_lower_layers_never_print_or_ask(path):
    assert not called(path) & {"print", "input", "breakpoint"}
    assert attributes(path) & STREAMS <= exempt(path)


@modules_of("engine", "strategies")
def test_the_lower_layers_read_no_clock_and_no_environment(path):
    assert tops(path) & CLOCKS <= exempt(path)
    assert attributes(path) & {f"os.{name}" for name in ENVIRONMENT} <= exempt(path)
    assert not {alias.name for node in nodes(path) if isinstance(node, ast.ImportFrom)
                and node.module == "os" for alias in node.names} & ENVIRONMENT


@modules_of("engine")
def test_only_the_corpus_goes_to_the_network(path):
    assert tops(path) & NETWORK <= exempt(path) or path.parent.name == "text"


@modules_of("agent")
def test_only_the_page_and_the_messenger_go_to_the_network(path):
    assert not tops(path) & NETWORK or path.relative_to(ROOT).as_posix() in WIRED


@modules_of("engine", "strategies")
def test_only_a_team_and_the_benchmark_deal_with_processes(path):
    assert tops(path) & PROCESSES <= exempt(path)
    assert "os.fork" not in attributes(path) or path.name == "parallel.py"


def test_every_exemption_is_made_use_of():
    assert {name: used for name, used in EXEMPT.items()
            if used - tops(ROOT / name) - attributes(ROOT / name)} == {}


def test_a_team_opens_no_connection():
    made = {ast.unparse(node.func) for node in ast.walk(tree(ROOT / "engine/training/parallel.py"))
            if isinstance(node, ast.Call)}
    assert {name for name in made if name.startswith("socket.")} == {"socket.socketpair"}


@modules_of("engine")
def test_the_engine_knows_no_database_and_no_global_randomness(path):
    assert not tops(path) & {"sqlite3", "dbm", "random", "secrets"}
    assert not {node.attr for node in nodes(path) if isinstance(node, ast.Attribute)
                and ast.unparse(node.value) == "np.random"} - {"default_rng", "Generator"}


@modules_of("strategies")
def test_strategies_are_pure(path):
    assert not tops(path) & IMPURE
    assert not called(path) & {"open"}
    assert path.relative_to(ROOT).as_posix() in ARRAYS or not {
        name for name in attributes(path) if name.startswith("np.")} - {"np.random", "np.ndarray"}


@modules_of("strategies")
def test_strategies_make_no_randomness_of_their_own(path):
    assert not {name for name in attributes(path) if name == "np.random"}
    assert "default_rng" not in called(path) or path.relative_to(ROOT).as_posix() == REFEREE


@every_module
def test_nothing_is_pickled(path):
    assert not tops(path) & PICKLES
    assert "allow_pickle=True" not in path.read_text(encoding="utf-8")


# --- state and size --------------------------------------------------------------------------


@every_module
def test_modules_keep_no_state_besides_constants(path):
    """A module-level name that starts empty is there to be filled."""
    empty = {"None", "[]", "{}", "set()", "list()", "dict()", "deque()"}
    values = [node.value for node in tree(path).body
              if isinstance(node, ast.Assign | ast.AnnAssign)]
    assert not {ast.unparse(value) for value in values if value} & empty
    assert not [node for node in nodes(path) if isinstance(node, ast.Global)]


@every_module
def test_files_and_functions_stay_short_enough_to_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    long = [f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
            for node in nodes(path)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.end_lineno - node.lineno + 1 > 60]
    assert long == []
