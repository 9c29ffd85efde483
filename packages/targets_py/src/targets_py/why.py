"""Why a target would run, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from targets_py.child import call_runner, callr_r
from targets_py.engine.decide import Rule
from targets_py.engine.graph import close_match
from targets_py.errors import TarValidateError
from targets_py.inspection import inspect
from targets_py.places import open_pipeline, script_path, store_path
from targets_py.storage.metadata import Depends, Metadata
from targets_py.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from targets_py.engine.inspect import Finding, Inspection
    from targets_py.hashing.code import Code, Dependency
    from targets_py.places import StrPath
    from targets_py.storage.records import Record

__all__ = ("tar_why",)

SHOWN_BRANCHES = 5
REASONS = {
    "command": "Its command changed.",
    "format": "Its format changed: it was {format}.",
    "repository": "Its repository changed: it was {repository}.",
    "iteration": "Its iteration changed: it was {iteration}.",
    "file": "Its stored file is gone or was altered.",
    "seed": "Its seed changed.",
}


def tar_why(
    name: str,
    callr_function: Callable[..., Any] | None = callr_r,
    callr_arguments: Mapping[str, Any] | None = None,
    envir: dict[str, Any] | None = None,
    script: StrPath | None = None,
    store: StrPath | None = None,
) -> str:
    """Why `tar_make()` would build a target, or that it would not.

    Args:
        name: A target or branch.
        callr_function: Where to read the script: `callr_r`, or None for this process.
        callr_arguments: More arguments of that function.
        envir: Names to put into the script's namespace first.
        script: The script; None: that of the project.
        store: The data store; None: that of the project.

    Returns:
        One paragraph for each reason, naming the functions and upstream targets that changed.

    Raises:
        TarValidateError: The script is wrong, or there is no such target.

    Example:
        >>> tar_why("bad")
        'Its last run failed: division by zero'
    """
    args = {"name": name, "script": script_path(script), "store": store_path(store), "envir": envir}
    text: str = call_runner(_why, args, callr_function, callr_arguments, "tar_why")
    return text


def _why(name: str, script: str, store: str, envir: dict[str, Any] | None) -> str:
    with open_pipeline("tar_why", script, store, envir) as pipeline:
        place = Store(store)
        records = Metadata.load(place).records
        parent = _target_of(name, pipeline.targets, records)
        found = inspect(pipeline, store, "silent", [parent], shortcut=False)
        reasons = _Reasons(found, pipeline.code, records, Depends.load(place).depends)
        if name not in found.findings:
            raise TarValidateError(f"{name} is no branch of {parent} any more")
        finding = found.findings[name]
        if not finding.outdated:
            return f"{name} is up to date."
        if finding.kind == "pattern":
            return "\n\n".join(reasons.of_pattern(finding))
        return "\n\n".join(reasons.of(finding))


def _target_of(name: str, targets: Mapping[str, Any], records: Mapping[str, Record]) -> str:
    if name in targets:
        return name
    record = records.get(name)
    if record is not None and record.parent in targets:
        return str(record.parent)
    raise TarValidateError(f"{name} is no target of the script.{close_match(name, targets)}")


class _Reasons:
    """Puts findings into words."""

    def __init__(
        self,
        found: Inspection,
        code: Code,
        records: Mapping[str, Record],
        depends: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._found = found
        self._code = code
        self._records = records
        self._depends = depends

    def of_pattern(self, finding: Finding) -> Iterator[str]:
        branches = [
            other
            for other in self._found.findings.values()
            if other.parent == finding.name and other.kind == "branch"
        ]
        outdated = [branch for branch in branches if branch.outdated]
        yield f"{finding.name}: {len(outdated)} of {len(branches)} branches that can be told now would run."
        yield from self._upstreams(finding)
        for branch in outdated[:SHOWN_BRANCHES]:
            yield f"{branch.name}: {' '.join(self.of(branch))}"
        if len(outdated) > SHOWN_BRANCHES:
            yield f"... and {len(outdated) - SHOWN_BRANCHES} more."

    def of(self, finding: Finding) -> Iterator[str]:
        record = self._records.get(finding.name)
        cues = finding.cues or {}
        if finding.cues is None:
            yield "It cannot be checked whether it is up to date."
        elif cues["meta"]:
            yield self._without_record(finding, record)
        elif cues["always"]:
            yield 'Its cue says "always".'
        if record is not None:
            about = {"format": record.format, "repository": record.repository, "iteration": record.iteration}
            yield from (text.format(**about) for cue, text in REASONS.items() if cues.get(cue))
        if cues.get("depend"):
            yield self._dependencies(finding)
        yield from self._upstreams(finding)

    def _without_record(self, finding: Finding, record: Record | None) -> str:
        if finding.rule is Rule.ERROR and record is not None:
            return f"Its last run failed: {record.error}"
        if finding.rule is Rule.KIND and record is not None:
            return f"It was a {record.type}, now it is a {finding.kind}."
        return "It was never built, or what was recorded of it was forgotten."

    def _upstreams(self, finding: Finding) -> Iterator[str]:
        node = self._found.graph[finding.parent]
        findings = self._found.findings
        outdated = [name for name in node.upstreams if name in findings and findings[name].outdated]
        if outdated:
            yield f"What it needs is outdated too, and would run before: {', '.join(outdated)}."

    def _dependencies(self, finding: Finding) -> str:
        before = {**self._depends.get(finding.parent, {}), **self._depends.get(finding.name, {})}
        if not before:
            return "Something it depends on changed."
        changed = [name for name, now in finding.depends.items() if before.get(name, now) != now]
        texts = [
            f"{kind}: {', '.join(names)}"
            for kind, names in (
                ("changed", [self._described(name) for name in changed]),
                ("new", sorted(finding.depends.keys() - before.keys())),
                ("gone", sorted(before.keys() - finding.depends.keys())),
            )
            if names
        ]
        return f"What it depends on changed ({'; '.join(texts) or 'in a way that was not recorded'})."

    def _described(self, name: str) -> str:
        """A dependency, with the helpers below it that made it change."""
        if name in self._found.graph or name not in self._found.globals:
            return name
        causes = sorted(set(self._causes(self._code.dependency_tree(name))) - {name})
        return f"{name} (because of {', '.join(causes)})" if causes else name

    def _causes(self, dependency: Dependency) -> Iterator[str]:
        record = self._records.get(dependency.name)
        if record is None or record.data == dependency.hash:
            return
        below = [cause for part in dependency.depends for cause in self._causes(part)]
        yield from below or [dependency.name]
