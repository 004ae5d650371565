"""How well training would scale to many processes: what they exchange, and how long that takes.

Bytes and messages of an iteration are counted: the step is run with stand-ins for Paddle's
collectives. Its time is measured in one process and, if asked for, in two. Each of N processes
then has the batch of one (the whole batch grows with N), and the efficiency is ::

    E(N) = t / (t + (N - 1) d + c(N))
    c(N) = (2 (N - 1) / N * (R + N H) + (N - 1) G) / B + (m_R + m_G / 2) * 2 * hops(N) * a

t is the time of a step alone, and d that of drawing z, noise and masks for the batch of one, since
each process draws for all and takes its rows. B is the bandwidth and a the latency of the network.
R are the bytes of what is all-reduced; of the whole batch's rows, G bytes are gathered from each
process, and H from each are all-reduced on the way back. m_R and m_G are the messages of both
kinds. hops(N) is ``N - 1`` in a ring, as gloo has it, and ``log2 N`` in a tree. Nothing overlaps:
gradients are averaged when all of them are there.

``--link MBIT`` measures what a step in two processes takes over a loopback of that bandwidth,
in a network namespace of its own, beside what the formula says. It needs Linux, root and ``tc``.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ppgan_zoo import runtime
from ppgan_zoo.errors import ConfigError, ZooError
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.shipped import find_recipe

PROCESSES = (8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class Network:
    """A network between processes: bytes a second, and seconds from one to the next."""

    name: str
    bandwidth: float
    latency: float


NETWORKS = (
    Network("10 Gbit/s", 10e9 / 8, 50e-6),
    Network("25 Gbit/s", 25e9 / 8, 30e-6),
    Network("100 Gbit/s", 100e9 / 8, 10e-6),
    Network("NVLink, 450 GB/s", 450e9, 3e-6),
)


@dataclass(frozen=True)
class Traffic:
    """What a process exchanges in an iteration, on average.

    Attributes:
        reduced: Bytes that are all-reduced, however many processes there are: R.
        gathered: Bytes that each process gives of its rows: G.
        reduced_rows: Bytes all-reduced for each process's rows: H.
        reductions: How many all-reduces.
        gathers: How many gathers.
    """

    reduced: float
    gathered: float
    reduced_rows: float
    reductions: float
    gathers: float


def seconds_of(traffic: Traffic, network: Network, processes: int, tree: bool = False) -> float:
    """Return c(N) of the formula above."""
    n = processes
    sent = 2 * (n - 1) / n * (traffic.reduced + n * traffic.reduced_rows)
    sent += (n - 1) * traffic.gathered
    hops = math.ceil(math.log2(n)) if tree else n - 1
    messages = traffic.reductions + traffic.gathers / 2
    return sent / network.bandwidth + messages * 2 * hops * network.latency


def efficiency(
    step: float, drawing: float, traffic: Traffic, network: Network, n: int, tree: bool
) -> float:
    """Return E(N) of a step that takes so many seconds alone, some of them for drawing."""
    return step / (step + (n - 1) * drawing + seconds_of(traffic, network, n, tree))


class Counter:
    """Stands in for Paddle's collectives, and counts; this process plays the first of several."""

    def __init__(self, size):
        self.size = size
        self.reduced = self.gathered = self.reductions = self.gathers = 0
        self.drawing = 0.0

    def all_reduce(self, tensor, *arguments, **options):
        """Leave the tensor as it is."""
        self.reductions += 1
        self.reduced += tensor.size * tensor.element_size()

    def all_gather(self, parts, tensor, *arguments, **options):
        """Give it once for each process."""
        self.gathers += 1
        self.gathered += tensor.size * tensor.element_size()
        parts.extend([tensor] * self.size)

    def average_gradients(self, group, parameters):
        """Count the gradients as one message."""
        self.reductions += 1
        self.reduced += sum(p.grad.size * 4 for p in parameters if p.grad is not None)

    def timed(self, draw):
        """Return `draw`, whose processor time is counted."""

        @functools.wraps(draw)
        def drawing(*arguments, **options):
            start = time.process_time()
            result = draw(*arguments, **options)
            self.drawing += time.process_time() - start
            return result

        return drawing

    @contextlib.contextmanager
    def in_place(self):
        """Stand in for them inside."""
        from paddle import distributed

        from ppgan_zoo.distributed import collectives, group
        from ppgan_zoo.training.chance import Chance

        # What draws for all processes, wherever it was imported to.
        takers = [m for m in sys.modules.values() if vars(m).get("drawn") is collectives.drawn]
        average = functools.partialmethod(lambda group, rows: self.average_gradients(group, rows))
        places = [
            (distributed, "all_reduce", self.all_reduce),
            (distributed, "all_gather", self.all_gather),
            (group.Group, "average_gradients", average),
            (group._SharedGenerator, "_own", self.timed(group._SharedGenerator._own)),
            (Chance, "arrays", self.timed(Chance.arrays)),
            *((module, "drawn", self.timed(collectives.drawn)) for module in takers),
        ]
        with contextlib.ExitStack() as stack:
            for owner, name, stand_in in places:
                stack.callback(setattr, owner, name, vars(owner)[name])
                setattr(owner, name, stand_in)
            yield


