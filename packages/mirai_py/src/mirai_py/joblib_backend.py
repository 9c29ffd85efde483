"""Daemons as a backend of joblib, and so of scikit-learn: what `register_joblib` registers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from joblib.parallel import AutoBatchingMixin, ParallelBackendBase, SequentialBackend

from mirai_py.errors import MiraiValueError
from mirai_py.futures import MiraiFuture
from mirai_py.profiles import Profile, require_profile
from mirai_py.submit import submit_call

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future


class MiraiBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc] # joblib has no types
    """Runs joblib's batches on the daemons of a compute profile.

    Args:
        compute: the profile; None is the one that is current when a `Parallel` starts.
        options: joblib's own.
    """

    supports_retrieve_callback = True
    default_n_jobs = -1

    def __init__(self, compute: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._compute = compute
        self._profile: Profile | None = None
        self._lock = threading.Lock()
        # In the order of submission.
        self._futures: dict[MiraiFuture, None] = {}

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Look up the daemons; a `Parallel` starts."""
        self.parallel = parallel
        self._profile = require_profile(self._compute)
        # Where joblib is told 1 it stays in this process; a single daemon is a place of its own.
        return 1 if n_jobs == 1 else max(2, self.effective_n_jobs(n_jobs))

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many run at once: all daemons for -1, one less for -2 and so on, never more than there are."""
        if n_jobs == 0:
            raise MiraiValueError("`n_jobs` is 0: give a number of daemons, or -1 for all")
        profile = self._profile or require_profile(self._compute)
        daemons = max(profile.engine.info().connections, profile.n, 1)
        if n_jobs is None:
            return daemons
        return min(n_jobs, daemons) if n_jobs > 0 else max(1, daemons + 1 + n_jobs)

    def submit(
        self, func: Callable[[], Any], callback: Callable[[Future[Any]], object] | None = None
    ) -> MiraiFuture:
        """Hand a batch to the daemons."""
        assert self._profile is not None
        mirai = submit_call(self._profile, _call, (func,), {})
        assert mirai is not None
        future = MiraiFuture()
        with self._lock:
            self._futures[future] = None
        future.add_done_callback(self._forget)
        if callback is not None:
            future.add_done_callback(callback)
        future.follow(mirai)
        return future

    def _forget(self, future: Any) -> None:
        with self._lock:
            self._futures.pop(future, None)

    def retrieve_result_callback(self, out: MiraiFuture) -> Any:
        """The value of a batch, or its exception."""
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Stop what is under way, last to first; the daemons stay."""
        del ensure_ready
        with self._lock:
            futures = list(self._futures)
        for future in reversed(futures):
            future.cancel()

    def get_nested_backend(self) -> tuple[Any, int | None]:
        """A `Parallel` inside a task runs there, one after the other."""
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None


def _call(batch: Callable[[], Any]) -> Any:
    return batch()
