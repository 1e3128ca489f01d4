"""Each fact of the project stands in one place; where it must be repeated, the places agree."""

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.project import (
    ROOT,
    chapters,
    colab_link,
    first_cell,
    pyproject,
    tracked_files,
    version,
)
from tests.support.project import address as repository
from tests.tools import address, environment

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def toc_files(node) -> list[str]:
    """Return every file that a part of _toc.yml names, the root too."""
    if isinstance(node, list):
        return [file for item in node for file in toc_files(item)]
    if isinstance(node, dict):
        own = [node[key] for key in ("root", "file") if key in node]
        return own + [file for value in node.values() for file in toc_files(value)]
    return []


TOC = toc_files(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))


def text_of(path: Path) -> str:
    """Return the text of a file, or "" if it is binary."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def constraints(path: Path = ROOT / "constraints.txt") -> dict[str, list[Requirement]]:
    """Return the pins of a constraints file by package name."""
    pins = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            requirement = Requirement(line)
            pins.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return pins


def own_requirements() -> list[Requirement]:
    """Return what pyproject.toml asks for, extras included and the package itself left out."""
    project = pyproject()["project"]
    lines = project["dependencies"] + sum(project["optional-dependencies"].values(), [])
    return [r for r in map(Requirement, lines) if r.name != project["name"]]


# The address


def test_the_configuration_and_the_citation_hold_the_address():
    assert CONFIG["repository"]["url"] == repository()
    assert CITATION["repository-code"] == repository()


def test_no_file_holds_another_address_of_this_project():
    name = repository().rsplit("/", 1)[1]
    pattern = re.compile(rf"github(?:\.com)?[/:]([\w.-]+/{re.escape(name)})(?![\w-])")
    slug = repository().removeprefix("https://github.com/")
    for path in tracked_files():
        for found in pattern.findall(text_of(path)):
            assert found.removesuffix(".git") == slug, path


def test_one_edit_and_make_address_move_the_repository(tmp_path):
    copies = []
    for path in tracked_files():
        if text_of(path) and path.stat().st_size < 5_000_000:
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            copies.append(copy)
    old, new = repository(), "https://github.com/somebody.else/another-course"
    project = tmp_path / "pyproject.toml"
    project.write_text(project.read_text().replace(old, new))

    changed = address.rewrite(tmp_path, copies)

    slug = old.removeprefix("https://github.com/")
    assert tmp_path / "_config.yml" in changed and tmp_path / "CITATION.cff" in changed
    mentions = re.compile(rf"github(\.com)?[/:]{re.escape(slug)}")
    assert not [path for path in copies if mentions.search(text_of(path))]
    for path in chapters(tmp_path):
        assert colab_link(f"notebooks/{path.name}", new) in path.read_text()
        install = first_cell(new, path.name).splitlines()[-1]
        assert install.replace('"', '\\"') in path.read_text()
    assert address.rewrite(tmp_path, copies) == []


def test_an_address_that_colab_cannot_open_is_refused(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[project.urls]\nRepository = "https://example.org/course"\n'
    )
    with pytest.raises(ValueError, match="example.org"):
        address.rewrite(tmp_path, [])


# Versions


def test_the_version_is_the_same_everywhere():
    assert Version(version())
    assert str(CITATION["version"]) == version()


def test_the_supported_pythons_agree():
    (low, high), project = environment.SUPPORTED, pyproject()["project"]
    assert project["requires-python"] == ">={}.{}".format(*low)
    listed = [c.rsplit(" ", 1)[1] for c in project["classifiers"] if re.search(r":: 3\.", c)]
    assert listed == [f"3.{minor}" for minor in range(low[1], high[1] + 1)]
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    pythons = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert (pythons[0], pythons[-1]) == ("{}.{}".format(*low), "{}.{}".format(*high))


def satisfies(pins: list[Requirement], requirement: Requirement) -> bool:
    """Whether each of the pins is one version, and one that the requirement allows."""
    versions = [specifier for pin in pins for specifier in pin.specifier]
    assert len(versions) == len(pins) and all(v.operator == "==" for v in versions), pins
    return all(requirement.specifier.contains(v.version, prereleases=True) for v in versions)


def test_pyproject_pins_nothing_and_the_pins_satisfy_it():
    """Colab's versions too, where it has the package: pip has nothing to replace there."""
    colab = constraints(ROOT / "tests" / "tools" / "colab-constraints.txt")
    for requirement in own_requirements():
        name = canonicalize_name(requirement.name)
        assert not {s.operator for s in requirement.specifier} & {"==", "==="}, requirement
        assert satisfies(constraints()[name], requirement), requirement
    for requirement in map(Requirement, pyproject()["project"]["dependencies"]):
        assert satisfies(colab.get(canonicalize_name(requirement.name), []), requirement)


def test_the_constraints_name_no_source():
    """Only names, versions and markers: no host, no path, no option of pip."""
    for path in (ROOT / "constraints.txt", *(ROOT / "tests" / "tools").glob("*-constraints.txt")):
        for line in path.read_text().splitlines():
            assert re.fullmatch(r"#[^/]*|[\w.-]+==[\w.!+]+( ; [^/@]+)?", line), (path.name, line)
            assert "+" not in line.split(";")[0], line


# The table of contents


