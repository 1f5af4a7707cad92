"""What is installed: pinned to the last package, and under a licence that goes with Apache-2.0."""

import re
import tomllib
from importlib.metadata import Distribution, distributions

import pytest

from tests.checks.tree import ROOT

# Comes with the virtual environment, or is this project.
UNPINNED = frozenset({"pip", "setuptools", "wheel", "straddle"})

# Lower case, without blanks. All of them may be combined with, or linked from, Apache-2.0 code. MPL-2.0 binds only its own files.
ALLOWED = frozenset(
    {
        *("0bsd", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cnri-python", "isc", "mit", "mit-0", "mpl-2.0"),
        *("psf-2.0", "python-2.0", "unlicense", "zlib"),
    }
)
# Names that came into use before SPDX did.
ALIASES = {
    "apache2.0": "apache-2.0",
    "apachelicense2.0": "apache-2.0",
    "apachelicense,version2.0": "apache-2.0",
    "apachesoftwarelicense": "apache-2.0",
    "bsd": "bsd-3-clause",
    "bsdlicense": "bsd-3-clause",
    "bsd2-clauselicense": "bsd-2-clause",
    "cc01.0universal(cc01.0)publicdomaindedication": "cc0-1.0",
    "isclicense(iscl)": "isc",
    "mitlicense": "mit",
    "mozillapubliclicense2.0(mpl2.0)": "mpl-2.0",
    "publicdomain": "cc0-1.0",
    "pythonsoftwarefoundationlicense": "psf-2.0",
    "theunlicense(unlicense)": "unlicense",
}
# Packages whose metadata names no licence at all, and why they may be here all the same.
EXPLAINED = {
    "pyrevm": "neither wheel nor sources name a licence; not distributed with Straddle, and needed by the simulation only, not by a node",
}


def get_name(name: str) -> str:
    """A package's name as the registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def get_installed() -> dict[str, Distribution]:
    """Every package of this environment by its name."""
    return {get_name(item.metadata["Name"]): item for item in distributions()}


def is_allowed(expression: str) -> bool:
    """An SPDX expression without parentheses, or one of the old names: all of AND, any of OR."""
    parts = [re.split(r"\s+AND\s+", choice) for choice in re.split(r"\s+OR\s+", expression.strip())]
    names = [[re.sub(r"\s", "", part).lower() for part in choice] for choice in parts]
    return any(all(ALIASES.get(name, name) in ALLOWED for name in choice) for choice in names)


def find_licence_problem(name: str, expression: str | None, field: str | None, classifiers: list[str]) -> str | None:
    """The expression decides, else all classifiers, else the free field. Silence is a problem unless it is explained above."""
    named = [item.split(" :: ")[-1] for item in classifiers if item.startswith("License :: ") and item != "License :: OSI Approved"]
    if expression:
        return None if is_allowed(expression) else f"{name}: {expression}"
    if named:
        refused = [item for item in named if not is_allowed(item)]
        return f"{name}: {', '.join(refused)}" if refused else None
    if field and field.strip():
        return None if is_allowed(field) else f"{name}: {field.splitlines()[0]}"
    return None if name in EXPLAINED else f"{name}: no licence in its metadata"


def find_problem(name: str, package: Distribution) -> str | None:
    """As above, from a package's metadata."""
    expression, field, classifiers = (package.metadata.get_all(key) or [] for key in ("License-Expression", "License", "Classifier"))
    return find_licence_problem(name, next(iter(expression), None), next(iter(field), None), classifiers)


def read_constraints() -> dict[str, str]:
    """Name and version of every pin."""
    lines = (ROOT / "requirements" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {get_name(name): version for name, version in pins}


def test_every_package_has_a_compatible_licence() -> None:
    """Of all that is installed, tools included."""
    problems = [find_problem(name, package) for name, package in get_installed().items()]
    assert [problem for problem in problems if problem] == []


def test_no_explanation_outlives_its_reason() -> None:
    """Whoever names a licence at last, or is no longer needed, leaves the list."""
    installed = get_installed()
    for name in EXPLAINED:
        assert find_problem(f"{name} as if unexplained", installed[name]) is not None


@pytest.mark.parametrize(
    ("expression", "field", "classifiers"),
    [
        ("GPL-3.0-or-later", None, []),
        ("MIT AND AGPL-3.0-only", None, []),
        (None, None, ["License :: OSI Approved :: GNU Affero General Public License v3"]),
        (None, "MIT", ["License :: OSI Approved :: MIT License", "License :: Other/Proprietary License"]),
        (None, "GPL", []),
        (None, "UNKNOWN", []),
        (None, " ", []),
        (None, None, ["License :: OSI Approved"]),
        (None, None, []),
    ],
)
def test_a_planted_licence_is_refused(expression: str | None, field: str | None, classifiers: list[str]) -> None:
    """Copyleft that reaches over, proprietary, unknown and silent."""
    assert find_licence_problem("planted", expression, field, classifiers) is not None


@pytest.mark.parametrize(
    ("expression", "field", "classifiers"),
    [
        ("MIT", None, []),
        ("GPL-2.0-only OR MIT", None, []),
        ("BSD-3-Clause AND Zlib", None, []),
        (None, "anything", ["License :: OSI Approved :: Apache Software License"]),
        (None, "MPL-2.0", []),
    ],
)
def test_a_compatible_licence_passes(expression: str | None, field: str | None, classifiers: list[str]) -> None:
    """A choice of licences is ours."""
    assert find_licence_problem("planted", expression, field, classifiers) is None


def test_every_installed_package_is_pinned() -> None:
    """Two clones of one commit run the same code."""
    pins = read_constraints()
    installed = {name: item.version for name, item in get_installed().items() if name not in UNPINNED}
    assert installed == {name: pins.get(name, "not pinned") for name in installed}


def test_the_project_asks_for_the_pinned_versions() -> None:
    """pyproject.toml and the constraints are one list, told twice."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = read_constraints()
    wanted = [*project["dependencies"], *(item for group in project["optional-dependencies"].values() for item in group)]
    assert wanted
    for requirement in wanted:
        name, version = re.sub(r"\[.*\]", "", requirement).split("==")
        assert pins[get_name(name)] == version, requirement
