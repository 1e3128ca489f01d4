"""Small mistakes put into the code of an answer: a generator for each kind of node.

It takes a node of the syntax tree and yields what could stand there by mistake; None takes the
node away. Left alone are docstrings, annotations, decorators, imports, what is printed, and the
words of an error: they are free. So is what could only end in a NameError, which Python catches
and which says nothing of a check.
"""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

# The first operation of a row is taken for the others.
OPERATIONS = """
    Add Sub Mult, Sub Add, Mult Add Div, Div Mult FloorDiv, FloorDiv Mult Div, Mod FloorDiv,
    Pow Mult, MatMult Mult, Lt LtE GtE, LtE Lt Gt, Gt GtE LtE, GtE Gt Lt, Eq NotEq, NotEq Eq,
    Is IsNot, IsNot Is, In NotIn, NotIn In
"""
# Functions, methods and modules that are taken for each other.
CONFUSED = """
    mean amax sum, max min, argmax argmin, std var, zeros ones, ceil floor, int round, any all,
    sorted list, relu sigmoid tanh, ReLU Sigmoid Tanh, AdaptiveAvgPool2d AdaptiveMaxPool2d,
    channel_attention spatial_attention
"""
# Their arguments are axes, whether or not they are called `dim`.
OVER_AXES = {"mean", "amax", "sum", "std", "flip"}
FUNCTIONS = (ast.FunctionDef, ast.Lambda)


@dataclass(frozen=True)
class Mutant:
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

    @cached_property
    def change(self) -> str:
        """The lines that differ, without indentation: - those that went, then + those that came.

        From the first to the last of them: what stands between two changes is told too.
        """
        old, new = self.original.splitlines(), self.code.splitlines()
        while old and new and old[0] == new[0]:
            del old[0], new[0]
        while old and new and old[-1] == new[-1]:
            del old[-1], new[-1]
        signed = [("-", line) for line in old] + [("+", line) for line in new]
        return "\n".join(f"{sign} {line.strip()}" for sign, line in signed)


# What stands around a node. `mutants` gives each node its `parent`, and the `field` and the place
# in it, `at`, where the parent holds it.


