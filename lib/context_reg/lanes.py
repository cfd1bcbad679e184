"""Vectors of float32 in code compiled by numba, for loops whose values have to stay in registers.

A loop over single numbers that the compiler turns into vectors reads and writes memory between its parts. `Lanes` are
WIDTH numbers of a row, one register; arrays are flat, places count numbers from their beginning. No place is checked.

What numba keeps in `__pycache__` it compares to the source of `fused` alone: after a change here, save that too.
"""

import operator
from collections.abc import Callable
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic, models, overload, register_model

# of the widest register of x86; elsewhere LLVM takes several smaller ones for it
WIDTH = 16 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 8
FLAGS = ("reassoc", "contract", "nsz")  # sums may be reordered and contracted; NaN keeps its meaning
VECTOR = ir.VectorType(ir.FloatType(), WIDTH)
BITS = ir.VectorType(ir.IntType(32), WIDTH)
WORD = ir.IntType(32)
Implementation = tuple[Any, Callable[..., Any]]

instruction: Any = intrinsic


class Lanes(types.Type):
    """Type of WIDTH float32 numbers."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


LANES = Lanes()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, VECTOR)


@instruction
def load(typing: Any, array: Any, place: Any) -> Implementation:
    """The numbers of a flat array from `place` on."""
    _check_flat(array)

    def make(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load(_pointer(context, builder, signature, values, VECTOR), align=4)

    return LANES(array, types.intp), make


@instruction
def store(typing: Any, array: Any, place: Any, value: Any) -> Implementation:
    """Writes the numbers of `value` from `place` on."""
    _check_flat(array)

    def make(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        builder.store(values[2], _pointer(context, builder, signature, values, VECTOR), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, LANES), make


@instruction
def prefetch(typing: Any, array: Any, place: Any) -> Implementation:
    """Has the memory at `place` brought nearer while other work goes on."""
    _check_flat(array)

    def make(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointer = _pointer(context, builder, signature, values, ir.IntType(8))
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, WORD, WORD, WORD])
        read, second_level, data = (ir.Constant(WORD, each) for each in (0, 2, 1))
        builder.call(_declared(builder, kind, "llvm.prefetch.p0i8"), [pointer, read, second_level, data])
        return context.get_dummy_value()

    return types.void(array, types.intp), make


@instruction
def fill(typing: Any, value: Any) -> Implementation:
    """One number in every lane."""

    def make(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        first = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), values[0], ir.Constant(WORD, 0))
        return builder.shuffle_vector(first, ir.Constant(VECTOR, ir.Undefined), ir.Constant(BITS, [0] * WIDTH))

    return LANES(types.float32), make


@instruction
def magnitude(typing: Any, value: Any) -> Implementation:
    """Absolute values."""

    def make(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(VECTOR, [VECTOR])
        return builder.call(_declared(builder, kind, f"llvm.fabs.v{WIDTH}f32"), values)

    return LANES(LANES), make


@instruction
def with_sign(typing: Any, value: Any, of: Any) -> Implementation:
    """`value`, not negative, with the signs of `of`; 0 where that is 0."""

    def make(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        sign = builder.and_(builder.bitcast(values[1], BITS), ir.Constant(BITS, [0x80000000] * WIDTH))
        signed = builder.bitcast(builder.or_(builder.bitcast(values[0], BITS), sign), VECTOR)
        zero = ir.Constant(VECTOR, [0.0] * WIDTH)
        return builder.select(builder.fcmp_unordered("!=", values[1], zero), signed, zero)

    return LANES(LANES, LANES), make


@instruction
def total(typing: Any, value: Any) -> Implementation:
    """Sum of the lanes."""

    def make(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), VECTOR])
        add_up = _declared(builder, kind, f"llvm.vector.reduce.fadd.v{WIDTH}f32")
        return builder.call(add_up, [ir.Constant(ir.FloatType(), 0.0), *values], fastmath=("reassoc",))

    return types.float32(LANES), make


def _check_flat(array: Any) -> None:
    if not isinstance(array, types.Array) or (array.dtype, array.ndim, array.layout) != (types.float32, 1, "C"):
        raise TypingError(f"Lanes are those of a flat, contiguous array of float32: got {array}")


def _pointer(context: Any, builder: Any, signature: Any, values: Any, to: Any) -> Any:
    """To the place (second value) of an array (first)."""
    data = context.make_array(signature.args[0])(context, builder, values[0]).data
    return builder.bitcast(builder.gep(data, [values[1]]), to.as_pointer())


def _declared(builder: Any, kind: Any, name: str) -> Any:
    return builder.module.globals.get(name) or ir.Function(builder.module, kind, name)


def _arithmetic(name: str) -> Any:
    @instruction
    def apply(typing: Any, a: Any, b: Any) -> Implementation:
        def make(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return getattr(builder, name)(*values, flags=FLAGS)

        return LANES(LANES, LANES), make

    return apply


def _give_operator(symbol: Callable[..., Any], name: str) -> None:
    apply = _arithmetic(name)

    def compute(a: Any, b: Any) -> Any:
        return apply(a, b)

    @overload(symbol)
    def choose(a: Any, b: Any) -> Any:
        return compute if a == LANES and b == LANES else None


_give_operator(operator.add, "fadd")
_give_operator(operator.sub, "fsub")
_give_operator(operator.mul, "fmul")
