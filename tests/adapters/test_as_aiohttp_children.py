"""plait in aiohttp's place in the Pythons that a program starts.

Each program runs under ``python -m plait.as_aiohttp`` or under pytest with the plugin, and starts
another Python.  aiohttp itself is installed here, so a child without plait would not fail but
tell another ``ClientSession``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from plait.as_aiohttp.children import FOLDER

_ROOT = Path(__file__).parents[2]
_PATHS = [str(_ROOT / folder) for folder in ("engine", "adapters")]


def run(
    *arguments: str, paths: list[str] = _PATHS, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "error"}
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def output(*arguments: str, folder: Path | None = None) -> str:
    """Run a program under aiohttp's name and return what it and its children wrote."""
    result = run(*arguments, folder=folder)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


_SHOW = "import aiohttp; print(aiohttp.ClientSession.get.__code__.co_filename)"
_OURS = str(_ROOT / "adapters" / "plait" / "client.py")


def program(folder: Path, text: str) -> str:
    path = folder / "program.py"
    path.write_text(textwrap.dedent(text))
    return str(path)


def starting(*arguments: str) -> str:
    """Return a program that starts Python with ``arguments``."""
    return f"import subprocess, sys\nsubprocess.run([sys.executable, *{arguments}], check=True)\n"


# -- who has plait -------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("-P",)])
def test_a_child(tmp_path: Path, options: tuple[str, ...]) -> None:
    path = program(tmp_path, starting(*options, "-c", _SHOW))
    assert output(*options, "-m", "plait.as_aiohttp", path).strip() == _OURS


def test_a_child_of_a_child(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(starting("-c", _SHOW))
    path = program(tmp_path, starting(str(tmp_path / "child.py")))
    assert output("-m", "plait.as_aiohttp", path).strip() == _OURS


@pytest.mark.parametrize("name", ["aiohttp.web", "aiohttp.client"])
def test_a_child_that_imports_a_module_first(tmp_path: Path, name: str) -> None:
    child = f"import {name}, sys, plait; assert sys.modules[{name!r}].__name__[:6] == 'plait.'"
    path = program(tmp_path, starting("-c", f"{child}; {_SHOW}"))
    assert output("-m", "plait.as_aiohttp", path).strip() == _OURS


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_process_of_multiprocessing(tmp_path: Path, method: str) -> None:
    path = program(
        tmp_path,
        f"""
        import multiprocessing
        import aiohttp

        def show():
            print(aiohttp.ClientSession.get.__code__.co_filename)

        if __name__ == "__main__":
            process = multiprocessing.get_context({method!r}).Process(target=show)
            process.start()
            process.join()
            assert process.exitcode == 0
        """,
    )
    assert output("-m", "plait.as_aiohttp", path).strip() == _OURS


@pytest.mark.parametrize(
    "command",
    [("-m", "plait.as_aiohttp", "pytest"), ("-m", "pytest", "-p", "plait.as_aiohttp.pytest")],
)
def test_the_child_of_a_test(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "test_child.py").write_text(
        "import subprocess, sys\n"
        f"def test_it():\n    shown = subprocess.check_output([sys.executable, '-c', {_SHOW!r}])\n"
        f"    assert shown.decode().strip() == {_OURS!r}\n"
    )
    result = run(*command, "-q", "-p", "no:cacheprovider", "test_child.py", folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout


# -- who has not ---------------------------------------------------------------------------


def test_a_child_that_ignores_the_environment(tmp_path: Path) -> None:
    path = program(tmp_path, starting("-I", "-c", _SHOW))
    assert "site-packages" in output("-m", "plait.as_aiohttp", path)


def test_a_python_without_plait_has_the_aiohttp_that_is_installed(tmp_path: Path) -> None:
    real = tmp_path / "installed" / "aiohttp"
    real.mkdir(parents=True)
    (real / "__init__.py").write_text(
        "import sys\nassert sys.modules[__name__].__file__ == __file__\n"
    )
    (real / "web.py").write_text("print('the real one')\n")
    result = run("-S", "-c", "import aiohttp.web", paths=[FOLDER, str(real.parent)])
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "the real one\n")


def test_a_python_that_is_too_old_has_the_aiohttp_that_is_installed(tmp_path: Path) -> None:
    for name, text in {"aiohttp": "print('the real one')\n", "plait": "syntax of later\n"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
    old = "import sys; sys.version_info = (3, 10, 0); import aiohttp"
    result = run("-S", "-c", old, paths=[FOLDER, str(tmp_path)])
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "the real one\n")


def test_a_python_with_neither_says_so() -> None:
    result = run("-S", "-c", "import aiohttp", paths=[FOLDER])
    assert result.returncode == 1
    assert result.stderr.endswith("ModuleNotFoundError: No module named 'aiohttp'\n")
    assert "plait" not in result.stderr.splitlines()[-1]


# -- what it changes -----------------------------------------------------------------------

_PATH = "import os, sys; print(os.environ['PYTHONPATH'].split(os.pathsep)); print(sys.path)"


def test_the_folder_stands_before_the_others(tmp_path: Path) -> None:
    environment, path = output("-m", "plait.as_aiohttp", program(tmp_path, _PATH)).splitlines()
    assert environment == str([FOLDER, *_PATHS])
    assert path.startswith(str([str(tmp_path), FOLDER, *_PATHS])[:-1])


def test_the_folder_is_there_once(tmp_path: Path) -> None:
    child = ("-m", "plait.as_aiohttp", program(tmp_path, _PATH))
    (tmp_path / "parent.py").write_text(starting(*child))
    environment, path = output("-m", "plait.as_aiohttp", str(tmp_path / "parent.py")).splitlines()
    assert (environment.count(FOLDER), path.count(FOLDER)) == (1, 1)


def test_an_environment_without_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """No empty entry, which would be the current folder."""
    from plait.as_aiohttp.children import carry_into_children

    monkeypatch.setattr(sys, "path", [*sys.path])
    for paths in ("", None):
        if paths is None:
            monkeypatch.delenv("PYTHONPATH")
        else:
            monkeypatch.setenv("PYTHONPATH", paths)
        carry_into_children()
        assert os.environ["PYTHONPATH"] == FOLDER


def test_nothing_is_carried_unless_it_is_asked_for() -> None:
    """``plait.install_as_aiohttp()`` changes its own process alone."""
    result = run("-c", f"import plait; plait.install_as_aiohttp(); {_PATH}")
    assert FOLDER not in result.stdout
    assert result.returncode == 0
