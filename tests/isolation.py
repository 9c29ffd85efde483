"""Check that an environment holds one layer, what it declares, and the test tools: nothing else.

Usage: python isolation.py DISTRIBUTION TEST-REQUIREMENT...
"""

from __future__ import annotations

import importlib.util
import re
import sys
from importlib import metadata

from packaging.requirements import Requirement

OURS = {
    "nngsock": "nngsock",
    "mirai-nng": "mirai_py",
    "crew-py": "crew_py",
    "targets-py": "targets_py",
    "autometric-py": "autometric_py",
}
# What an installer puts into an empty environment by itself.
INSTALLERS = {"pip", "setuptools", "wheel"}


def name_of(name: str) -> str:
    """The normalised name of a distribution."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(roots: list[str]) -> set[str]:
    """The distributions of these requirements and all that they require in turn, as far as installed."""
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(root) for root in roots]
    while waiting:
        requirement = waiting.pop()
        name = name_of(requirement.name)
        try:
            requires = [Requirement(r) for r in metadata.requires(name) or []]
        except metadata.PackageNotFoundError:  # not for this platform or Python
            continue
        for extra in ("", *requirement.extras):
            if (name, extra) not in found:
                found.add((name, extra))
                waiting += [r for r in requires if r.marker is None or r.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


def main() -> None:
    layer, *test_tools = sys.argv[1:]
    declared = closure([layer])
    installed = {name_of(d.metadata["Name"]) for d in metadata.distributions()}
    undeclared = installed - declared - closure(test_tools) - INSTALLERS
    if undeclared:
        sys.exit(f"{layer}: installed but not declared: {', '.join(sorted(undeclared))}")
    for distribution, module in OURS.items():
        importable = importlib.util.find_spec(module) is not None
        if importable != (distribution in declared):
            sys.exit(f"{layer}: {module} is {'' if importable else 'not '}importable")
        if importable and "site-packages" not in str(importlib.util.find_spec(module).origin):
            sys.exit(f"{layer}: {module} is not the installed wheel")
    print(f"{layer}: alone with {', '.join(sorted(declared - {layer})) or 'nothing'}")


if __name__ == "__main__":
    main()
