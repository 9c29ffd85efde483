"""The same code hashes the same under every Python: really run under all that are installed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import targets_py

PACKAGE = Path(targets_py.__file__).parent
PROGRAM = r"""
import ast, collections, datetime, decimal, enum, fractions, functools, json, pathlib, re, sys, uuid

from targets_py.hashing.code import Code
from targets_py.hashing.tree import canonical
from targets_py.hashing.digest import digest

found = {}
for path in sys.argv[2:]:
    tree = ast.parse(pathlib.Path(path).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            found[f"{path}:{node.lineno}:{node.col_offset}"] = digest(canonical(node))

script = pathlib.Path(sys.argv[1])
text = script.read_text(encoding="utf-8")
module = type(sys)("_targets")
module.__file__ = str(script)
sys.modules["_targets"] = module
exec(compile(text, str(script), "exec"), vars(module))
code = Code(vars(module), script.parent, sources={str(script): text})
for name, value in sorted(vars(module).items()):
    if not name.startswith("__"):
        found[name] = code.global_hash(name)
    if callable(value):
        names = code.dependencies(value)
        found[f"command {name}"] = [code.command_hash(value), code.references(value), sorted(names.globals)]

values = [
    1, 2**80, "text", b"bytes", 1.5, float("nan"), {"a", "b"}, frozenset({1, "x"}), {"k": [1, {"j": (2,)}]},
    range(5), slice(1, 2), Ellipsis, bytearray(b"x"), complex(1, 2), list[int], int | None,
    collections.OrderedDict(a=1), collections.Counter("aab"), collections.defaultdict(list, a=[1]),
    collections.deque([1], 3), decimal.Decimal("1.5"), fractions.Fraction(1, 3), uuid.UUID(int=7),
    datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.timezone.utc), datetime.timedelta(1, 2),
    pathlib.PurePosixPath("a/b"), re.compile("a+", re.I), functools.partial(int, base=2),
    enum.Flag("F", "A B").A, len, str.upper, collections.OrderedDict, json.dumps,
]
found["values"] = [code.value_hash(value) for value in values]
print(json.dumps(found))
"""
SCRIPT = r'''
import dataclasses, enum, functools, json, math, os.path
from pathlib import Path
from collections import namedtuple

K, L = 3, {"a": [1, 2]}
Row = namedtuple("Row", "a b")

class Kind(enum.Enum):
    A = "a"
    B = "b"

@dataclasses.dataclass(frozen=True)
class Point:
    """A point."""
    x: int
    y: "float" = math.pi

    @property
    def norm(self) -> float:
        return math.hypot(self.x, self.y)

    def __add__(self, other: "Point") -> "Point":
        return Point(self.x + other.x, self.y)

class Base:
    registry: dict = {}
    def __init_subclass__(cls, **kw): super().__init_subclass__(**kw)

class Child(Base): pass

def formats(x, w, p):
    return f"{x:{w}}", f"{x!r:>{w}.{p}}", f"{x=}", f"{x:%Y-%m}{'a'}" "b", f"{{}}{x:{w}d}", f"{x if x else w}"

def comprehensions(rows):
    pairs = {k: v for k, v in L.items()}
    return [r for r in rows if any(q for q in r)], pairs, {r for r in rows}, (K for _ in rows)

def control(x, *args, key=None, **kw):
    global G
    with open(x) as f, open(x) as g:
        pass
    try:
        while x:
            x -= 1
            if x == 2: continue
            break
        else:
            del args
    except (ValueError, TypeError) as error:
        raise RuntimeError("x") from error
    finally:
        print(os.path.join("a", "b"), json.dumps(kw), Path("a"))
    return (y := x) if key is None else [*args, y][1:2:-1]

def match(value):
    match value:
        case Point(x=0) | None: return 1
        case [1, *rest] if rest: return rest
        case {"k": 1.5, **more}: return more
        case Kind.A | -1: return "é \u2028 \U0001FAE8"
        case str() as text: return text
        case _: return 0x_ff, 1_000j, b"\x00", ..., 1e400

async def waits(things):
    async with things as t:
        async for each in t:
            yield await each, [i async for i in t]

def decorated(n):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*a, **k): return function(*a, **k) * n
        return wrapper
    return decorate

@decorated(2)
def twice(x: int) -> int: return x + K

@functools.lru_cache(maxsize=None)
def cached(x): return twice(x)

def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)
def nested(a):
    from helpers import inside
    class Inner:
        b = a
        def m(self): return self.b, inside
    return lambda c: Inner().m(), (lambda: a)

one, two, three, four = lambda x: x + 1, lambda x: x + 2, lambda: 5, lambda: -6
closure = nested(1)
half = functools.partial(pow, exp=0.5)
method = Point(1).__add__
table = {"even": even, "kind": Kind.B, "row": Row(1, 2), "point": Point(1)}
'''


def interpreters():
    """Version -> interpreter, each minor version once, this one first."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [sys.executable]
    for minor in range(11, 20):
        candidates += filter(None, [shutil.which(f"python3.{minor}")])
        candidates += sorted(map(str, pyenv.glob(f"3.{minor}.*/bin/python")))
    found = {}
    for candidate in candidates:
        asked = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            check=False,
            capture_output=True,
            text=True,
        )
        if asked.returncode == 0:
            found.setdefault(asked.stdout.strip(), candidate)
    return found


@pytest.fixture
def isolated(tmp_path):
    """A folder with the hashing part alone; its own xxhash, as other interpreters may lack that package."""
    library = tmp_path / "library"
    (library / "targets_py").mkdir(parents=True)
    (library / "targets_py" / "__init__.py").touch()
    shutil.copy(PACKAGE / "errors.py", library / "targets_py")
    shutil.copytree(
        PACKAGE / "hashing", library / "targets_py" / "hashing", ignore=shutil.ignore_patterns("__pycache__")
    )
    (library / "xxhash.py").write_text(
        "import hashlib\n"
        "def xxh3_128(data=b''): return hashlib.blake2b(bytes(data), digest_size=16)\n"
        "def xxh3_128_hexdigest(data): return xxh3_128(data).hexdigest()\n"
    )
    return library


def test_hashes_are_the_same_under_every_python_and_every_seed(isolated, tmp_path):
    pythons = interpreters()
    project = tmp_path / "project"
    project.mkdir()
    (project / "_targets.py").write_text(SCRIPT, encoding="utf-8")
    (project / "helpers.py").write_text("def inside(): return [i for i in range(3)]\n")
    (project / "program.py").write_text(PROGRAM)
    corpus = [project / "_targets.py", *sorted(PACKAGE.rglob("*.py"))]
    results = {}
    for version, python in pythons.items():
        for seed in ("0", "7"):
            run = subprocess.run(
                [python, "program.py", str(project / "_targets.py"), *map(str, corpus)],
                cwd=project,
                env={
                    **os.environ,
                    "PYTHONPATH": str(isolated),
                    "PYTHONHASHSEED": seed,
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                capture_output=True,
                text=True,
                check=False,
            )
            assert run.returncode == 0, run.stderr
            results[version, seed] = json.loads(run.stdout)
    first = next(iter(results.values()))
    assert len(first) > 500
    for run, result in results.items():
        assert {key: value for key, value in result.items() if value != first[key]} == {}, run
        assert result.keys() == first.keys()
    if len(pythons) == 1:
        pytest.skip(f"only Python {next(iter(pythons))} is installed")