def _around(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes around `node`, innermost first."""
    while node := getattr(node, "parent", None):
        yield node


def _inside(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function or a module without those of the functions and classes in it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, (*FUNCTIONS, ast.ClassDef, ast.comprehension)):
            yield child
            yield from _inside(child)


def _known(scope: ast.AST, line: int | None = None) -> set[str]:
    """The arguments of a function, and the names that it or a module stores before `line`."""
    names = {a.arg for a in scope.args.args} if isinstance(scope, FUNCTIONS) else set()
    for node in _inside(scope):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            if line is None or node.lineno < line:
                names.add(node.id)
    return names - {"self"}


def _scopes(node: ast.AST) -> list[ast.AST]:
    """The functions around `node`, innermost first, and the module."""
    return [n for n in _around(node) if isinstance(n, (*FUNCTIONS, ast.Module))]


def _comprehended(node: ast.AST) -> set[str]:
    """The variables of the comprehensions around `node`."""
    targets = [g.target for n in _around(node) for g in getattr(n, "generators", ())]
    return {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}


def _is_local(node: ast.Name) -> bool:
    """Whether the name is the answer's own."""
    return node.id in _comprehended(node).union(*map(_known, _scopes(node)))


def _name(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _is_axes(node: ast.AST) -> bool:
    """Whether the tuple holds the axes of a reduction."""
    call = next((n for n in _around(node) if isinstance(n, ast.Call)), None)
    integers = all(isinstance(e, ast.Constant) and type(e.value) is int for e in node.elts)
    return isinstance(node, ast.Tuple) and integers and bool(call) and _name(call) in OVER_AXES


def _others(operation: ast.AST) -> list[ast.AST]:
    """The operations that this one is taken for."""
    rows = (row.split() for row in OPERATIONS.split(","))
    found = {first: others for first, *others in rows}.get(type(operation).__name__, [])
    return [getattr(ast, name)() for name in found]


def _parsed(template: str, **parts: ast.AST) -> ast.expr:
    """The expression `template`, with the names of `parts` replaced by them."""

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node):
            return parts.get(node.id, node)

    return Fill().visit(ast.parse(template, mode="eval")).body


def _changed(node: ast.AST, **fields: object) -> ast.AST:
    """A copy of `node` with other fields."""
    made = copy.copy(node)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def _swaps(nodes: list[ast.AST]) -> Iterator[list[ast.AST]]:
    """The list with two neighbours exchanged, unless they are the same."""
    for k in range(len(nodes) - 1):
        one, other = nodes[k : k + 2]
        if ast.dump(one) != ast.dump(other):
            yield [*nodes[:k], other, one, *nodes[k + 2 :]]


# The operators.

Operator = Callable[[ast.AST], Iterator[ast.AST | None]]
OPERATORS: dict[str, tuple[type | tuple[type, ...], Operator]] = {}


def operator(*kinds: type) -> Callable[[Operator], Operator]:
    """Register an operator on nodes of these kinds."""

    def register(function: Operator) -> Operator:
        OPERATORS[function.__name__] = (kinds, function)
        return function

    return register


@operator(ast.BinOp)
def arithmetic(node):
    """Another operation, an operand lost or twice, both exchanged; rounded up for down."""
    left, right = node.left, node.right
    for operation in _others(node.op):
        yield _changed(node, op=operation)
    yield left
    yield right
    if ast.dump(left) != ast.dump(right) and not isinstance(node.op, ast.Add | ast.Mult):
        yield _changed(node, left=right, right=left)
    if not any(isinstance(side, ast.Constant) for side in (left, right)):
        yield _changed(node, right=left)
        yield _changed(node, left=right)
    if isinstance(node.op, ast.FloorDiv):
        yield _parsed("-(-a // b)", a=left, b=right)


@operator(ast.Compare, ast.BoolOp, ast.UnaryOp)
def logic(node):
    """Another comparison; `or` for `and`, or only one of them; a sign or a `not` lost."""
    if isinstance(node, ast.Compare):
        for other in _others(node.ops[0]):
            yield _changed(node, ops=[other, *node.ops[1:]])
    elif isinstance(node, ast.BoolOp):
        yield _changed(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        yield from node.values
    else:
        yield node.operand


@operator(ast.If, ast.IfExp, ast.comprehension)
def condition(node):
    """A condition that always holds, or never; a filter lost."""
    if not isinstance(node, ast.comprehension):
        yield _changed(node, test=ast.Constant(True))
        yield _changed(node, test=ast.Constant(False))
    elif node.ifs:
        yield _changed(node, ifs=[])


@operator(ast.Constant)
def number(node):
    """One more, one less; twice as much; the other truth."""
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        yield ast.Constant(value - 1)
    elif isinstance(value, float):
        yield ast.Constant(2 * value)


@operator(ast.Tuple)
def axes(node):
    """One axis left out, the batch or the channels too, the channels alone."""
    if _is_axes(node):
        values = [element.value for element in node.elts]
        choices = [values[:k] + values[k + 1 :] for k in range(len(values))]
        for choice in [*choices, [0, *values], [1, *values], [1]]:
            if len(set(choice)) == len(choice) and choice != values:
                yield _changed(node, elts=[ast.Constant(axis) for axis in choice])


@operator(ast.Attribute, ast.Name)
def function(node):
    """A function, method or module that is taken for this one."""
    name, field = (node.attr, "attr") if isinstance(node, ast.Attribute) else (node.id, "id")
    if field == "attr" or not _is_local(node):
        for names in map(str.split, CONFUSED.split(",")):
            for other in names if name in names else ():
                yield _changed(node, **{field: other})


@operator(ast.Call)
def call(node):
    """Only what is called upon, or the first argument; a layer that does nothing."""
    if ast.unparse(node.func).startswith("nn."):
        yield _parsed("nn.Identity()")
    elif node.args and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp):
        yield node.args[0]
    root = node.func
    while isinstance(root, ast.Attribute | ast.Subscript):
        root = root.value
    outside = isinstance(root, ast.Name) and (root.id == "self" or not _is_local(root))
    of_super = isinstance(root, ast.Call) and _name(root) == "super"
    if isinstance(node.func, ast.Attribute) and not outside and not of_super:
        yield node.func.value
    if _name(node) == "sigmoid" and node.args:
        yield _changed(node, args=[node])
    elif _name(node) == "Sigmoid":
        yield _parsed("nn.Sequential(a, a)", a=node)


@operator(ast.Call)
def arguments(node):
    """Two exchanged, the last one lost (of a sequence of layers any), a keyword lost."""
    args, keywords = node.args, node.keywords
    for swapped in _swaps(args):
        yield _changed(node, args=swapped)
    if len(args) > 1:
        for k in range(len(args)) if _name(node) == "Sequential" else [len(args) - 1]:
            yield _changed(node, args=args[:k] + args[k + 1 :])
    for k in range(len(keywords)):
        yield _changed(node, keywords=keywords[:k] + keywords[k + 1 :])


@operator(ast.Tuple, ast.List)
def elements(node):
    """Two elements exchanged; the first or the last one lost."""
    if isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        if not _is_axes(node):  # whichever comes first
            for swapped in _swaps(node.elts):
                yield _changed(node, elts=swapped)
        yield _changed(node, elts=node.elts[1:])
        yield _changed(node, elts=node.elts[:-1])


@operator(ast.Slice, ast.Subscript)
def index(node):
    """A bound lost, or the index."""
    if isinstance(node, ast.Slice):
        for bound in ("lower", "upper"):
            if getattr(node, bound):
                yield _changed(node, **{bound: None})
    elif isinstance(node.ctx, ast.Load):
        yield node.value


@operator(ast.Name)
def variable(node):
    """Another variable that has a value by then: the next one by name."""
    called = isinstance(node.parent, ast.Call) and node.field == "func"
    if isinstance(node.ctx, ast.Load) and not called and _is_local(node):
        known = _known(_scopes(node)[0], node.lineno) | _comprehended(node)
        names = sorted(known | {node.id})
        yield _changed(node, id=names[(names.index(node.id) + 1) % len(names)])


@operator(ast.Expr, ast.Assign, ast.AugAssign, ast.If, ast.For, ast.With)
def statement(node):
    """A statement lost, but for a name's only assignment; `=` or `-=` for `+=`."""
    if isinstance(node, ast.AugAssign):
        yield ast.Assign([node.target], node.value, lineno=node.lineno)
        for operation in _others(node.op)[:1]:
            yield _changed(node, op=operation)
    if isinstance(node, ast.Assign):
        targets = [n for target in node.targets for n in ast.walk(target)]
        names = {n.id for n in targets if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        attributes = any(isinstance(n, ast.Attribute) for n in targets)
        if attributes or names - _known(_scopes(node)[0], node.lineno):
            return
    yield None


@operator(ast.For, ast.comprehension)
def rounds(node):
    """A loop without its first or its last round."""
    for rest in ("[1:]", "[:-1]"):
        yield _changed(node, iter=_parsed(f"list(values){rest}", values=node.iter))


@operator(ast.Return)
def returned(node):
    """What is returned times the input, or added to it."""
    inputs = [a for a in _scopes(node)[0].args.args if a.arg != "self"]
    if node.value and inputs:
        for sign in "*+":
            yield _changed(node, value=_parsed(f"{inputs[0].arg} {sign} value", value=node.value))


# Putting them in.


def _is_free(node: ast.AST) -> bool:
    """Whether nothing in `node` matters to a check."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr | ast.expr_context):
        return True
    if node.field in ("annotation", "returns", "decorator_list", "msg", "bases"):
        return True
    if isinstance(node, ast.Expr):
        value = node.value
        docstring = isinstance(value, ast.Constant) and isinstance(value.value, str)
        return docstring or (isinstance(value, ast.Call) and _name(value) == "print")
    return isinstance(node.parent, ast.Raise)


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below `node` that matters; each then knows what holds it."""
    for field, value in ast.iter_fields(node):
        for at, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                child.parent, child.field, child.at = node, field, at
                if not _is_free(child):
                    yield child
                    yield from _nodes(child)


def _replaced(tree: ast.AST, node: ast.AST, new: ast.AST | None) -> str:
    """The code of `tree` with `node` replaced, or taken away."""
    before = getattr(node.parent, node.field)
    if node.at is None:
        after = new
    else:
        after = [*before[: node.at], *filter(None, [new]), *before[node.at + 1 :]]
    if after == [] and node.field == "body":
        after = [ast.Pass()]
    setattr(node.parent, node.field, after)
    try:
        return ast.unparse(tree)
    finally:
        setattr(node.parent, node.field, before)


def plain(code: str) -> str:
    """The code as Python writes it: without comments, in one spelling."""
    return ast.unparse(ast.parse(code))


def mutants(number: str, code: str) -> list[Mutant]:
    """All mutants of an answer to exercise `number`, each text once."""
    tree = ast.parse(code)
    original = ast.unparse(tree)
    found = {}
    for node in list(_nodes(tree)):
        for name, (kinds, operator) in OPERATORS.items():
            for new in operator(node) if isinstance(node, kinds) else ():
                found.setdefault(_replaced(tree, node, new), name)
    found.pop(original, None)
    return [Mutant(number, name, original, text) for text, name in found.items()]
