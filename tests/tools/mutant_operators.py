"""Small mistakes put into the code of an answer: one operator a kind of mistake.

An operator takes a node of the syntax tree and its place, and yields what could stand there by
mistake. Left alone are docstrings, annotations, decorators, imports, what is printed, and the
words of an error: they are free. So is what could only end in a NameError, which would be caught
by Python and says nothing of a check.
"""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

Field = tuple[str, int | None]

ARITHMETIC = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.Div),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Mult, ast.Div),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
}
COMMUTATIVE = (ast.Add, ast.Mult)
COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
# Functions, methods and modules that are taken for each other.
CONFUSED = {
    "mean": ("amax", "sum"),
    "amax": ("mean", "amin"),
    "amin": ("amax",),
    "sum": ("mean", "prod"),
    "max": ("min",),
    "min": ("max",),
    "argmax": ("argmin",),
    "argmin": ("argmax",),
    "std": ("var",),
    "var": ("std",),
    "relu": ("sigmoid", "tanh"),
    "sigmoid": ("relu", "tanh"),
    "softmax": ("sigmoid",),
    "maximum": ("minimum",),
    "minimum": ("maximum",),
    "zeros": ("ones",),
    "ones": ("zeros",),
    "zeros_like": ("ones_like",),
    "ones_like": ("zeros_like",),
    "ceil": ("floor",),
    "floor": ("ceil",),
    "round": ("int",),
    "int": ("round",),
    "log2": ("log",),
    "any": ("all",),
    "all": ("any",),
    "sorted": ("list",),
    "idxmax": ("idxmin",),
    "idxmin": ("idxmax",),
    "ReLU": ("Sigmoid", "LeakyReLU"),
    "Sigmoid": ("Tanh", "ReLU"),
    "AdaptiveAvgPool2d": ("AdaptiveMaxPool2d",),
    "AdaptiveMaxPool2d": ("AdaptiveAvgPool2d",),
    "SqueezeExcitation": ("ECA",),
    "ECA": ("SqueezeExcitation",),
    "ChannelAttention": ("SpatialAttention",),
    "SpatialAttention": ("ChannelAttention",),
}
WORDS = {
    "avg": "max",
    "max": "avg",
    "fc": "conv",
    "conv": "fc",
    "first": "last",
    "last": "first",
    "basic": "bottleneck",
    "bottleneck": "basic",
    "v1": "v1.5",
    "v1.5": "v1",
    "imagenet": "cifar",
    "cifar": "imagenet",
}
# Their arguments are axes, whether or not they are called `dim`.
OVER_AXES = {"mean", "amax", "amin", "sum", "max", "min", "std", "var", "flip", "any", "all"}
# Whichever argument comes first.
SYMMETRIC = {"allclose", "equal", "isclose", "maximum", "minimum"}
FUNCTIONS = (ast.FunctionDef, ast.Lambda)
MODULES = ("torch", "nn", "functional", "F", "math", "np", "numpy", "pd")


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


class Place:
    """Where in the tree a node stands.

    Attributes:
        parents: the nodes around it, outermost first.
        field: the field of the last of them that holds the node.
    """

    def __init__(self, parents: tuple[ast.AST, ...], field: str) -> None:
        self.parents, self.field = parents, field

    @property
    def parent(self) -> ast.AST:
        return self.parents[-1]

    @cached_property
    def functions(self) -> list[ast.AST]:
        """The functions around it, innermost first."""
        return [node for node in reversed(self.parents) if isinstance(node, FUNCTIONS)]

    @cached_property
    def arguments(self) -> list[str]:
        """The arguments of the function around it, without `self`."""
        if not self.functions:
            return []
        found = self.functions[0].args
        return [a.arg for a in (*found.posonlyargs, *found.args) if a.arg != "self"]

    def stored(self, scope: ast.AST | None = None) -> dict[str, list[int]]:
        """The names assigned in the function around it (or in `scope`), each with its lines."""
        scope = scope or (self.functions[0] if self.functions else self.parents[0])
        lines: dict[str, list[int]] = {}
        for node in _inside(scope):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                lines.setdefault(node.id, []).append(node.lineno)
        return lines

    @cached_property
    def comprehended(self) -> list[str]:
        """The variables of the comprehensions around it."""
        return [
            node.id
            for parent in self.parents
            for generator in getattr(parent, "generators", ())
            for node in ast.walk(generator.target)
            if isinstance(node, ast.Name)
        ]

    @cached_property
    def locals(self) -> set[str]:
        """Names that are the answer's own: assigned or arguments, here or further out."""
        names = set(self.stored(self.parents[0])) | set(self.comprehended)
        for function in self.functions:
            names |= set(self.stored(function)) | {a.arg for a in function.args.args}
        return names