def traffic_of(recipe, iterations: int) -> Traffic:
    """Return what a process with the recipe's batch exchanges in an iteration.

    Args:
        recipe: The recipe.
        iterations: How many to count; best a multiple of the intervals of lazy terms.
    """
    two, four = (_counted(recipe, iterations, size) for size in (2, 4))
    # What grows with the processes is of their rows.
    rows = (four.reduced - two.reduced) / 2
    return Traffic(
        reduced=(two.reduced - 2 * rows) / iterations,
        gathered=two.gathered / iterations,
        reduced_rows=rows / iterations,
        reductions=two.reductions / iterations,
        gathers=two.gathers / iterations,
    )


def drawing_of(recipe, iterations: int) -> float:
    """Return the seconds of an iteration in which a process draws for the batch of one of them."""
    two, eight = (_counted(recipe, iterations, size) for size in (2, 8))
    return (eight.drawing - two.drawing) / 6 / iterations


def _counted(recipe, iterations, size):
    from ppgan_zoo.distributed.group import Group

    trainer, batches = build(recipe, Group(0, size))
    batches = trainer.shares_of(batches)
    counter = Counter(size)
    with counter.in_place():
        for iteration in range(iterations):
            trainer.step(batches[iteration])
    return counter


def build(recipe, group):
    """Return a trainer and batches; each process has the recipe's batch of images."""
    from ppgan_zoo.run.build import build_model_and_trainer
    from ppgan_zoo.run.job import build_job

    data = recipe.data.model_copy(update={"batch_size": recipe.data.batch_size * group.size})
    job = build_job(recipe.model_copy(update={"data": data}), offline=True)
    trainer = build_model_and_trainer(job.recipe, job.facts, job.iterations, group=group)
    return trainer, job.batches


def slow_loopback(mbit: int) -> list[str]:
    """Return the beginning of a command that runs in a network of its own, with a slow loopback."""
    made = (
        "ip link set lo up && ip link set lo mtu 9000 && "
        f'tc qdisc add dev lo root tbf rate {mbit}mbit burst 256kb latency 200ms && exec "$@"'
    )
    return ["unshare", "--net", "sh", "-c", made, "sh"]


