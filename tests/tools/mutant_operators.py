"""Small mistakes put into the code of an answer.

Each operator looks at a node of the syntax tree and yields what is replaced, and by which text.
Left alone are imports, what is raised, and f-strings. Nothing is known of scopes: what cannot be
read is dropped here, and a name without a value is found out by running.
"""

import ast
import difflib
import re
from ast import unparse
from collections.abc import Iterator
from typing import NamedTuple

# What each operation is taken for.
OPERATIONS = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "+ /", ast.Div: "* //", ast.FloorDiv: "* /",
    ast.Mod: "//", ast.Pow: "*", ast.MatMult: "*",
}  # fmt: skip
LIMITS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
# Functions, methods and modules that are taken for each other.
CONFUSED = """
    mean amax sum, max min, argmax argmin, std var, zeros ones, ceil floor, int round, any all,
    sorted list, relu sigmoid tanh, ReLU Sigmoid Tanh, AdaptiveAvgPool2d AdaptiveMaxPool2d,
    channel_attention spatial_attention
"""
FREE = (ast.Import, ast.ImportFrom, ast.Raise, ast.JoinedStr)
Changes = Iterator[tuple[ast.AST, str]]


class Mutant(NamedTuple):
    """Code with one change in it.

    Attributes:
        number: the exercise.
        operator: what made it.
        original: the answer without the mistake, as Python writes it.
        code: the whole answer.
    """

    number: str
    operator: str
    original: str
    code: str

    @property
    def change(self) -> str:
        """The lines that differ, without indentation: those that went after -, the new ones +."""
        lines = difflib.ndiff(self.original.splitlines(), self.code.splitlines())
        return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines if line[0] in "-+")


# The operators.


def arithmetic(node: ast.AST) -> Changes:
    """Another operation, an operand lost, both exchanged; rounded up for down; a sign lost."""
    if isinstance(node, ast.BinOp):
        left, right = unparse(node.left), unparse(node.right)
        for other in OPERATIONS.get(type(node.op), "").split():
            yield node, f"({left}) {other} ({right})"
        yield node, left
        yield node, right
        if not isinstance(node.op, ast.Add | ast.Mult):
            yield node, unparse(ast.BinOp(node.right, node.op, node.left))
        if isinstance(node.op, ast.FloorDiv):
            yield node, f"-(-({left}) // ({right}))"
    elif isinstance(node, ast.UnaryOp):
        yield node, unparse(node.operand)


def condition(node: ast.AST) -> Changes:
    """A condition negated or always true; a limit that counts or not; `or`, or one of two lost."""
    if isinstance(node, ast.If | ast.IfExp | ast.comprehension):
        for test in getattr(node, "ifs", None) or filter(None, [getattr(node, "test", None)]):
            yield test, f"not ({unparse(test)})"
            yield test, "True"
    elif isinstance(node, ast.Compare):
        yield node, f"not ({unparse(node)})"
        if other := LIMITS.get(type(node.ops[0])):
            yield node, unparse(ast.Compare(node.left, [other(), *node.ops[1:]], node.comparators))
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, unparse(ast.BoolOp(other, node.values))
        for value in node.values:
            yield node, unparse(value)


def number(node: ast.AST) -> Changes:
    """One more, one less; twice as much; the other truth."""
    value = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
    if isinstance(value, bool):
        yield node, str(not value)
    elif isinstance(value, int):
        yield node, str(value + 1)
        yield node, str(value - 1)
    elif isinstance(value, float):
        yield node, str(2 * value)


def function(node: ast.AST) -> Changes:
    """A function, method or module that is taken for this one; its argument alone."""
    if isinstance(node, ast.Call):
        called = unparse(node.func)
        for names in map(str.split, CONFUSED.split(",")):
            for other in names if called.split(".")[-1] in names else ():
                yield node.func, re.sub(r"\w+$", other, called)
        if called.startswith("nn."):
            yield node, "nn.Identity()"
        elif node.args:
            yield node, unparse(node.args[0])
        elif isinstance(node.func, ast.Attribute):
            yield node, unparse(node.func.value)


def arguments(node: ast.AST) -> Changes:
    """An argument lost, by position or by name; two exchanged."""
    if isinstance(node, ast.Call):
        for fewer in _fewer(node.args):
            yield node, unparse(ast.Call(node.func, fewer, node.keywords))
        for fewer in _fewer(node.keywords):
            yield node, unparse(ast.Call(node.func, node.args, fewer))
        for swapped in _swapped(node.args):
            yield node, unparse(ast.Call(node.func, swapped, node.keywords))


