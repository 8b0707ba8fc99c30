"""The house: who may import from whom, and no circles."""

import ast
from pathlib import Path

import pytest

import skcoop

ROOT = Path(skcoop.__file__).parent
# From the roof to the ground: a file imports from its own floor and from those below.
FLOORS = [
    ["__init__", "__main__"],
    ["federation"],
    ["_cooperative", "_peers", "_comparative"],
    ["inspection", "exchange", "_soft_targets"],
    ["counterfactuals", "datasets"],
    ["_members"],
    ["_tables"],
    ["_utils"],
    ["_compat"],
]
FLOOR = {name: number for number, floor in enumerate(FLOORS) for name in floor}


def modules():
    return {
        path.relative_to(ROOT.parent).with_suffix("").as_posix().replace("/", "."): path
        for path in ROOT.rglob("*.py")
        if "flower_app" not in path.parts  # Flower's, and read by it alone
    }


def imported(path, known):
    """Return the package's modules that a file imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            for module in (name, name.rpartition(".")[0]):
                for candidate in (module, f"{module}.__init__"):
                    if candidate in known:
                        found.add(candidate)
                        break
                else:
                    continue
                break
    return found


KNOWN = modules()
IMPORTS = {name: imported(path, KNOWN) for name, path in KNOWN.items()}


def room(module):
    """Return the first part of a module's name below the package."""
    return module.split(".")[1]


def test_every_room_has_a_floor():
    assert {room(module) for module in KNOWN} == set(FLOOR)
    assert len(IMPORTS["skcoop._cooperative._distiller"]) > 10


@pytest.mark.parametrize("module", sorted(KNOWN))
def test_imports_go_down(module):
    wrong = [
        other
        for other in IMPORTS[module]
        if FLOOR[room(other)] < FLOOR[room(module)]
        # Beside each other on one floor lie rooms, not corridors.
        or (
            FLOOR[room(other)] == FLOOR[room(module)]
            and room(other) != room(module)
            and room(module) not in ("__init__", "__main__")
        )
    ]
    assert not wrong


def test_there_are_no_circles():
    done, circles = set(), []

    def visit(module, way):
        if module in way:
            circles.append([*way[way.index(module) :], module])
            return
        if module in done:
            return
        for other in sorted(IMPORTS[module]):
            visit(other, [*way, module])
        done.add(module)

    for module in sorted(IMPORTS):
        visit(module, [])
    assert not circles


def test_private_names_of_scikit_learn_have_one_door():
    for module, path in KNOWN.items():
        if module == "skcoop._compat":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("sklearn"):
                parts = [*node.module.split("."), *(a.name for a in node.names)]
                assert not [part for part in parts if part.startswith("_")], module