def measured(config, overrides, processes, iterations, link=None) -> float:
    """Return the median seconds of a step in so many processes of this machine.

    Each has a thread; `link` is the bandwidth of the loopback between them, if it is to be slow.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer")
        launcher = ["-m", "paddle.distributed.launch", "--nproc_per_node", str(processes)]
        command = [
            *(slow_loopback(link) if link else []), sys.executable,
            *([*launcher, "--log_dir", folder] if processes > 1 else []),
            str(Path(__file__).resolve()), "-c", config, "--iterations", str(iterations),
            *(part for override in overrides for part in ("-o", override)),
            "--answer", str(answer),
        ]  # fmt: skip
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PADDLE_", "FLAGS_"))}
        done = subprocess.run(
            command, env={**clean, "PPGAN_ZOO_THREADS": "1"}, capture_output=True, check=False
        )
        if not answer.exists():
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
            raise ConfigError(f"{config}: {processes} processes gave no answer: {last[0]}")
        return float(answer.read_text())


def time_steps(recipe, iterations, answer):
    """Time the steps of this process, and let the first one write their median."""
    from ppgan_zoo.distributed.group import Group

    runtime.start("cpu")
    trainer, batches = build(recipe, Group.current())
    batches = trainer.shares_of(batches)
    seconds = []
    for iteration in range(iterations + 2):
        real = batches[iteration]
        start = time.perf_counter()
        float(trainer.step(real)["loss/generator"])
        seconds.append(time.perf_counter() - start)
    if trainer.chance.group.leads:
        answer.write_text(str(statistics.median(seconds[2:])))


def rows_of(found, tree):
    """Return lines of a Markdown table: a recipe and a network, and the efficiencies."""
    sizes = " | ".join(f"{n:,}" for n in PROCESSES)
    lines = [f"| recipe | network | {sizes} |", "| --- | --- |" + " --- |" * len(PROCESSES)]
    for recipe, entry in found.items():
        for network in NETWORKS:
            values = [
                efficiency(*_times(entry), Traffic(**entry["traffic"]), network, n, tree)
                for n in PROCESSES
            ]
            cells = " | ".join(f"{value:.0%}" for value in values)
            lines.append(f"| `{recipe}` | {network.name} | {cells} |")
    return lines


def _times(entry):
    return entry["seconds"], entry["drawing"]


def facts_of(found):
    """Return lines of a Markdown table: what was counted and measured."""
    lines = [
        "| recipe | batch of a process | all-reduced | messages | drawing | step, 1 process | "
        "2 processes |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for recipe, entry in found.items():
        traffic = Traffic(**entry["traffic"])
        messages = traffic.reductions + traffic.gathers
        one, two = (f"{1000 * entry[key]:.0f} ms" if entry[key] else "" for key in ("one", "two"))
        lines.append(
            f"| `{recipe}` | {entry['batch']} | {traffic.reduced / 1e6:.2f} MB | {messages:.0f} | "
            f"{1000 * entry['drawing']:.2f} ms | {one} | {two} |"
        )
    return lines


def links_of(found, mbit):
    """Return lines that hold the formula against a step over a slow loopback."""
    lines = [f"over a loopback of {mbit} Mbit/s, two processes:"]
    for recipe, entry in found.items():
        # Both processes send over the one link, so that each has half of it.
        network = Network("loopback", mbit * 1e6 / 8 / 2, 0.0)
        exchange = seconds_of(Traffic(**entry["traffic"]), network, 2)
        wanted = 1000 * (entry["two"] + exchange)
        lines.append(
            f"  {recipe}: {1000 * entry['link']:.0f} ms a step; by the formula {wanted:.0f} ms, "
            f"{1000 * exchange:.0f} ms of them for the exchange"
        )
    return lines


def draw(found, tree, path):
    """Draw the efficiency over the number of processes, a panel a recipe."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(3, len(found))
    lines = -(-len(found) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.8 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).flat
    for axes, (recipe, entry) in zip(panels, found.items(), strict=False):
        for network in NETWORKS:
            traffic = Traffic(**entry["traffic"])
            values = [
                efficiency(*_times(entry), traffic, network, n, tree) for n in (1, 2, 4, *PROCESSES)
            ]
            axes.plot((1, 2, 4, *PROCESSES), values, marker=".", label=network.name)
        axes.set(title=recipe, xscale="log", ylim=(0, 1.02), xlabel="processes")
        axes.set_xscale("log", base=2)
    figure.axes[0].set_ylabel("efficiency")
    figure.axes[0].legend(fontsize=7)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> int:
    """Count, measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-c", "--config", action="append", required=True, metavar="RECIPE")
    parser.add_argument("-o", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--iterations", type=int, default=16, help="to count and to time")
    parser.add_argument(
        "--step-ms", action="append", type=float, default=[], metavar="MS",
        help="of each recipe, in place of timing: what a step takes alone, measured elsewhere",
    )  # fmt: skip
    parser.add_argument("--two", action="store_true", help="time two processes too")
    parser.add_argument("--link", type=int, metavar="MBIT", help="time two over a slow loopback")
    parser.add_argument("--tree", action="store_true", help="hops as in a tree, not as in a ring")
    parser.add_argument(
        "--faster", type=float, default=1.0, metavar="F",
        help="figures for devices on which a step is F times as fast",
    )  # fmt: skip
    parser.add_argument("--plot", type=Path, metavar="PNG")
    parser.add_argument("--output", type=Path, metavar="JSON", help="what was counted and timed")
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        if options.answer is not None:
            recipe = load_recipe(find_recipe(options.config[0]), options.overrides)
            time_steps(recipe, options.iterations, options.answer)
            return 0
        if options.step_ms and len(options.step_ms) != len(options.config):
            raise ConfigError("--step-ms: give it once for each recipe, or not at all")
        steps = [ms / 1000 for ms in options.step_ms] or [None] * len(options.config)
        found = {
            name: _found(name, step, options)
            for name, step in zip(options.config, steps, strict=True)
        }
    except ZooError as error:
        print(f"scaling.py: {error}", file=sys.stderr)
        return 2
    if options.link:
        print(*links_of(found, options.link), "", sep="\n")
    print(*facts_of(found), "", *rows_of(found, options.tree), sep="\n")
    if options.output:
        options.output.write_text(json.dumps(found, indent=1) + "\n")
    if options.plot:
        draw(found, options.tree, options.plot)
    return 0


def _found(name, step, options):
    path = find_recipe(name)
    recipe = load_recipe(path, options.overrides)
    one = step or measured(name, options.overrides, 1, options.iterations)
    both = functools.partial(measured, name, options.overrides, 2, options.iterations)
    runtime.start("cpu", 1)
    return {
        "batch": recipe.data.batch_size,
        "one": one,
        "two": both() if options.two or options.link else None,
        "link": both(link=options.link) if options.link else None,
        "seconds": one / options.faster,
        "drawing": drawing_of(recipe, options.iterations),  # on processors, whatever the device
        "traffic": asdict(traffic_of(recipe, options.iterations)),
    }


if __name__ == "__main__":
    sys.exit(main())
