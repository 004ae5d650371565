"""The plain log: lines are whole, and one that cannot be written stops nothing."""

import errno
import io
import os
import sys
from types import SimpleNamespace

import pytest

from ppgan_zoo.errors import CheckpointError
from ppgan_zoo.storage.run_log import close_log, log_to_file, open_log


@pytest.fixture
def log():
    loggers = []

    def open_at(path):
        loggers.append(open_log(path))
        return loggers[-1]

    yield open_at
    for logger in loggers:
        close_log(logger)


def test_lines_go_to_the_file_and_to_standard_error(log, tmp_path, capfd):
    logger = log(tmp_path / "train.log")
    logger.info("é %d", 5)
    log_to_file(logger, "for the file alone")
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert lines[0].endswith(" INFO é 5")
    assert lines[1].endswith(" ERROR for the file alone")
    assert capfd.readouterr().err == "é 5\n"


def test_a_full_disk_is_said_once_and_costs_its_lines_only(log, tmp_path, capfd):
    path = tmp_path / "train.log"
    logger = log(path)
    with open("/dev/full", "ab", buffering=0) as full:
        os.dup2(full.fileno(), logger.handlers[0]._file.fileno())
    logger.info("one")
    logger.info("two")
    said = f"{path}: cannot be written: No space left on device; training continues"
    assert capfd.readouterr().err.splitlines() == [said, "one", "two"]


def test_a_log_that_is_a_link_or_a_pipe_is_refused(tmp_path):
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="link: cannot be written: is a symbolic link"):
        open_log(tmp_path / "link")
    with pytest.raises(CheckpointError, match="pipe: cannot be written"):
        open_log(tmp_path / "pipe")
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_half_a_line_is_taken_back(log, tmp_path, capfd):
    logger = log(tmp_path / "train.log")
    handler = logger.handlers[0]
    file = handler._file

    class Short:
        """Has room for five bytes, then for none."""

        seek, truncate, close = file.seek, file.truncate, file.close
        room = 5

        def write(self, content):
            if not self.room:
                raise OSError(28, "No space left on device")
            written, self.room = file.write(content[: self.room]), 0
            return written

    logger.info("whole")
    handler._file = Short()
    logger.info("half")
    handler._file = file
    logger.info("whole again")
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert [line.split(" INFO ")[1] for line in lines] == ["whole", "whole again"]


def test_a_terminal_that_is_gone_stops_nothing(log, tmp_path, monkeypatch):
    class Closed:
        def write(self, text):
            raise BrokenPipeError(32, "Broken pipe")

        flush = write

    logger = log(tmp_path / "train.log")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Closed())
        logger.info("line")
    assert (tmp_path / "train.log").read_text().endswith("line\n")


def test_a_log_that_cannot_be_opened_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be written: No such file"):
        open_log(tmp_path / "none" / "train.log")


@pytest.mark.parametrize("number", [errno.EIO, errno.EPIPE])
def test_a_terminal_that_goes_away_under_the_bar_ends_no_run(number, tmp_path, monkeypatch):
    """The bar writes when a line is logged above it, and when it moves."""
    from ppgan_zoo.callbacks.progress import ProgressBar

    class Terminal(io.StringIO):
        gone = False

        def isatty(self):
            return True

        def write(self, text):
            if self.gone:
                raise OSError(number, "gone")
            return super().write(text)

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    trainer = SimpleNamespace(iteration=0)
    bar = ProgressBar(total=4, images_per_step=1, every_steps=1)
    bar.on_train_begin(trainer)
    logger = open_log(tmp_path / "train.log")
    try:
        for trainer.iteration in range(1, 5):
            bar.bar.last_print_t = 0.0  # so that it is drawn at every step
            bar.on_step_end(trainer, {})
            terminal.gone = trainer.iteration > 1
            logger.info("iteration %d", trainer.iteration)
        bar.on_train_end(trainer, None)
    finally:
        close_log(logger)
    assert (tmp_path / "train.log").read_text().count("iteration") == 4
