"""The architecture as assertions; docs/architecture.md has the reasons. Each check catches a planted fault."""

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "buildsys"
FILES = sorted(path for path in ROOT.rglob("*.py") if "__pycache__" not in path.parts)

LAYERS = (
    ("boot", "errors", "halves"),
    ("snapshot",),
    ("recording", "reverting"),
    ("model",),
    ("adapters",),
    ("kubernetes", "oci", "archive"),
    ("sdk", "store"),
    ("actions",),
    ("rules",),
    ("loading", "analysis", "execution", "query", "lock", "serve", "push", "report"),
    ("opened",),
    ("session", "incremental"),
    ("ui",),
    ("cli",),
    ("__main__",),
)
"""Low to high. A part imports parts of lower layers and itself; parts of one layer never import each other."""

RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
THIRD_PARTY = {"yaml", "jinja2", "requests", "urllib3", "packaging", "zstandard"}
ONE_LIBRARY = {"requests": {"requests", "urllib3"}}
"""urllib3 is the part of requests that streams; both are one library to us."""

EXITS = {("halves", "os._exit")}
"""A process that was forked to look at files ends without running what its parent will run at its end."""

MAX_LINES = 400
MAX_FUNCTION_LINES = 60

NULL_PATH = {"__future__", "binascii", "buildsys", "marshal", "os", "sys", "time", "typing"}
"""What the modules of a null build may import at their top; `typing` stands behind TYPE_CHECKING only."""