def _inside(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function or a module without those of functions and comprehensions in it."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, (*FUNCTIONS, ast.ClassDef, ast.comprehension)):
            continue
        yield child
        yield from _inside(child)


def _same(one: ast.AST, other: ast.AST) -> bool:
    return ast.dump(one) == ast.dump(other)


def _name(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    function = call.func
    return getattr(function, "attr", getattr(function, "id", ""))


def _of_nn(call: ast.Call) -> bool:
    """Whether the call makes a module of torch.nn."""
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "nn"
        and function.attr[:1].isupper()
    )


def _axes(node: ast.Tuple, place: Place) -> bool:
    """Whether the tuple holds the axes of a reduction."""
    call = next((n for n in reversed(place.parents) if isinstance(n, ast.Call)), None)
    named = isinstance(place.parent, ast.keyword) and place.parent.arg in ("dim", "axis", "dims")
    plain = call is place.parent and place.field == "args"
    integers = all(isinstance(e, ast.Constant) and type(e.value) is int for e in node.elts)
    return (named or plain) and integers and call is not None and _name(call) in OVER_AXES


def _parsed(template: str, **parts: ast.AST) -> ast.AST:
    """The expression or statement `template`, with the names of `parts` replaced by them."""

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node):
            return copy.deepcopy(parts.get(node.id, node))

    statement = Fill().visit(ast.parse(template).body[0])
    return statement.value if isinstance(statement, ast.Expr) else statement


Operator = Callable[[ast.AST, Place], Iterator[ast.AST | None]]
OPERATORS: dict[str, Operator] = {}


def operator(kind: type | tuple[type, ...]) -> Callable[[Operator], Operator]:
    """Register an operator on nodes of `kind`; None among its results removes the node."""

    def register(function: Operator) -> Operator:
        def guarded(node: ast.AST, place: Place) -> Iterator[ast.AST | None]:
            if isinstance(node, kind):
                yield from function(node, place)

        OPERATORS[function.__name__] = guarded
        return function

    return register


# Arithmetic, comparisons, conditions.


@operator(ast.BinOp)
def another_operation(node, place):
    for operation in ARITHMETIC.get(type(node.op), ()):
        yield ast.BinOp(node.left, operation(), node.right)


@operator(ast.BinOp)
def operand_lost(node, place):
    yield node.left
    yield node.right


@operator(ast.BinOp)
def same_operand_twice(node, place):
    sides = (node.left, node.right)
    if any(isinstance(side, ast.Constant) for side in sides) or _same(*sides):
        return
    for side in sides:
        yield ast.BinOp(side, node.op, copy.deepcopy(side))


@operator(ast.BinOp)
def operands_swapped(node, place):
    if not isinstance(node.op, COMMUTATIVE):
        yield ast.BinOp(node.right, node.op, node.left)


@operator(ast.BinOp)
def rounded_up(node, place):
    if isinstance(node.op, ast.FloorDiv):
        yield _parsed("-(-a // b)", a=node.left, b=node.right)


@operator(ast.UnaryOp)
def sign_lost(node, place):
    if isinstance(node.op, ast.USub | ast.Not):
        yield node.operand


@operator(ast.Compare)
def another_comparison(node, place):
    for k, found in enumerate(node.ops):
        for other in COMPARISONS.get(type(found), ()):
            ops = [*node.ops[:k], other(), *node.ops[k + 1 :]]
            yield ast.Compare(node.left, ops, node.comparators)


@operator(ast.BoolOp)
def another_connective(node, place):
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    yield from node.values


@operator((ast.If, ast.IfExp))
def condition_fixed(node, place):
    for value in (True, False):
        changed = copy.copy(node)
        changed.test = ast.Constant(value)
        yield changed


# Constants, words and axes.


@operator(ast.Constant)
def another_constant(node, place):
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        yield ast.Constant(value - 1)
    elif isinstance(value, float):
        yield ast.Constant(2 * value if value else 1.0)
        yield ast.Constant(value + 1)


@operator(ast.Constant)
def another_word(node, place):
    if isinstance(node.value, str) and node.value in WORDS:
        yield ast.Constant(WORDS[node.value])


@operator(ast.Tuple)
def other_axes(node, place):
    """Axes of a reduction: one left out, the batch or the channels too, the channels alone."""
    if not _axes(node, place):
        return
    values = [element.value for element in node.elts]
    choices = [values[:k] + values[k + 1 :] for k in range(len(values))]
    choices += [[0, *values], [1, *values], [1]]
    for axes in choices:
        if len(set(axes)) == len(axes) and axes != values and axes:
            yield ast.Tuple([ast.Constant(axis) for axis in axes], ast.Load())


