"""GPU figures, from an NVML library made for the test: there need be no GPU here."""

import os
import shutil
import subprocess
import sys

import pytest

from autometric_py import AutometricError, check, log_start

FAKE = r"""
#include <string.h>
#include <stdlib.h>
typedef struct { unsigned pid; unsigned long long used; unsigned a, b; } process_t;
typedef struct { unsigned pid; unsigned long long time; unsigned sm, mem, enc, dec; } sample_t;
int nvmlInitWithFlags(unsigned f) { return getenv("FAKE_NVML_BROKEN") ? 9 : 0; }
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) { *d = (void *)(long)(i + 1); return 0; }
const char *nvmlErrorString(int code) { return "Driver Not Loaded"; }
static unsigned me(void) { return atoi(getenv("FAKE_NVML_PID")); }
int nvmlDeviceGetComputeRunningProcesses_v3(void *d, unsigned *n, process_t *p) {
  if (!p || *n < 1) { *n = 1; return 7; }
  p[0].pid = me(); p[0].used = (long)d * 1000000ULL; *n = 1; return 0;
}
int nvmlDeviceGetProcessUtilization(void *d, sample_t *s, unsigned *n, unsigned long long since) {
  if ((long)d == 2) return 3;  /* not supported by this model */
  if (!s || *n < 2) { *n = 2; return 7; }
  memset(s, 0, 2 * sizeof *s);
  s[0].pid = s[1].pid = me(); s[0].time = since + 1; s[1].time = since + 2;
  s[0].sm = 20; s[1].sm = 60; *n = 2;
  return 0;
}
"""


@pytest.fixture
def nvml(tmp_path, monkeypatch):
    pytest.importorskip("pynvml")
    compiler = shutil.which("cc") or pytest.skip("needs a C compiler")
    (tmp_path / "nvml.c").write_text(FAKE)
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "nvml.c"], check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    monkeypatch.setenv("FAKE_NVML_PID", str(os.getpid()))


@pytest.mark.usefixtures("nvml")
def test_memory_of_all_gpus_and_the_mean_of_the_drivers_samples(pipe, sleeper):
    log_start(pipe.path, seconds=0.05, pids=[os.getpid(), sleeper.pid], extras=["gpu", "gpu_memory"])
    assert pipe.fields()[-2:] == ["gpu=40.000", "gpu_memory=3000000"]
    assert pipe.fields()[-2:] == ["gpu=0.000", "gpu_memory=0"]


@pytest.mark.usefixtures("nvml")
def test_without_a_driver_the_start_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_NVML_BROKEN", "1")
    with pytest.raises(AutometricError, match="Driver Not Loaded"):
        log_start(tmp_path / "x.log", extras=["gpu"])


def test_without_the_extra_the_error_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "folder_of", lambda _: None)
    with pytest.raises(AutometricError, match=r"pip install 'autometric-py\[gpu\]'"):
        log_start(tmp_path / "x.log", extras=["gpu_memory"])
    assert not (tmp_path / "x.log").exists()


def test_the_library_is_loaded_only_when_asked_for(tmp_path):
    code = "import sys, autometric_py as a; a.log_start(sys.argv[1]); print('pynvml' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "x"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
