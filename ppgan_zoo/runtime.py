"""What must be set around Paddle's import: threads, math library, memory, device, silence.

Paddle's CPU wheel runs on one thread, its bundled MKL takes a slow path on AMD, and the
memory of each large tensor is fetched from the system anew; either of the first two costs
a factor of two or more. Every entry point calls :func:`start` once, before anything else
imports Paddle; a program that uses the zoo as a library does the same with
``ppgan_zoo.runtime.start()``, best before its own ``import paddle``.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import platform
import re
import resource
import shlex
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from ppgan_zoo.errors import INTERRUPTED, ConfigError

CHECKING_FLAG = "FLAGS_check_nan_inf"
"""Lets Paddle look for NaN after every operation."""

DISTRIBUTIONS = {"paddle": "paddlepaddle", "PIL": "pillow", "yaml": "pyyaml"}
"""What ``pip install`` calls a module, where it has another name."""

OWN_GPU = "FLAGS_selected_gpus"
"""By this Paddle's launcher gives each of its processes a GPU of its own."""

MOST_THREADS = 1024
"""Of one process: tens of thousands end it, since the system gives no more."""

DEVICE_PATTERN = re.compile(r"auto|cpu|gpu(:\d+)?")

# Paddle warns of these at import or at the first step; none is about the user's work.
_NOISE = (
    "No ccache found",
    "When training, we now always track global mean and variance",
    "You are using GPU version Paddle, but your CUDA device is not set properly",
)

# Options of mallopt (malloc.h): all from the heap, in steps of 256 MiB, and never given back.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_KEEP_MEMORY = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 256 << 20}


@dataclass(frozen=True)
class Runtime:
    """What :func:`start` chose, as a manifest records it.

    Attributes:
        device: Paddle's name of the device, such as ``"cpu"`` or ``"gpu:0"``.
        threads: Threads of the math library on the CPU.
        amd_mkl: Whether the old MKL was told to use its AVX2 code on this AMD processor.
        memory: ``"kept"`` if memory that tensors leave is kept for the next ones, and
            ``"system"`` if it goes back to the system.
        paddle: Version of Paddle.
    """

    device: str
    threads: int
    amd_mkl: bool
    memory: str
    paddle: str

    def describe(self) -> dict[str, Any]:
        """Return plain data for a manifest, with the processor's name and kind."""
        return {
            **asdict(self),
            **processor(),
            "machine": platform.machine(),
        }


def start(device: str = "auto", threads: int | None = None) -> Runtime:
    """Import Paddle with fast and quiet settings, and choose the device.

    Args:
        device: ``"auto"`` (a GPU if Paddle sees one), ``"cpu"``, ``"gpu"`` or ``"gpu:N"``.
        threads: CPU threads; None takes what :func:`cpu_threads` says.

    Raises:
        ConfigError: A device that is not to be had, Paddle is not installed, or is told to look
            for NaN after every operation.
    """
    if not DEVICE_PATTERN.fullmatch(device):
        raise ConfigError(f"device {device!r}: allowed are auto, cpu, gpu and gpu:N (N from 0)")
    threads = threads or cpu_threads()
    import_paddle()
    import paddle

    if paddle.get_flags(CHECKING_FLAG)[CHECKING_FLAG]:
        raise ConfigError(
            f"{CHECKING_FLAG} is set: Paddle's own batch norm fails by it, since it also looks at "
            "memory that is not written yet; unset it: training looks for NaN itself"
        )
    paddle.base.core.set_num_threads(threads)
    _started.threads = threads
    return Runtime(
        device=_choose_device(device),
        threads=threads,
        amd_mkl=_is_amd(),
        memory=_keep_memory(),
        paddle=paddle.__version__,
    )


def import_paddle() -> None:
    """Import Paddle quietly; Ctrl-C waits until that is done, and a second one does not.

    Paddle's own code takes an interruption for a failure of its own, in words of its own.

    Raises:
        ConfigError: Paddle is not installed, or this machine cannot load it.
        KeyboardInterrupt: Ctrl-C was pressed meanwhile.
    """
    prepare()
    with _interrupted_later(), home_that_can_be_written():
        try:
            import paddle  # noqa: F401
        except Exception as error:
            raise ConfigError(
                f"Paddle cannot be imported ({' '.join(str(error).split())}); install it: "
                f"{how_to_install('paddle')}"
            ) from error


