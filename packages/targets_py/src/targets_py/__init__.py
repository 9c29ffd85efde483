"""Pipelines that redo only what changed, a port of R's targets."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from targets_py._version import __version__

if TYPE_CHECKING:
    from targets_py.branches import tar_branch_index, tar_branch_names, tar_branches, tar_pattern
    from targets_py.child import (
        BackgroundProcess,
        callr_r,
        callr_r_bg,
        tar_callr_args_default,
    )
    from targets_py.clean import (
        tar_delete,
        tar_destroy,
        tar_invalidate,
        tar_prune,
        tar_prune_list,
        tar_unblock_process,
        tar_unscript,
    )
    from targets_py.config import (
        tar_config_get,
        tar_config_projects,
        tar_config_set,
        tar_config_unset,
        tar_config_yaml,
        tar_envvars,
    )
    from targets_py.definition.commands import (
        Command,
    )
    from targets_py.definition.cue import (
        tar_cue,
    )
    from targets_py.definition.options import (
        tar_option_export,
        tar_option_get,
        tar_option_reset,
        tar_option_set,
        tar_option_unset,
        tar_option_with,
    )
    from targets_py.definition.patterns import (
        Pattern,
        cross,
        head,
        map,  # noqa: A004 - scripts import it over the builtin
        sample,
        slice,  # noqa: A004 - scripts import it over the builtin
        tail,
    )
    from targets_py.definition.resources import (
        tar_resources,
        tar_resources_crew,
        tar_resources_feather,
        tar_resources_network,
        tar_resources_parquet,
    )
    from targets_py.definition.seeds import (
        tar_seed_create,
        tar_seed_set,
    )
    from targets_py.definition.targets import (
        Target,
        tar_target,
        tar_target_copy,
        tar_target_raw,
    )
    from targets_py.engine.context import (
        tar_active,
        tar_call,
        tar_cancel,
        tar_definition,
        tar_envir,
        tar_format_get,
        tar_name,
        tar_seed_get,
    )
    from targets_py.errors import (
        TarCancel,
        TarDeprecateWarning,
        TarError,
        TarFileError,
        TarRunError,
        TarRunWarning,
        TarValidateError,
        TarValidateWarning,
        TarWarning,
    )
    from targets_py.groups import tar_group
    from targets_py.hashing.value import (
        tar_hash,
    )
    from targets_py.inspection import (
        tar_deps,
        tar_described_as,
        tar_outdated,
        tar_sitrep,
        tar_validate,
    )
    from targets_py.interactive import tar_make_interactive
    from targets_py.make import (
        tar_make,
    )
    from targets_py.manifest import (
        tar_manifest,
    )
    from targets_py.mermaid import (
        tar_mermaid,
    )
    from targets_py.meta import (
        tar_crew,
        tar_exist_meta,
        tar_exist_process,
        tar_meta,
        tar_pid,
        tar_process,
    )
    from targets_py.network import (
        tar_network,
    )
    from targets_py.paths import (
        tar_exist_script,
        tar_path_script,
        tar_path_script_support,
        tar_path_store,
        tar_path_target,
    )
    from targets_py.progress import (
        tar_canceled,
        tar_completed,
        tar_dispatched,
        tar_errored,
        tar_exist_progress,
        tar_poll,
        tar_progress,
        tar_progress_branches,
        tar_progress_summary,
        tar_skipped,
    )
    from targets_py.read import (
        tar_exist_objects,
        tar_load,
        tar_load_everything,
        tar_objects,
        tar_read,
    )
    from targets_py.script import (
        tar_source,
    )
    from targets_py.selection import (
        Selection,
        Selector,
        all_of,
        any_of,
        contains,
        ends_with,
        everything,
        last_col,
        matches,
        num_range,
        one_of,
        starts_with,
        tar_tidyselect_eval,
    )
    from targets_py.templates import (
        tar_edit,
        tar_helper,
        tar_script,
        use_targets,
    )
    from targets_py.timestamps import (
        tar_newer,
        tar_older,
        tar_timestamp,
    )
    from targets_py.visnetwork import (
        TarGraph,
        tar_glimpse,
        tar_visnetwork,
    )
    from targets_py.why import (
        tar_why,
    )
    from targets_py.workspaces import (
        tar_load_globals,
        tar_traceback,
        tar_workspace,
        tar_workspaces,
    )

__all__ = (
    "BackgroundProcess", "Command", "Pattern", "Selection", "Selector", "TarCancel", "TarDeprecateWarning",
    "TarError", "TarFileError", "TarGraph", "TarRunError", "TarRunWarning", "TarValidateError",
    "TarValidateWarning", "TarWarning", "Target", "__version__", "all_of", "any_of", "callr_r",
    "callr_r_bg", "contains", "cross", "ends_with", "everything", "head", "last_col", "map", "matches",
    "num_range", "one_of", "sample", "slice", "starts_with", "tail", "tar_active", "tar_branch_index",
    "tar_branch_names", "tar_branches", "tar_call", "tar_callr_args_default", "tar_cancel", "tar_canceled",
    "tar_completed", "tar_config_get", "tar_config_projects", "tar_config_set", "tar_config_unset",
    "tar_config_yaml", "tar_crew", "tar_cue", "tar_definition", "tar_delete", "tar_deps",
    "tar_described_as", "tar_destroy", "tar_dispatched", "tar_edit", "tar_envir", "tar_envvars",
    "tar_errored", "tar_exist_meta", "tar_exist_objects", "tar_exist_process", "tar_exist_progress",
    "tar_exist_script", "tar_format_get", "tar_glimpse", "tar_group", "tar_hash", "tar_helper",
    "tar_invalidate", "tar_load", "tar_load_everything", "tar_load_globals", "tar_make",
    "tar_make_interactive", "tar_manifest", "tar_mermaid", "tar_meta", "tar_name", "tar_network",
    "tar_newer", "tar_objects", "tar_older", "tar_option_export", "tar_option_get", "tar_option_reset",
    "tar_option_set", "tar_option_unset", "tar_option_with", "tar_outdated", "tar_path_script",
    "tar_path_script_support", "tar_path_store", "tar_path_target", "tar_pattern", "tar_pid", "tar_poll",
    "tar_process", "tar_progress", "tar_progress_branches", "tar_progress_summary", "tar_prune",
    "tar_prune_list", "tar_read", "tar_resources", "tar_resources_crew", "tar_resources_feather",
    "tar_resources_network", "tar_resources_parquet", "tar_script", "tar_seed_create", "tar_seed_get",
    "tar_seed_set", "tar_sitrep", "tar_skipped", "tar_source", "tar_target", "tar_target_copy",
    "tar_target_raw", "tar_tidyselect_eval", "tar_timestamp", "tar_traceback", "tar_unblock_process",
    "tar_unscript", "tar_validate", "tar_visnetwork", "tar_why", "tar_workspace", "tar_workspaces",
    "use_targets",
)  # fmt: skip

# Each name is imported when it is first used, so that a process pays only for what it needs.
_HOMES = {
    "branches": "tar_branch_index tar_branch_names tar_branches tar_pattern",
    "child": "BackgroundProcess callr_r callr_r_bg tar_callr_args_default",
    "clean": (
        "tar_delete tar_destroy tar_invalidate tar_prune tar_prune_list tar_unblock_process tar_unscript"
    ),
    "config": (
        "tar_config_get tar_config_projects tar_config_set tar_config_unset tar_config_yaml tar_envvars"
    ),
    "definition.commands": "Command",
    "definition.cue": "tar_cue",
    "definition.options": (
        "tar_option_export tar_option_get tar_option_reset tar_option_set tar_option_unset tar_option_with"
    ),
    "definition.patterns": "Pattern cross head map sample slice tail",
    "definition.resources": (
        "tar_resources tar_resources_crew tar_resources_feather tar_resources_network tar_resources_parquet"
    ),
    "definition.seeds": "tar_seed_create tar_seed_set",
    "definition.targets": "Target tar_target tar_target_copy tar_target_raw",
    "engine.context": (
        "tar_active tar_call tar_cancel tar_definition tar_envir tar_format_get tar_name tar_seed_get"
    ),
    "errors": (
        "TarCancel TarDeprecateWarning TarError TarFileError TarRunError TarRunWarning "
        "TarValidateError TarValidateWarning TarWarning"
    ),
    "groups": "tar_group",
    "hashing.value": "tar_hash",
    "inspection": "tar_deps tar_described_as tar_outdated tar_sitrep tar_validate",
    "interactive": "tar_make_interactive",
    "make": "tar_make",
    "manifest": "tar_manifest",
    "mermaid": "tar_mermaid",
    "meta": "tar_crew tar_exist_meta tar_exist_process tar_meta tar_pid tar_process",
    "network": "tar_network",
    "paths": "tar_exist_script tar_path_script tar_path_script_support tar_path_store tar_path_target",
    "progress": (
        "tar_canceled tar_completed tar_dispatched tar_errored tar_exist_progress tar_poll "
        "tar_progress tar_progress_branches tar_progress_summary tar_skipped"
    ),
    "read": "tar_exist_objects tar_load tar_load_everything tar_objects tar_read",
    "script": "tar_source",
    "selection": (
        "Selection Selector all_of any_of contains ends_with everything last_col matches "
        "num_range one_of starts_with tar_tidyselect_eval"
    ),
    "templates": "tar_edit tar_helper tar_script use_targets",
    "timestamps": "tar_newer tar_older tar_timestamp",
    "visnetwork": "TarGraph tar_glimpse tar_visnetwork",
    "why": "tar_why",
    "workspaces": "tar_load_globals tar_traceback tar_workspace tar_workspaces",
}
_MODULES = {name: f"targets_py.{module}" for module, names in _HOMES.items() for name in names.split()}

# Names of the original that have no counterpart here, and what to use instead.
_SUCCESSORS = {
    "callr_args_default": "tar_callr_args_default()",
    "tar_bind": "a list of targets",
    "tar_built": "tar_completed()",
    "tar_deduplicate": "nothing: each tar_make() does it",
    "tar_make_clustermq": "tar_make() with a crew controller in tar_option_set(controller=)",
    "tar_make_future": "tar_make() with a crew controller in tar_option_set(controller=)",
    "tar_path": "tar_path_target()",
    "tar_pipeline": "a list of targets",
    "tar_seed": "tar_seed_get()",
    "tar_started": "tar_dispatched()",
    "tar_store": "tar_path_store()",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = getattr(import_module(_MODULES[name]), name)
        globals()[name] = value
        return value
    if name.removesuffix("_raw") in _MODULES:
        raise AttributeError(f"names are strings here, so {name} is {name.removesuffix('_raw')}")
    if name in _SUCCESSORS:
        raise AttributeError(f"targets_py has no {name}: use {_SUCCESSORS[name]}")
    raise AttributeError(f"module 'targets_py' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
