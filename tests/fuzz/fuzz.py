"""Coverage-guided fuzzing of the IDX reader and the recipe loader, by atheris.

``python tests/fuzz/fuzz.py idx|recipe [libFuzzer options]``, or ``make fuzz``. Whatever
bytes a file has, the readers return or raise their own error with one printable line;
anything else ends the run with the input that did it. Not part of the tests that pytest runs.
"""

import io
import sys

import atheris

with atheris.instrument_imports(include=["ppgan_zoo", "yaml"]):
    from ppgan_zoo.data.idx import idx_sha256, read_idx_stream
    from ppgan_zoo.errors import ConfigError, DataError
    from ppgan_zoo.recipe.load import recipe_from
    from ppgan_zoo.recipe.recipe import Recipe
    from ppgan_zoo.recipe.strict_yaml import parse_yaml


def idx(content: bytes) -> None:
    """Read the bytes as an IDX file of at most a megabyte."""
    try:
        values = read_idx_stream(io.BytesIO(content), "fuzz.idx", max_bytes=1 << 20)
    except DataError as error:
        assert str(error).isprintable() and "fuzz.idx" in str(error), repr(str(error))
    else:
        assert values.size and len(idx_sha256(values)) == 64


def recipe(content: bytes) -> None:
    """Read the bytes as a recipe; one that is accepted must survive being written and read."""
    try:
        text = content.decode("utf-8")
        data = parse_yaml(text, "fuzz.yml").data
        if not isinstance(data, dict):
            return
        accepted = recipe_from(data, "fuzz.yml")
    except UnicodeDecodeError:
        return
    except ConfigError as error:
        assert "\n" not in str(error) and "fuzz.yml" in str(error), repr(str(error))
        return
    again = recipe_from(parse_yaml(accepted.to_yaml(), "again.yml").data)
    assert isinstance(again, Recipe) and again == accepted


TARGETS = {"idx": idx, "recipe": recipe}

if __name__ == "__main__":
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