def check_installed(modules: Sequence[str], extra: str, what: str) -> None:
    """Make sure that packages are there which an extra of the zoo brings.

    Raises:
        ConfigError: One is not; it says what to install for `what`.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"{what}: needs {' and '.join(modules)}, and {missing[0]} is not installed; run: "
            f"{how_to_install(' '.join(modules), extra)}"
        )


def how_to_install(module: str, extra: str = "cpu") -> str:
    """Return the command that installs a missing module: with all else that a checkout needs."""
    root = Path(__file__).resolve().parent.parent
    if (root / "pyproject.toml").is_file():
        here = "." if root == Path.cwd() else str(root)
        return f"pip install -e {shlex.quote(f'{here}[{extra}]')}"
    return f"pip install {DISTRIBUTIONS.get(module, module)}"


@contextlib.contextmanager
def home_that_can_be_written() -> Iterator[None]:
    """Let Paddle write elsewhere inside the block where it cannot at home.

    Its import and its translation of a net make folders in ``~/.cache/paddle``, and fail
    without them.
    """
    cache = Path(os.path.expanduser("~"), ".cache", "paddle")
    with contextlib.suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
    if os.access(cache, os.W_OK):
        yield
        return
    before = os.environ.get("HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["HOME"]
            else:
                os.environ["HOME"] = before


@contextlib.contextmanager
def _interrupted_later() -> Iterator[None]:
    """Put Ctrl-C off until the block is done; a second one ends the process at once."""
    before = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not callable(before):  # ignored, or left to the system
        yield
        return
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if came:
            os._exit(INTERRUPTED + number)
        came.append(number)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            raise KeyboardInterrupt


def prepare() -> None:
    """Set what Paddle reads at its import and silence its noise; imports nothing."""
    if _is_amd():
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")
    os.environ.setdefault("GLOG_minloglevel", "2")
    for message in _NOISE:
        warnings.filterwarnings("ignore", message=f".*{message}")


def _keep_memory() -> str:
    """Tell glibc to keep freed memory: paging it in anew is a tenth of a step and more.

    ``PPGAN_ZOO_MEMORY=system`` leaves the allocator as it is.
    """
    wanted = os.environ.get("PPGAN_ZOO_MEMORY", "kept")
    if wanted not in ("kept", "system"):
        raise ConfigError(f"PPGAN_ZOO_MEMORY={wanted!r}: must be kept or system")
    if wanted == "system" or platform.libc_ver()[0] != "glibc":
        return "system"
    mallopt = ctypes.CDLL(None).mallopt
    done = [mallopt(option, value) for option, value in _KEEP_MEMORY.items()]
    return "kept" if all(done) else "system"


class _Started:
    """What :func:`start` set last, since Paddle does not tell."""

    threads = 1  # Paddle's own


_started = _Started()


def python_module(module: str, python: str | None = None) -> tuple[str, ...]:
    """Return the command that runs a module in a process of its own, without its arguments.

    Unlike ``python -m`` it looks for modules in no current folder, where a stranger's data may
    lie, or a file of the user's that has the name of a library.

    Args:
        module: Its name.
        python: The interpreter; None for the one that runs this.
    """
    return python or sys.executable, "-c", _RUN, str(Path(__file__).resolve().parents[1]), module


_RUN = """
import sys
if not sys.path[0]:  # with PYTHONSAFEPATH it is not the current folder
    del sys.path[0]
_, folder, module, *arguments = sys.argv
sys.path.append(folder)
sys.argv[1:] = arguments
import runpy
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def threads() -> int:
    """Return how many threads the math library works with."""
    return _started.threads


def available_cores() -> int:
    """Return how many cores this process may use: its affinity and its cgroup's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores or 1, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # no cgroup v2 here
    return cores or 1


def available_memory() -> int:
    """Return how many bytes this process may use: the machine's, its cgroup's, its limit."""
    size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        # The other version of cgroups has no such file, and this one may say "max".
        with contextlib.suppress(OSError, ValueError):
            size = min(size, int(Path("/sys/fs/cgroup", name).read_text()))
    for limit in (resource.RLIMIT_DATA, resource.RLIMIT_AS):
        allowed = resource.getrlimit(limit)[0]
        if allowed != resource.RLIM_INFINITY:
            size = min(size, allowed)
    return size


def cpu_threads() -> int:
    """Return how many threads to use: ``PPGAN_ZOO_THREADS``, or every core to be had.

    Of several processes that Paddle's launcher started on this machine, each has its share.
    """
    # Not OMP_NUM_THREADS: Paddle sets that to 1 in the environment of every child process.
    value = os.environ.get("PPGAN_ZOO_THREADS")
    if value is None:
        together = os.environ.get("PADDLE_LOCAL_SIZE", "1")
        return max(1, available_cores() // max(1, int(together) if together.isdigit() else 1))
    if not re.fullmatch("[0-9]{1,9}", value) or not 1 <= int(value) <= MOST_THREADS:
        raise ConfigError(
            f"PPGAN_ZOO_THREADS={value!r}: must be a whole number from 1 to {MOST_THREADS}"
        )
    return int(value)


def _choose_device(device: str) -> str:
    import paddle

    gpus = paddle.device.cuda.device_count() if paddle.is_compiled_with_cuda() else 0
    own = os.environ.get(OWN_GPU, "0").partition(",")[0]
    first = f"gpu:{own}" if own.isdigit() else "gpu:0"
    if device == "auto":
        device = first if gpus else "cpu"
    elif device == "gpu":
        device = first
    if device != "cpu" and int(device.partition(":")[2]) >= gpus:
        build = "sees" if paddle.is_compiled_with_cuda() else "is built for the CPU and sees"
        raise ConfigError(
            f"device {device}: this Paddle {build} {gpus} GPUs; use --device cpu, or install "
            "paddlepaddle-gpu on a machine that has one"
        )
    return str(paddle.set_device(device)).lower().replace("place(", "").rstrip(")")


def _is_amd() -> bool:
    return cpu_field("vendor_id") == "AuthenticAMD"


def processor() -> dict[str, str]:
    """Return the processor's name and its kind in words, as manifests have them."""
    kind = ", ".join(f"{key} {value}" for key, value in processor_kind().items())
    return {"processor": cpu_field("model name"), "processor_kind": kind}


def processor_kind() -> dict[str, str]:
    """Return what tells kinds of processors apart whose names are the same, as in virtual machines.

    Products are computed by other instructions on each, and so round differently.
    """
    numbers = {name: cpu_field(name) for name in ("cpu family", "model", "stepping")}
    return {
        **numbers,
        "instructions": instructions("avx2", "avx512f"),
        "allowed": os.environ.get("ONEDNN_MAX_CPU_ISA", "all"),
    }


def instructions(*wanted: str) -> str:
    """Return those of some sets of instructions that the processor has, with blanks between."""
    there = cpu_field("flags").split()
    return " ".join(name for name in wanted if name in there)


def cpu_field(name: str) -> str:
    """Return a field of the first processor in ``/proc/cpuinfo``, or its name where that is not."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(name):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()
