import json
import os
import signal
import uuid

import pytest

import mirai_py
from mirai_py import cluster_config, daemons, host_url, mirai, remote_config

pytestmark = pytest.mark.cluster


@pytest.fixture
def name():
    """A name for the jobs of this test."""
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def config(slurm, name, python):
    """How to submit jobs of this name."""
    options = f"""#SBATCH --job-name={name}
                  #SBATCH --output=/dev/null"""

    def make(more=""):
        return cluster_config("sbatch", options=f"{options}\n{more}", python=python)

    return make


@pytest.mark.parametrize("tls", [False, True])
def test_daemons_are_jobs_and_end_with_their_host(tls, config, fresh, pids, ended):
    daemons(2, url=host_url(tls=tls), remote=config(), compute=fresh)
    found = pids(fresh, 2)
    jobs = mirai_py.everywhere("import os; os.environ['SLURM_JOB_ID']", _compute=fresh).collect()
    assert len({*jobs}) == 2
    assert mirai_py.mirai_map(range(20), lambda x: x + 1, _compute=fresh).collect() == [*range(1, 21)]
    daemons(0, compute=fresh)
    assert all(ended(pid) for pid in found)


def test_lines_of_the_shell_prepare_a_daemon(config, fresh, pids):
    daemons(1, url=host_url(), remote=config("export PREPARED='by the script'"), compute=fresh)
    assert mirai("import os; os.environ['PREPARED']", _compute=fresh).collect() == "by the script"


def test_one_launch_may_be_an_array_of_jobs(config, fresh, pids):
    daemons(1, url=host_url(), remote=config("#SBATCH --array=1-3"), compute=fresh)
    assert len({*pids(fresh, 3)}) == 3


def test_a_job_that_is_cancelled_in_a_task_costs_that_task_alone(config, fresh, slurm, gate):
    daemons(2, url=host_url(), remote=config(), compute=fresh)
    who = "import os; (os.getpid(), os.environ['SLURM_JOB_ID'])"
    jobs = dict(mirai_py.everywhere(who, _min=2, _compute=fresh).collect())
    tasks = {mirai(gate.task, gate.argument, "done", _compute=fresh) for _ in jobs}
    pid, _ = gate.wait(2)
    slurm("scancel", jobs[pid])
    lost = next(iter(mirai_py.as_completed([*tasks], timeout=30)))
    assert lost.data == 19
    assert lost.data.detail["pid"] == pid
    gate.open()
    (kept,) = tasks - {lost}
    assert kept.collect() == "done"
    assert mirai_py.info(fresh)["connections"] == 1
    assert mirai(abs, -1, _compute=fresh).collect() == 1


def test_a_job_that_slurm_refuses_is_an_error_and_leaves_the_profile_unset(config, fresh):
    told = r"sbatch ended with exit code 1(?s:.*)invalid partition"
    with pytest.raises(mirai_py.MiraiLaunchError, match=told):
        daemons(1, url=host_url(), remote=config("#SBATCH --partition=nowhere"), compute=fresh)
    assert not mirai_py.daemons_set(fresh)


def test_srun_lasts_as_long_as_its_daemon(slurm, fresh, python, pids, name):
    remote = remote_config("srun", [f"--job-name={name} -n 1", "."], python)
    daemons(2, url=host_url(), remote=remote, compute=fresh)
    assert len({*pids(fresh, 2)}) == 2
    jobs = slurm("squeue", "--noheader", "--format=%i", f"--name={name}").split()
    assert len(jobs) == 2


HOST = """
import json, sys, mirai_py
begun, options = json.loads(sys.argv[1])
mirai_py.daemons(2, url=mirai_py.host_url(), remote=mirai_py.cluster_config(**options))
pids = mirai_py.everywhere("import os; os.getpid()", _min=2).collect()
task = mirai_py.mirai("import time; open(begun, 'w').close(); time.sleep(600)", begun=begun)
open(begun).read()
print(json.dumps(pids), flush=True)
task.collect()
"""


def test_when_the_host_is_killed_its_jobs_end(slurm, name, python, host, ended, tmp_path):
    options = {"options": f"#SBATCH --job-name={name}\n#SBATCH --output=/dev/null", "python": python}
    os.mkfifo(tmp_path / "begun")
    process = host(HOST, json.dumps([str(tmp_path / "begun"), options]))
    found = json.loads(process.stdout.readline())
    assert len({*found}) == 2
    process.send_signal(signal.SIGKILL)
    assert all(ended(pid) for pid in found)
