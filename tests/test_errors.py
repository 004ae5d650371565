"""What the system refuses becomes one line of the zoo's; everything else stays what it is."""

import errno

import pytest
from pydantic import BaseModel, ValidationError

from ppgan_zoo.errors import CheckpointError, ConfigError, first_fault, os_errors, reason_of


def said(kind, error, *arguments, **options):
    with pytest.raises(kind) as caught, os_errors(kind, *arguments, **options):
        raise error
    assert type(caught.value) is kind
    assert caught.value.__suppress_context__  # no second traceback for who catches it
    return str(caught.value)


def test_where_the_systems_reason_and_what_to_do(tmp_path):
    path = tmp_path / "recipe.yml"
    with pytest.raises(ConfigError) as caught, os_errors(ConfigError, f"{path}: cannot be read"):
        path.read_bytes()
    assert str(caught.value) == f"{path}: cannot be read: No such file or directory"
    full = OSError(errno.ENOSPC, "No space left on device", "elsewhere")
    assert said(CheckpointError, full, "a: cannot be written", then="make room") == (
        "a: cannot be written: No space left on device; make room"
    )


def test_an_error_that_has_no_number_says_its_text():
    assert said(ConfigError, OSError("of a library"), "a: cannot be read") == (
        "a: cannot be read: of a library"
    )


@pytest.mark.parametrize("error", [ValueError("x"), CheckpointError("x"), KeyboardInterrupt()])
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as caught, os_errors(ConfigError, "a: cannot be read"):
        raise error
    assert caught.value is error


def test_a_block_that_ends_well_is_left_alone():
    with os_errors(ConfigError, "a: cannot be read"):
        found = 1
    assert found == 1


class Inner(BaseModel):
    sides: dict[str, int]


class Outer(BaseModel):
    inner: Inner


def fault_in(value):
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(value)
    return caught.value


def test_what_is_wrong_with_a_file_of_keys_is_named_by_its_key():
    fault = first_fault(fault_in({"inner": {"sides": {"MNIST": "28 px"}}}))
    assert (fault.key, fault.found) == ("inner.sides.MNIST", "28 px")
    assert fault.reason.startswith("input should be a valid integer")
    assert str(fault) == f"inner.sides.MNIST: {fault.reason}"
    assert str(first_fault(fault_in(3))).startswith("input should be a valid dictionary")


def test_the_reason_of_an_error_is_one_line():
    assert reason_of(fault_in({})) == "inner: field required"
    assert reason_of(OSError(errno.EACCES, "Permission denied", "a")) == "Permission denied"
    assert reason_of(ValueError("first\nsecond")) == "first"
