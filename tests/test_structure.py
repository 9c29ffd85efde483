"""How the layers may use each other, and the modules of a layer: what CONTRIBUTING says, checked."""

import ast
import graphlib
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BELOW = {
    "nngsock": set(),
    "mirai_py": {"nngsock"},
    "crew_py": {"nngsock", "mirai_py", "autometric_py"},
    "targets_py": {"crew_py", "autometric_py"},
    "autometric_py": set(),
}


def modules(layer):
    """Each module of a layer by its name, parsed."""
    source = ROOT / "packages" / layer / "src"
    return {
        ".".join(file.relative_to(source).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
            file.read_text()
        )
        for file in sorted(source.rglob("*.py"))
    }


def imports(nodes):
    """Pairs of a module and the name that is imported from it, None for the module itself."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)


@pytest.mark.parametrize("layer", BELOW)
def test_a_layer_uses_only_what_the_layers_below_export(layer):
    found = []
    for name, tree in modules(layer).items():
        used = set(imports(ast.walk(tree)))
        used |= {
            (node.value.id, node.attr)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }
        for module, attribute in used:
            other = module.partition(".")[0]
            if other not in BELOW or other == layer:
                continue
            public = other in BELOW[layer] and module == other
            if not public or attribute not in {None, *importlib.import_module(other).__all__}:
                found.append(f"{name} uses {module}.{attribute}")
    assert found == []


@pytest.mark.parametrize("layer", BELOW)
def test_no_module_needs_itself_to_be_imported(layer):
    trees = modules(layer)
    graph = {
        name: {
            needed
            for module, attribute in imports(tree.body)  # not what is imported for type checkers, or later
            for needed in [f"{module}.{attribute}" if f"{module}.{attribute}" in trees else module]
            if needed in trees and needed not in {name, layer}
        }
        for name, tree in trees.items()
    }
    assert set(graphlib.TopologicalSorter(graph).static_order()) == set(trees)