def test_the_table_of_contents_lists_every_chapter_exercise_and_page_once():
    names = [path.stem for path in chapters()]
    notebooks = [f"{folder}/{n}" for folder in ("notebooks", "notebooks/exercises") for n in names]
    assert names and [file for file in TOC if file.startswith("notebooks/")] == notebooks
    pages = [p.relative_to(ROOT).with_suffix("") for p in (ROOT / "book").rglob("*.md")]
    listed = [file for file in TOC if file.startswith("book/")]
    assert sorted(listed) == sorted(page.as_posix() for page in pages)


# Files


def test_no_file_is_large_or_names_a_folder_of_one_machine():
    # Put together here, so that this file does not hold what it looks for.
    folders = "|".join(("work", "root", "tmp/work", "opt/pypi", "opt/wheels"))
    pattern = re.compile(rf"(?<![\w.$}}/-])/(?:{folders})/\w|/(?:home|Users)/(?!someone)\w+/\w")
    for path in tracked_files():
        if path.name == "test_notebooks.py" or "mathjax" in path.parts:
            continue
        assert not pattern.search(text_of(path)), path
        assert path.stat().st_size < 4_000_000, path


def test_the_wheel_of_a_fresh_clone_holds_the_whole_package(tmp_path):
    clone, wheels = tmp_path / "a clone", tmp_path / "wheels"
    source = subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], capture_output=True)
    if source.returncode:
        pytest.skip("this copy of the project is no git repository")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", str(wheels), str(clone)], check=True)
    (wheel,) = wheels.glob("cbam_course-*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    listing = ["git", "ls-files", "-z", "cbam_course"]
    tracked = subprocess.run(listing, cwd=clone, capture_output=True, text=True, check=True)
    assert packed == set(tracked.stdout.split("\0")) - {""}
    assert f"-{version(clone)}-" in wheel.name


def test_the_package_itself_loads_nothing_heavy():
    code = "import sys, cbam_course; print('torch' in sys.modules, cbam_course.__version__)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", version()]


# The set-up


def test_other_pythons_are_refused_by_name():
    for python in ((2, 7), (3, 10), (3, 14), (4, 0)):
        assert "Python {}.{}".format(*python) in environment.version_problem(python)
    assert not any(environment.version_problem((3, minor)) for minor in (11, 12, 13))


@pytest.fixture
def installs(monkeypatch, tmp_path):
    """What makes an environment, pip ending in `code` without doing anything; and its steps."""
    done, run = [], subprocess.run

    def install(pins, *wanted, code=0):
        def fake(command, **options):
            step = "venv" if "venv" in command else "pip" if "pip" in command else ""
            if step == "venv":
                python = Path(environment.python_of(command[-1]))
                python.parent.mkdir(parents=True)
                python.symlink_to(sys.executable)
            done.extend([step] if step else [])
            if not step:
                return run(command, **options)
            return subprocess.CompletedProcess(command, code if step == "pip" else 0)

        monkeypatch.setattr(environment.subprocess, "run", fake)
        (tmp_path / "pins").write_text(pins)
        environment.make(str(tmp_path / "env"), list(wanted), str(tmp_path / "pins"))

    return install, done


def test_a_second_set_up_installs_what_changed(installs):
    install, done = installs
    for pins, *wanted in (("a==1", "a"), ("a==1", "a"), ("a==2", "a"), ("a==2", "a", "b")):
        install(pins, *wanted)
    assert done == ["venv", "pip", "pip", "pip"]


def test_an_interrupted_set_up_starts_again(installs, capsys):
    install, done = installs
    with pytest.raises(SystemExit):
        install("a==1", "a", code=1)
    assert "pip could not install a" in capsys.readouterr().err
    install("a==1", "a")
    assert done == ["venv", "pip", "venv", "pip"]


def test_a_missing_venv_module_is_explained(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(SystemExit):
        environment.check_python()
    assert "apt install python3-venv" in capsys.readouterr().err


def run_make(*arguments):
    """Run make in the project, as from a shell."""
    environ = {**os.environ, "MAKEFLAGS": ""}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, capture_output=True, text=True, env=environ
    )


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make here")
def test_make_lists_its_commands_and_misses_a_python_in_words():
    targets = set(re.findall(r"^make (\w+)", run_make().stdout, re.MULTILINE))
    assert {"book", "serve", "test", "notebooks", "matrix", "colab", "address"} <= targets
    for target in ("book", "test", "notebooks"):
        run = run_make(target, "PYTHON=no-such-python")
        assert run.returncode and "There is no no-such-python here" in run.stderr


# The API pages


def public_names(room: Path) -> set[str]:
    """Return the public functions and classes of a room, by its __all__ where it has one."""
    source = room / "__init__.py" if room.is_dir() else room
    tree = ast.parse(source.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return set(ast.literal_eval(node.value))
    defined = (n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)))
    return {node.name for node in defined if not node.name.startswith("_")}


def test_the_api_pages_list_every_public_name_once():
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "book" / "api").glob("*.md")]
    directive = re.compile(r"^\.\. autoapi\w+:: cbam_course\.([\w.]+)$", re.MULTILINE)
    listed = [name for page in pages for name in directive.findall(page)]
    public = set()
    for room in sorted((ROOT / "cbam_course").iterdir()):
        # The command line documents itself (cbam-course --help); the files serve other rooms.
        if room.stem in ("cli", "config", "files", "__init__", "__main__", "__pycache__"):
            continue
        if room.suffix == ".py" or (room / "__init__.py").is_file():
            public |= {f"{room.stem}.{name}" for name in public_names(room)}
    assert sorted(listed) == sorted(public)
