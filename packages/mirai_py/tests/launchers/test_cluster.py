import pytest

import mirai_py
from mirai_py import cluster_config, daemons, launch_remote

SYSTEMS = [
    ("sbatch", "#SBATCH --job-name=mirai\n#SBATCH --mem=16G"),
    ("qsub", "#$ -N mirai\n#$ -l mem_free=16G"),
    ("qsub", "#PBS -N mirai\n#PBS -l mem=16gb"),
    ("bsub", "#BSUB -J mirai\n#BSUB -M 16000"),
]


@pytest.mark.parametrize(("command", "options"), SYSTEMS)
def test_the_submitter_of_each_system_reads_exactly_this_script(
    command, options, listening, program, monkeypatch
):
    submitter = program()
    submitter.path.rename(submitter.folder / command)
    monkeypatch.setenv("PATH", str(submitter.folder), prepend=":")
    lines = [*options.splitlines(), "module load python/3.12"]
    indented = "".join(f"\n {' ' * i}\t{line}" for i, line in enumerate(lines))
    config = cluster_config(command, options=indented)
    (line,) = launch_remote(remote=config, compute=listening[0])
    assert submitter.runs() == [[]]
    assert submitter.scripts() == [f"#!/bin/sh\n\n{options}\nmodule load python/3.12\n{line}\n"]


def test_n_daemons_are_n_jobs(listening, program):
    submitter = program()
    lines = launch_remote(3, cluster_config(f"{submitter} --parsable"), compute=listening[0])
    assert submitter.runs() == [["--parsable"]] * 3
    assert submitter.scripts() == [f"#!/bin/sh\n\n{lines[0]}\n"] * 3


def test_the_script_makes_a_daemon(fresh, program, connected, python):
    submitter = program('sh "$(dirname "$0")/stdin.$$" &\n')
    config = cluster_config(str(submitter), options="export CHOSEN=yes", python=python)
    daemons(2, url=mirai_py.local_url(tcp=True), remote=config, compute=fresh)
    assert connected(fresh, 2) == 2
    assert mirai_py.mirai("import os; os.environ['CHOSEN']", _compute=fresh).collect() == "yes"


def test_a_submitter_that_refuses_is_an_error_and_leaves_the_profile_unset(fresh, program):
    submitter = program("echo 'invalid partition specified: gpu' >&2; exit 1\n")
    with pytest.raises(mirai_py.MiraiLaunchError, match="exit code 1; the last it wrote:\ninvalid partition"):
        daemons(2, url=mirai_py.local_url(tcp=True), remote=cluster_config(str(submitter)), compute=fresh)
    assert not mirai_py.daemons_set(fresh)


def test_a_submitter_that_does_not_read_is_no_harm(listening, tmp_path):
    """As `true`, which has ended before the script is written."""
    assert len(launch_remote(2, cluster_config("true", options="#" * 200_000), compute=listening[0])) == 2


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"command": ""}, ValueError, "`command` must be a program"),
        ({"command": None}, TypeError, "`command` must be a str"),
        ({"options": ["#SBATCH"]}, TypeError, "`options` must be a str of lines"),
        ({"python": 5}, TypeError, "`python` must be a str"),
    ],
)
def test_bad_arguments_are_named(arguments, error, told):
    with pytest.raises(error, match=told):
        cluster_config(**arguments)