PURE_BUILTINS = {"open", "print", "input", "exec", "eval", "compile"}
IO_MODULES = {
    "os",
    "io",
    "pathlib",
    "shutil",
    "subprocess",
    "socket",
    "sqlite3",
    "tempfile",
    "urllib.request",
    "threading",
    "time",
}


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> list[str]:
    """Return the modules that are imported anywhere in a module, those for type checking included."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"buildsys.{a.name}" for a in node.names] if node.module == "buildsys" else [node.module]
    return found


def layer_faults(part: str, source: str) -> list[str]:
    faults = []
    for name in imports(ast.parse(source)):
        if not name.startswith("buildsys."):
            continue
        there = name.split(".")[1]
        if there not in RANK:
            faults.append(f"{name} is in no layer")
        elif there != part and RANK[there] >= RANK[part]:
            faults.append(f"{part} imports {name}")
    return faults


def library_faults(part: str, source: str) -> list[str]:
    used = {name.split(".")[0] for name in imports(ast.parse(source))} & THIRD_PARTY
    if not used:
        return []
    if part != "adapters":
        return [f"{part} imports {', '.join(sorted(used))}: only adapters may"]
    alone = len(used) == 1 or any(used <= together for together in ONE_LIBRARY.values())
    return [] if alone else [f"one adapter, one library: {', '.join(sorted(used))}"]


def size_faults(source: str) -> list[str]:
    faults = []
    if len(source.splitlines()) > MAX_LINES:
        faults.append(f"{len(source.splitlines())} lines")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.end_lineno:
            length = node.end_lineno - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                faults.append(f"{node.name} has {length} lines")
    return faults


def document_faults(source: str) -> list[str]:
    tree = ast.parse(source)
    faults = [] if ast.get_docstring(tree) else ["the module does not say what lives in it"]
    for node in tree.body:
        named = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if named and isinstance(node, ast.FunctionDef | ast.ClassDef) and not ast.get_docstring(node):
            faults.append(f"{node.name} has no docstring")
    faults += [f"line {n.lineno}: global {', '.join(n.names)}" for n in ast.walk(tree) if isinstance(n, ast.Global)]
    return faults


def model_faults(source: str) -> list[str]:
    """Find I/O in a module of values."""
    tree = ast.parse(source)
    faults = [f"imports {name}" for name in imports(tree) if {name, name.split(".")[0]} & IO_MODULES]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return faults + [
        f"line {c.lineno}: calls {ast.unparse(c.func)}" for c in calls if ast.unparse(c.func) in PURE_BUILTINS
    ]


def exit_faults(source: str) -> list[str]:
    """Find printing and exiting."""
    faults = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in {"print", "exit", "quit", "sys.exit", "os._exit", "sys.stdout.write", "sys.stderr.write"}:
                faults.append(f"line {node.lineno}: {name}")
        if isinstance(node, ast.Raise) and node.exc is not None and "SystemExit" in ast.unparse(node.exc):
            faults.append(f"line {node.lineno}: SystemExit")
    return faults


def null_path_faults(source: str) -> list[str]:
    """Find what the modules of a null build import when they are imported themselves."""
    return [
        name
        for node in ast.parse(source).body
        for name in imports(ast.Module([node], []))
        if isinstance(node, ast.Import | ast.ImportFrom) and name.split(".")[0] not in NULL_PATH
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_keeps_the_rules_of_the_house(path: Path) -> None:
    source, part = path.read_text(encoding="utf-8"), part_of(path)
    faults = size_faults(source) + document_faults(source) + library_faults(part, source)
    if part != "__init__":
        faults += layer_faults(part, source)
    if part == "model":
        faults += model_faults(source)
    if part != "cli":
        faults += [fault for fault in exit_faults(source) if (part, fault.rpartition(" ")[2]) not in EXITS]
    if path.relative_to(ROOT).as_posix() in {"boot.py", "snapshot.py", "cli/main.py", "cli/__init__.py", "__init__.py"}:
        faults += null_path_faults(source)
    assert not faults


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_grab_bags(path: Path) -> None:
    assert path.stem not in {"util", "utils", "helpers", "common", "misc", "manager", "base"}


@pytest.mark.parametrize(
    ("check", "planted", "expected"),
    [
        (lambda s: layer_faults("loading", s), "import buildsys.analysis.analyser", "loading imports"),
        (lambda s: layer_faults("model", s), "from buildsys.store import cas", "model imports"),
        (lambda s: layer_faults("rules", s), "from buildsys import session", "rules imports"),
        (lambda s: library_faults("rules", s), "import jinja2", "only adapters"),
        (lambda s: library_faults("adapters", s), "import jinja2, yaml", "one adapter"),
        (size_faults, "x = 1\n" * 401, "401 lines"),
        (size_faults, "def f():\n" + "    x = 1\n" * 60, "f has 61 lines"),
        (document_faults, "x = 1", "does not say"),
        (document_faults, '"""M."""\ndef f(): ...', "no docstring"),
        (document_faults, '"""M."""\ndef _f():\n  global x\n  x = 1', "global x"),
        (model_faults, "import os", "imports os"),
        (model_faults, "open('x')", "calls open"),
        (exit_faults, "import sys\nsys.exit(1)", "sys.exit"),
        (exit_faults, "raise SystemExit(2)", "SystemExit"),
        (null_path_faults, "import dataclasses", "dataclasses"),
    ],
)
def test_a_planted_fault_is_caught(check: object, planted: str, expected: str) -> None:
    assert callable(check)
    assert expected in " ".join(check(planted))


FORBIDDEN_AT_NULL = {
    "yaml",
    "jinja2",
    "requests",
    "argparse",
    "dataclasses",
    "inspect",
    "re",
    "json",
    "sqlite3",
    "hashlib",
}


def loaded_by(code: str) -> set[str]:
    program = f"import sys; sys.path.insert(0, {str(ROOT.parent)!r}); {code}; print(*sorted(sys.modules))"
    answer = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


def test_starting_up_imports_next_to_nothing() -> None:
    bare = loaded_by("pass")
    loaded = loaded_by("import buildsys.cli.main") - bare
    assert loaded - {"__future__", "binascii", "marshal", "time"} == {
        "buildsys",
        "buildsys.boot",
        "buildsys.cli",
        "buildsys.cli.main",
        "buildsys.snapshot",
    }


def test_a_null_build_imports_none_of_the_heavy_modules(tmp_path: Path) -> None:
    (tmp_path / "BUILD.yaml").write_text("workspace: w\npackages: context\n")
    (tmp_path / "context/a").mkdir(parents=True)
    (tmp_path / "context/a/x.j2").write_text("text\n")
    (tmp_path / "context/a/BUILD.yaml").write_text("targets:\n  - {rule: template, name: x, src: x.j2, out: x}\n")
    run = (
        f"import os; os.chdir({str(tmp_path)!r}); sys.stderr = open(os.devnull, 'w'); sys.path = sys.path\n"
        "from buildsys.cli.main import run\n"
        "import time\n"
        "assert run(['build', '//a:x']) == 0"
    )
    environment_site = "import site; site.main()\n"
    full: set[str] = set()
    for _ in range(3):
        full = _modules(run, environment_site)
    assert "yaml" not in full, "the third build is still not a null build"
    assert not (full - _modules("pass", environment_site)) & FORBIDDEN_AT_NULL


HEAVY = {
    *("yaml", "jinja2", "requests", "urllib3", "packaging"),
    *("concurrent", "logging", "tempfile", "random", "shutil", "urllib", "ipaddress", "subprocess", "email", "difflib"),
    *("textwrap", "argparse", "pathlib", "ssl", "http", "tarfile", "zipfile", "bz2", "lzma"),
}
"""What a build that has little to do has no use for: each of these takes a millisecond to import, or twenty."""

UNUSED = {
    "buildsys.loading.reading",
    "buildsys.adapters.yaml",
    "buildsys.adapters.jinja",
    "buildsys.adapters.http",
    "buildsys.kubernetes.facts",
    "buildsys.kubernetes.kubeadm",
    "buildsys.kubernetes.releases",
    "buildsys.actions.sample",
    "buildsys.actions.extract",
    "buildsys.query",
    "buildsys.report",
    "buildsys.ui.progress",
}
"""Our own modules that a build has no use for when what it loads was parsed before, and nothing runs."""


def _space(folder: Path) -> str:
    """Write a workspace of a file from elsewhere, a template, a tree, a tarball; return code that changes to it."""
    blob = b"a file from elsewhere\n" * 5000
    (folder / "blob").write_bytes(blob)
    digest = hashlib.sha256(blob).hexdigest()
    workspace = folder / "space"
    (workspace / "context/a").mkdir(parents=True)
    (workspace / "BUILD.yaml").write_text(
        'workspace: w\npackages: context\nparameters:\n  release: {type: version, default: "1.0"}\n'
    )
    (workspace / "buildsys.lock").write_text(f"file blob 1 any sha256:{digest} test\n")
    (workspace / "context/a/x.j2").write_text("text {{ word }}\n")
    (workspace / "context/a/BUILD.yaml").write_text(
        f"targets:\n"
        f'  - {{rule: http_file, name: blob, version: "1", arch: any, urls: ["file://{folder}/blob"]}}\n'
        f"  - {{rule: template, name: x, src: x.j2, out: x, vars: {{word: a}}}}\n"
        f'  - {{rule: rootfs, name: tree, layers: [":blob", ":x"]}}\n'
        f'  - {{rule: tarball, name: image, tree: ":tree"}}\n'
    )
    return (
        f"import os; os.chdir({str(workspace)!r}); sys.stderr = open(os.devnull, 'w')\n"
        "from buildsys.cli.main import run\n"
    )


def _imported(enter: str, *argv: str) -> set[str]:
    """Return what a build imports besides what Python itself does."""
    environment_site = "import site; site.main()\n"
    code = f"{enter}assert run({['build', *argv]!r}) == 0"
    return _modules(code, environment_site) - _modules("pass", environment_site)


def _tops(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_a_whole_build_that_runs_nothing_imports_no_heavy_module_and_parses_nothing(tmp_path: Path) -> None:
    enter = _space(tmp_path)
    assert _tops(_imported(enter, "//a:image")) >= {"yaml", "zstandard"}
    modules = _imported(enter, "//a:image", "--param=release=2.0")  # nothing reads it, but it is another request
    assert "buildsys.session" in modules, "this was no whole build"
    assert not _tops(modules) & HEAVY
    assert not modules & UNUSED
    edited = tmp_path / "space/context/a/BUILD.yaml"
    edited.write_text(edited.read_text() + "# a remark\n")
    modules = _imported(enter, "//a:image")
    assert "buildsys.loading.reading" in modules, "the edit was not read"
    assert _tops(modules) & HEAVY == {"yaml"}
    assert not modules & UNUSED - {"buildsys.loading.reading", "buildsys.adapters.yaml"}


def test_a_build_from_the_plan_imports_what_runs_and_nothing_that_loads_or_analyses(tmp_path: Path) -> None:
    enter = _space(tmp_path)
    for _ in range(2):
        _imported(enter, "//a:image")
    (tmp_path / "space/context/a/x.j2").write_text("another {{ word }}\n")
    modules = _imported(enter, "//a:image")
    assert "buildsys.actions.render" in modules, "the template was not rendered"
    assert not _tops(modules) & HEAVY
    parts = {name.split(".")[1] for name in modules if name.startswith("buildsys.")}
    assert not parts & {"session", "loading", "analysis", "rules", "sdk", "kubernetes", "query"} - {"loading"}
    assert {name for name in modules if name.startswith("buildsys.loading.")} == {"buildsys.loading.place"}


def _modules(code: str, before: str) -> set[str]:
    program = f"import sys\n{before}{code}\nsys.__stdout__.write(' '.join(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT.parent), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    import time

    time.sleep(0.1)  # a file that changed within the racy margin keeps a build from being a null build
    return set(answer.stdout.split())
