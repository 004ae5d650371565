"""What the source of a model says of its nets: classes, arguments and what they mean.

Nothing is imported, so that it takes no time; what a source says in another way than the zoo's
own do is not understood, and then the model has to be imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ppgan_zoo.models.docstrings import meanings_in
from ppgan_zoo.models.outline import constants_of, parse_source, spec_call

Place = tuple[str, ast.ClassDef]
"""A class, and the name of the module that it stands in."""


@dataclass(frozen=True)
class ArgumentOutline:
    """An argument of a net's constructor, as text.

    Attributes:
        type: Its annotation.
        default: Its default, as Python writes it.
        meaning: What the class's docstring says of it, or "".
    """

    type: str
    default: str
    meaning: str


@dataclass(frozen=True)
class NetOutline:
    """A net before it is built.

    Attributes:
        name: Of the class, with its module.
        arguments: By name, in order.
    """

    name: str
    arguments: Mapping[str, ArgumentOutline]

    def constant(self, argument: str) -> Any:
        """Return an argument's default; None if there is no such argument.

        Raises:
            ValueError: It is no plain constant.
        """
        if argument not in self.arguments:
            return None
        return ast.literal_eval(self.arguments[argument].default)


@dataclass(frozen=True)
class SpecOutline:
    """A model before it is imported.

    Attributes:
        fields: Of its :class:`ppgan_zoo.GanSpec`, those that are plain constants.
        nets: By name, G first and D second.
    """

    fields: Mapping[str, Any]
    nets: Mapping[str, NetOutline]


def read_spec(target: str) -> SpecOutline | None:
    """Read the source of a model of the zoo.

    Args:
        target: Where its spec is: ``"module:ATTRIBUTE"``.

    Returns:
        What it says; None where it says it in a way that is not understood here.
    """
    module, _, attribute = target.partition(":")
    try:
        tree = parse_source(module)
        call = spec_call(tree, attribute)
        if call is None:
            return None
        nets = {
            role: _net(_find_class(module, name))
            for role, name in _classes(call)
            if name is not None
        }
        return SpecOutline(constants_of(call), nets) if len(nets) >= 2 else None
    except (ImportError, OSError, SyntaxError, ValueError, LookupError, RecursionError):
        return None


def _classes(call: ast.Call) -> Iterator[tuple[str, str | None]]:
    """Yield the role and the name of the class of each net that a spec names."""
    given = {str(keyword.arg): keyword.value for keyword in call.keywords}
    for role in ("generator", "discriminator"):
        value = given.get(role)
        yield role, value.id if isinstance(value, ast.Name) else None
    others = given.get("other_nets")
    if isinstance(others, ast.Dict):
        for key, value in zip(others.keys, others.values, strict=True):
            yield ast.literal_eval(key or value), value.id if isinstance(value, ast.Name) else None


def _find_class(module: str, name: str) -> Place:
    """Return a class by the name that a module knows it by, wherever it stands.

    Raises:
        LookupError: It is not to be found.
    """
    for node in parse_source(module).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return _find_class(node.module, alias.name)
    raise LookupError(name)


def _net(place: Place) -> NetOutline:
    module, cls = place
    documented = next((text for _, one in _line(place) if (text := ast.get_docstring(one))), "")
    meanings = meanings_in(documented)
    home, init = next(
        (where, node)
        for where, one in _line(place)
        for node in one.body
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )
    arguments = {}
    for argument, default in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True):
        if argument.annotation is None or default is None:
            raise LookupError(argument.arg)
        arguments[argument.arg] = ArgumentOutline(
            ast.unparse(argument.annotation),
            _default(home, default),
            meanings.get(argument.arg, ""),
        )
    return NetOutline(f"{module}.{cls.name}", arguments)


def _line(place: Place) -> Iterator[Place]:
    """Yield a class and the classes that it is derived from, as far as they are of the zoo."""
    yield place
    module, cls = place
    for base in cls.bases:
        if isinstance(base, ast.Name):
            yield from _line(_find_class(module, base.id))


def _default(module: str, value: ast.expr) -> str:
    """Return a default as Python writes it; a name is looked up among the module's constants."""
    if isinstance(value, ast.Name):
        for node in parse_source(module).body:
            if isinstance(node, ast.Assign) and value.id in [
                target.id for target in node.targets if isinstance(target, ast.Name)
            ]:
                value = node.value
                break
    return repr(ast.literal_eval(value))