def elements(node: ast.AST) -> Changes:
    """An element lost, or two exchanged unless all are numbers; of axes one more."""
    if isinstance(node, ast.Tuple | ast.List) and isinstance(node.ctx, ast.Load):
        numbers = all(isinstance(element, ast.Constant) for element in node.elts)
        for made in [*_fewer(node.elts), *([] if numbers else _swapped(node.elts))]:
            text = unparse(type(node)(made, node.ctx))
            slices = any(isinstance(element, ast.Slice) for element in node.elts)
            yield node, text[1:-1] if slices else text
    elif isinstance(node, ast.keyword) and isinstance(node.value, ast.Tuple):
        for axis in "01":
            yield node.value, f"({axis}, {unparse(node.value)[1:]}"


def index(node: ast.AST) -> Changes:
    """An index lost, or a bound of it."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        yield node, unparse(node.value)
    elif isinstance(node, ast.Slice):
        yield from ((bound, "") for bound in (node.lower, node.upper) if bound)


def statement(node: ast.AST) -> Changes:
    """A statement lost; `=` for `+=`."""
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Expr | ast.Assign | ast.AugAssign | ast.If | ast.For):
        yield from () if docstring else [(node, "pass")]
    if isinstance(node, ast.AugAssign):
        yield node, f"{unparse(node.target)} = {unparse(node.value)}"


def rounds(node: ast.AST) -> Changes:
    """A loop without its first or its last round."""
    if isinstance(node, ast.For | ast.comprehension):
        for rest in ("[1:]", "[:-1]"):
            yield node.iter, f"list({unparse(node.iter)}){rest}"


def variable(node: ast.AST) -> Changes:
    """Another variable of the answer: one that got its value last, on a line before."""
    if isinstance(node, ast.Module):
        names = [n for n in nodes(node) if isinstance(n, ast.Name)]
        bound = [(n.lineno, n.id) for n in names if isinstance(n.ctx, ast.Store)]
        bound += [(n.lineno, n.arg) for n in nodes(node) if isinstance(n, ast.arg)]
        for used in names:
            if isinstance(used.ctx, ast.Load) and used.id in {name for _, name in bound}:
                before = [b for b in bound if b[0] < used.lineno and b[1] not in ("self", used.id)]
                yield from ((used, name) for _, name in sorted(before)[-1:])


def _fewer(parts: list) -> Iterator[list]:
    for k in range(len(parts)):
        yield parts[:k] + parts[k + 1 :]


def _swapped(parts: list) -> Iterator[list]:
    for k in range(len(parts) - 1):
        yield [*parts[:k], parts[k + 1], parts[k], *parts[k + 2 :]]


OPERATORS = (
    arithmetic, condition, number, function, arguments, elements, index, statement, rounds,
    variable,
)  # fmt: skip


# Putting them in.


def nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it that matter."""
    if not isinstance(node, FREE):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from nodes(child)


def plain(code: str) -> str:
    """The code as Python writes it: without comments, in one spelling."""
    return unparse(ast.parse(code))


def put(code: str, node: ast.AST, new: str) -> str:
    """The code with a node replaced, as Python writes it; as it was if that cannot be read."""
    lines = code.splitlines(keepends=True)
    first, last = node.lineno - 1, node.end_lineno - 1
    before = "".join(lines[:first]) + lines[first][: node.col_offset]
    after = lines[last][node.end_col_offset :] + "".join(lines[last + 1 :])
    operand = isinstance(node, ast.expr) and not isinstance(node, ast.Tuple) and new
    try:
        return plain(before + (f"({new})" if operand else new) + after)
    except SyntaxError:
        return code


def mutants(number: str, code: str, most: int | None = None) -> list[Mutant]:
    """The mutants of an answer to exercise `number`, each text once: all, or about `most`."""
    original = plain(code)
    changes = [
        (operator.__name__, *change)
        for node in nodes(ast.parse(original))
        for operator in OPERATORS
        for change in operator(node)
    ]
    step = len(changes) // most if most else 1
    found = {put(original, old, new): name for name, old, new in changes[step // 2 :: step]}
    found.pop(original, None)
    return [Mutant(number, name, original, text) for text, name in found.items()]