# Calls.


@operator((ast.Attribute, ast.Name))
def another_function(node, place):
    name = node.attr if isinstance(node, ast.Attribute) else node.id
    if isinstance(node.ctx, ast.Load) and name not in place.locals:
        for other in CONFUSED.get(name, ()):
            if isinstance(node, ast.Attribute):
                yield ast.Attribute(node.value, other, ast.Load())
            elif not name[0].isupper():  # the notebook may not import another class
                yield ast.Name(other, ast.Load())


@operator(ast.Call)
def call_lost(node, place):
    if _of_nn(node):
        if node.func.attr not in ("Identity", "Parameter"):
            yield _parsed("nn.Identity()")
        return
    if node.args and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp):
        yield node.args[0]
    if isinstance(node.func, ast.Attribute):
        owner = node.func.value
        root = owner
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        outside = isinstance(root, ast.Name) and root.id not in place.locals - {"self"}
        of_super = isinstance(owner, ast.Call) and _name(owner) == "super"
        if not outside and not of_super:
            yield owner


@operator(ast.Call)
def sigmoid_twice(node, place):
    if _name(node) == "sigmoid":
        if node.args:
            yield ast.Call(node.func, [copy.deepcopy(node), *node.args[1:]], node.keywords)
        else:
            yield ast.Call(ast.Attribute(copy.deepcopy(node), "sigmoid", ast.Load()), [], [])
    elif _of_nn(node) and node.func.attr == "Sigmoid":
        yield _parsed("nn.Sequential(nn.Sigmoid(), nn.Sigmoid())")


@operator(ast.Call)
def keyword_lost(node, place):
    for k in range(len(node.keywords)):
        yield ast.Call(node.func, node.args, node.keywords[:k] + node.keywords[k + 1 :])


@operator(ast.Call)
def arguments_swapped(node, place):
    for k in range(len(node.args) - 1):
        one, other = node.args[k : k + 2]
        if not _same(one, other) and _name(node) not in SYMMETRIC:
            args = [*node.args[:k], other, one, *node.args[k + 2 :]]
            yield ast.Call(node.func, args, node.keywords)


@operator(ast.Call)
def argument_lost(node, place):
    """The last argument; of a sequence of layers any."""
    some = range(len(node.args)) if _name(node) == "Sequential" else [len(node.args) - 1]
    for k in some:
        if len(node.args) > 1:
            yield ast.Call(node.func, node.args[:k] + node.args[k + 1 :], node.keywords)


# Lists, indices, names.


@operator((ast.Tuple, ast.List))
def elements_swapped(node, place):
    if isinstance(node, ast.Tuple) and _axes(node, place):
        return  # whichever comes first
    for k in range(len(node.elts) - 1 if isinstance(node.ctx, ast.Load) else 0):
        one, other = node.elts[k : k + 2]
        if not _same(one, other):
            yield type(node)([*node.elts[:k], other, one, *node.elts[k + 2 :]], ast.Load())


@operator((ast.Tuple, ast.List))
def element_lost(node, place):
    if isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        yield type(node)(node.elts[1:], ast.Load())
        yield type(node)(node.elts[:-1], ast.Load())


@operator(ast.Dict)
def entry_lost(node, place):
    for k in range(len(node.keys)):
        yield ast.Dict(node.keys[:k] + node.keys[k + 1 :], node.values[:k] + node.values[k + 1 :])


@operator(ast.Slice)
def bound_lost(node, place):
    if node.lower:
        yield ast.Slice(None, node.upper, node.step)
    if node.upper:
        yield ast.Slice(node.lower, None, node.step)


@operator(ast.Subscript)
def index_lost(node, place):
    if isinstance(node.ctx, ast.Load):
        yield node.value


@operator(ast.Name)
def another_name(node, place):
    """Another variable that has a value by then: the next and the previous by name."""
    called = isinstance(place.parent, ast.Call) and place.field == "func"
    if not isinstance(node.ctx, ast.Load) or called or node.id not in place.locals:
        return
    before = {n for n, lines in place.stored().items() if min(lines) < node.lineno}
    names = sorted(before.union(place.arguments, place.comprehended) - {node.id, "self"})
    later = [name for name in names if name > node.id]
    chosen = dict.fromkeys([*(later or names)[:1], *[n for n in names if n < node.id][-1:]])
    for name in chosen:
        yield ast.Name(name, ast.Load())


