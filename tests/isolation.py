"""Check that an environment holds one layer, what it declares, and the test tools: nothing else.

Usage: python isolation.py DISTRIBUTION TEST-REQUIREMENT...
"""

from __future__ import annotations

import importlib.util
import re
import sys
from importlib import metadata

OURS = {
    "nngsock": "nngsock",
    "mirai-nng": "mirai_py",
    "crew-py": "crew_py",
    "targets-py": "targets_py",
    "autometric-py": "autometric_py",
}
# What an installer puts into an empty environment by itself.
INSTALLERS = {"pip", "setuptools", "wheel"}


def name_of(requirement: str) -> str:
    """The normalised distribution name at the head of a requirement."""
    head = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert head is not None, requirement
    return re.sub(r"[-_.]+", "-", head[0]).lower()


def closure(roots: list[str]) -> set[str]:
    """These distributions and all that they require without extras, as far as installed."""
    found: set[str] = set()
    waiting = [name_of(root) for root in roots]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            requires = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # not for this platform or Python
            continue
        found.add(name)
        waiting += [name_of(r) for r in requires if "extra ==" not in r]
    return found


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
