"""``doctor`` on this machine, and on ones where something is wrong."""

import json
import os
import sys

import pytest
from conftest import ROOT

from ppgan_zoo import registry, runtime
from ppgan_zoo.run import doctor
from ppgan_zoo.run.doctor import Finding, examine, summary


@pytest.fixture
def found(monkeypatch, tmp_path):
    """Return all findings by name, with a cache of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def look(directory=None):
        return {finding.name: finding for finding in examine(directory)}

    return look


def test_a_sound_installation_is_well(found):
    findings = found()
    assert summary(list(findings.values()))["well"]
    assert findings["Python"].found.endswith(sys.executable)
    assert str(runtime.available_cores()) in findings["processor"].found
    assert "Paddle" in findings and "accelerator" in findings and "memory" in findings
    embedded = findings["data: mnist"]
    assert embedded.state == "note" and embedded.found.startswith("10,000 images of embedded")
    assert "--data-dir" in embedded.advice


def test_data_that_are_damaged_are_to_be_mended(found, tmp_path):
    folder = tmp_path / "sets" / "mnist"
    folder.mkdir(parents=True)
    (folder / "train-images-idx3-ubyte").write_bytes(b"no images")
    finding = found(str(tmp_path / "sets"))["data: mnist"]
    assert finding.state == "mend" and "train-images-idx3-ubyte" in finding.advice


def test_settings_that_are_wrong_are_named(found, monkeypatch):
    monkeypatch.setenv("PPGAN_ZOO_THREADS", "many")
    finding = found()["Paddle"]
    assert finding.state == "mend" and "PPGAN_ZOO_THREADS" in finding.advice
    monkeypatch.setenv("PPGAN_ZOO_THREADS", str(runtime.available_cores() + 1))
    assert found()["threads"].state == "note"


def test_a_plugin_that_cannot_be_used_is_named(found, monkeypatch):
    real = registry.MODELS.sources()
    broken = {**real, "bad": registry.Source("someone", "no_such_module:SPEC")}
    monkeypatch.setattr(type(registry.MODELS), "sources", lambda self: broken)
    finding = found()["plugin: model bad"]
    assert finding.state == "mend" and "no_such_module" in finding.advice


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(found, monkeypatch, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    monkeypatch.chdir(tmp_path / "closed")
    assert found()["this folder"].state == "mend"


def test_a_folder_that_is_full(found, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: usage)
    assert found()["this folder"].state == "mend"


def test_extras_are_those_of_the_installation(found, monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda name: [
        "numpy>=1", "no-such-package>=2; extra == 'wings'", "numpy ; extra == \"feet\"",
        "pytest; extra == 'dev'",
    ])  # fmt: skip
    findings = found()
    assert findings["extra: wings"].advice == "only if wanted: pip install no-such-package"
    assert findings["extra: feet"].state == "well"
    assert "extra: dev" not in findings


def test_the_command_says_the_same_as_json_and_its_code_follows(cli, tmp_path):
    done = cli("doctor", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer["well"] and {"name", "found", "state", "advice"} == set(answer["findings"][0])
    done = cli("doctor", cwd=tmp_path, env={"PPGAN_ZOO_OPS": "nothing"})
    assert done.returncode == 2
    assert "MEND  accelerator" in done.stdout and "PPGAN_ZOO_OPS" in done.stdout
    assert str(ROOT) in done.stdout


def test_what_is_to_be_mended_decides():
    assert not summary([Finding("a", "b"), Finding("c", "d", "mend", "e")])["well"]
    assert summary([Finding("a", "b", "note", "c")])["well"]
