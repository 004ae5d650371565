"""Malformed command lines."""

from pathlib import Path

from harness import Case, Stock


def _case(name: str, *arguments: str, says: tuple[str, ...]) -> Case:
    return Case(name, arguments, says)


def _file(folder: Path, stock: Stock) -> None:
    (folder / "file").write_text("in the way")


CASES = [
    _case("no command", says=("command", "ppgan-zoo --help")),
    _case("unknown command", "trian", says=("'trian'", "did you mean 'train'", "ppgan-zoo --help")),
    _case("unknown flag", "train", "--confg", "x", says=("--confg", "ppgan-zoo train --help")),
    _case("unknown flag of sample", "sample", "x", "--bset", says=("--bset", "sample --help")),
    _case("flag without value", "train", "-c", says=("-c", "expected one argument", "--help")),
    _case("too many arguments", "list", "x", says=("unrecognized arguments: x", "--help")),
    _case("required flag", "export", says=("--checkpoint", "--output", "export --help")),
    _case("required argument", "sample", says=("MODEL", "sample --help")),
    _case("unknown choice", "list", "--format", "xml", says=("'xml'", "json", "list --help")),
    _case("count in words", "sample", ".", "-n", "many", says=("-n", "'many'", "sample --help")),
    _case("count of 5000 digits", "sample", ".", "-n", "9" * 5000, says=("-n", "sample --help")),
    _case("no count", "sample", ".", "-n", "0", says=("-n 0", "1 to 1000000")),
    _case("negative count", "sample", ".", "-n", "-5", says=("-n -5", "1 to 1000000")),
    _case("huge count", "sample", ".", "-n", "1000001", says=("-n 1000001", "1 to 1000000")),
    _case("seed in words", "sample", ".", "--seed", "one", says=("--seed", "'one'")),
    _case("negative seed", "sample", ".", "--seed", "-1", says=("--seed -1", "give 0")),
    _case("huge seed", "train", "-c", "demo", "--seed", "9" * 30, says=("seed", "9999")),
    _case("suffix of another kind", "sample", ".", "--output", "x.jpg", says=("x.jpg", ".npy")),
    _case("a shard of a file", "sample", ".", "--shard", "9", says=("--shard 9", "a folder")),
    _case("a shard of nothing", "sample", ".", "--output", "x", "--shard", "0", says=("--shard 0",)),
    _case("a list of no seeds", "sample", ".", "--seeds", "3,x", says=("--seeds 3,x", "3,17,40-60")),
    _case("a range that ends first", "sample", ".", "--seeds", "9-3", says=("'9-3'", "low to high")),
    _case("a seed twice", "sample", ".", "--seeds", "3,1-5", says=("--seeds 3,1-5", "twice")),
    _case("too many seeds", "sample", ".", "--seeds", "0-1000000", says=("1000000", "fewer")),
    _case("seeds and a count", "sample", ".", "--seeds", "5", "-n", "3", says=("--seeds", "leave out")),
    _case("seeds and a seed", "sample", ".", "--seeds", "5", "--seed", "3", says=("--seeds", "leave out")),
    _case("a direction with stops", "walk", ".", "--direction", "pca1", "--stops", "3",
          "--output", "x.gif", says=("--direction", "leave out --stops")),
    _case("a folder without a card", "info", ".", says=("holds no checkpoint.json", "not of runs")),
    Case("a run against pictures", ("evaluate", "run", "--against", "run"),
         ("is a run", "ppgan-zoo sample"), lambda folder, stock: _run_and_file(folder, stock)),
    _case("seeds of 5000 digits", "sample", ".", "--seeds", "9" * 5000, says=("--seeds", "not a seed")),
    Case("samples over a file", ("sample", "run", "-n", "2", "--output", "file.png"),
         ("file.png", "--overwrite"), lambda folder, stock: _run_and_picture(folder, stock)),
    Case("samples over a folder", ("sample", "run", "-n", "2", "--output", "full"),
         ("full", "another name"), lambda folder, stock: (_run_and_file(folder, stock), _full(folder))),
    Case("a result over a file", ("evaluate", "run", "--output", "mine.json"),
         ("mine.json", "--overwrite"), lambda folder, stock: _run_and_picture(folder, stock)),
    _case("no such model", "sample", "nowhere", says=("nowhere", "no such directory")),
    _case("an empty model", "sample", "", says=("no such directory", "exported model")),
    _case("neither run nor model", "sample", ".", says=("neither a run", "checkpoints/")),
    Case("a file for a model", ("sample", "file"), ("file", "no such directory"), _file),
    _case("an escape in a flag", "--\x1b[31mred", says=("ppgan-zoo --help",)),
    _case("a newline in a flag", "train", "--a\nb", says=("train --help",)),
    _case("bytes that are no text", "sample", "\udcff\udcfe", says=("no such directory",)),
    _case("a name too long", "sample", "x" * 5000, says=("xxx", "no such directory",)),
    _case("a word too long", "x" * 5000, says=("invalid choice", "ppgan-zoo --help")),
    _case("unknown device", "sample", ".", "--device", "tpu", says=("device 'tpu'", "allowed")),
    _case("no such device", "sample", ".", "--device", "gpu:99", says=("device gpu:99",)),
    _case("no model of that name", "info", "dcgn", says=("unknown model 'dcgn'", "'dcgan'")),
    _case("a recipe for a model", "info", "demo", says=("demo is a recipe", "--dry-run")),
    _case("a recipe's file for a model", "info", "configs/demo.yml", says=("configs/demo.yml is a recipe", "-c configs/demo.yml")),
    _case("a recipe to check", "check", "demo.yml", says=("demo.yml is a recipe", "--dry-run")),
    _case("a path for a kind of data", "evaluate", ".", "--data", ".",
          says=("--data .: is a path", "--data folder --data-dir .")),
    _case("one iteration of a first phase", "stability", "demo", "--output", "x", "--iterations", "1",
          says=("--iterations 1", "give 2 or more")),
    _case("own pictures without any", "train", "-c", "own_32",
          says=("data.directory: data/pictures: no such folder", "-c own_32 --data PICTURES")),
    _case("a name that leaves", "info", "../../x", says=("unknown model '../../x'", "known:")),
    _case("a model to check", "check", "dcgn", says=("unknown model 'dcgn'", "'dcgan'")),
    _case("a spec that is none", "check", "os.path:join", says=("os.path:join", "GanSpec")),
    _case("a spec of nothing", "check", ":", says=("cannot be loaded", "ValueError")),
    _case("a z of no size", "check", "dcgan", "--latent-dim", "0", says=("--latent-dim 0", "1")),
    _case("a huge z", "check", "dcgan", "--latent-dim", "9" * 11, says=("latent_dim", "32 bits")),
    _case("no net to check", "check", "dcgan", "-o", "x.y=1", says=("x", "has no such net")),
    _case("a name with dots", "info", "os.path:join", says=("unknown model", "known:")),
    _case("nothing to train", "train", says=("needs -c RECIPE", "--resume")),
    _case("train and resume", "train", "-c", "demo", "--resume", says=("leave out -c",)),
    _case("resume twice", "train", "--resume", "a", "--output", "b", says=("leave out --output",)),
    _case("nothing to resume", "train", "--resume", says=("no run to resume",)),
    _case("no such run", "train", "--resume", "nowhere", says=("nowhere", "not a run")),
    _case("no such data", "train", "-c", "demo", "--data-dir", "nowhere", says=("nowhere",)),
    Case("a file for output", ("export", "--checkpoint", "run", "--output", "file/x"),
         ("file", "File exists"), lambda folder, stock: _run_and_file(folder, stock)),
    Case("output that is not empty", ("train", "-c", "demo", "--output", "full"),
         ("full", "is not empty", "another --output"), lambda folder, stock: _full(folder)),
    Case("export over other files", ("export", "--checkpoint", "run", "--output", "full"),
         ("full",), lambda folder, stock: (_run_and_file(folder, stock), _full(folder))),
    _case("no such checkpoint", "export", "--checkpoint", "x", "--output", "y", says=("no such directory",)),
]  # fmt: skip


def _run_and_file(folder: Path, stock: Stock) -> None:
    (folder / "run").symlink_to(stock.run)
    _file(folder, stock)


def _run_and_picture(folder: Path, stock: Stock) -> None:
    _run_and_file(folder, stock)
    (folder / "file.png").write_bytes(b"mine")
    (folder / "mine.json").write_text("{}")


def _full(folder: Path) -> None:
    (folder / "full").mkdir()
    (folder / "full" / "precious.txt").write_text("mine")