@operator(ast.Attribute)
def another_attribute(node, place):
    """Another part of the module that was made in `__init__`."""
    if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
        return
    owner = next((n for n in reversed(place.parents) if isinstance(n, ast.ClassDef)), None)
    if owner is None or not isinstance(node.ctx, ast.Load):
        return
    names = sorted(
        {
            n.attr
            for n in ast.walk(owner)
            if isinstance(n, ast.Attribute)
            and isinstance(n.ctx, ast.Store)
            and isinstance(n.value, ast.Name)
            and n.value.id == "self"
        }
    )
    if node.attr in names and len(names) > 1:
        other = names[(names.index(node.attr) + 1) % len(names)]
        yield ast.Attribute(node.value, other, ast.Load())


# Statements.


@operator(ast.stmt)
def statement_lost(node, place):
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Return | ast.Pass):
        return
    if isinstance(node, ast.Assign):
        # Without its only assignment a name is unknown, and so is a module's part.
        targets = [t for target in node.targets for t in ast.walk(target)]
        names = [t.id for t in targets if isinstance(t, ast.Name) and isinstance(t.ctx, ast.Store)]
        stored = place.stored()
        if any(isinstance(t, ast.Attribute) for t in targets):
            return
        if any(len(stored.get(n, ())) == 1 and n not in place.arguments for n in names):
            return
    yield None


@operator(ast.Raise)
def another_error(node, place):
    if isinstance(node.exc, ast.Call):
        other = ast.Name("RuntimeError", ast.Load())
        yield ast.Raise(ast.Call(other, node.exc.args, node.exc.keywords), node.cause)


@operator(ast.AugAssign)
def another_assignment(node, place):
    yield ast.Assign([node.target], node.value, lineno=node.lineno)
    for operation in ARITHMETIC.get(type(node.op), ())[:1]:
        yield ast.AugAssign(node.target, operation(), node.value)


@operator((ast.For, ast.comprehension))
def other_rounds(node, place):
    """A loop the other way round, without its first or its last round."""
    for ending in ("[::-1]", "[1:]", "[:-1]"):
        changed = copy.copy(node)
        changed.iter = _parsed(f"list(values){ending}", values=node.iter)
        yield changed


@operator(ast.comprehension)
def filter_lost(node, place):
    if node.ifs:
        yield ast.comprehension(node.target, node.iter, [], node.is_async)


@operator(ast.Return)
def map_or_product(node, place):
    """What is returned times the input, or added to it."""
    if node.value is not None and place.arguments:
        first = ast.Name(place.arguments[0], ast.Load())
        for operation in (ast.Mult, ast.Add):
            yield ast.Return(ast.BinOp(first, operation(), node.value))


# Putting them in.


def _free(node: ast.AST, place: Place) -> bool:
    """Whether nothing below `node` matters to a check."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr):
        return True
    if place.field in ("annotation", "returns", "decorator_list", "msg", "bases"):
        return True
    if isinstance(node, ast.Expr):
        value = node.value
        printed = isinstance(value, ast.Call) and _name(value) == "print"
        return printed or (isinstance(value, ast.Constant) and isinstance(value.value, str))
    return isinstance(place.parent, ast.Raise)


def _nodes(node: ast.AST, place: Place, path: tuple[Field, ...]) -> Iterator[tuple]:
    """Every node that matters, with its place and the way to it from the root."""
    yield node, place, path
    for field, value in ast.iter_fields(node):
        for k, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                below = Place((*place.parents, node), field)
                if not _free(child, below):
                    yield from _nodes(child, below, (*path, (field, k)))


def _replaced(tree: ast.AST, path: tuple[Field, ...], new: ast.AST | None) -> str:
    """The code of `tree` with the node at the end of `path` replaced, or removed."""
    owner = tree
    for field, k in path[:-1]:
        owner = getattr(owner, field) if k is None else getattr(owner, field)[k]
    field, k = path[-1]
    before = getattr(owner, field)
    if k is None:
        after = new
    else:
        after = [*before[:k], *([] if new is None else [new]), *before[k + 1 :]]
    if after == [] and field == "body":
        after = [ast.Pass()]
    setattr(owner, field, after)
    try:
        return ast.unparse(tree)
    finally:
        setattr(owner, field, before)


def plain(code: str) -> str:
    """The code as Python writes it: without comments, in one spelling."""
    return ast.unparse(ast.parse(code))


def mutants(number: str, code: str) -> list[Mutant]:
    """All mutants of an answer to exercise `number`, each text once."""
    tree = ast.parse(code)
    original = ast.unparse(tree)
    seen, found = {original}, []
    for node, place, path in _nodes(tree, Place((), ""), ()):
        if not path:
            continue
        for name, function in OPERATORS.items():
            for new in function(node, place):
                text = _replaced(tree, path, new)
                if text not in seen:
                    seen.add(text)
                    found.append(Mutant(number, name, original, text))
    return found
