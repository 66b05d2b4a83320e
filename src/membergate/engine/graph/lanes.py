"""The innermost loops: squared distances to thirty-two points at once, kept in registers.

Written as LLVM vectors, since numba's own vectoriser stores and reloads the
sums at every axis: measured 0.49 against 0.19 billion pairs per CPU second at
48 axes. LLVM splits the lanes into whatever the machine has.

`lanes_within` takes one query and gives up a block after few axes: for queries
that have near neighbours. `four_within` takes four queries, so that a block is
read once for all of them, and multiplies without subtracting (|x|^2 - 2 q x):
twice as fast in the processor's cache, more beyond it, but it cannot give up, and
its rounding is that of the longest vector. It is for queries far from the block.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]  # it ships no types
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 32
"""Points in a block."""
TOGETHER = 4
"""Queries that `four_within` takes at once."""
AXES_STEP = 8
"""Axes added between two looks at whether every lane is already too far; axes are padded to a multiple."""

_F32 = ir.FloatType()
_I32 = ir.IntType(32)
_I64 = ir.IntType(64)
_VECTOR = ir.VectorType(_F32, LANES)
_HALF = ir.VectorType(_F32, LANES // 2)
"""Four queries with half a block each fill the registers of a machine with sixteen of eight lanes."""


def _splat(builder: Any, value: Any, vector: Any = _VECTOR) -> Any:
    undefined = ir.Constant(vector, ir.Undefined)
    single = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(single, undefined, ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count))


def _load(builder: Any, data: Any, place: Any, vector: Any) -> Any:
    return builder.load(builder.bitcast(builder.gep(data, [place]), vector.as_pointer()), align=4)


def _multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    signature, name = ir.FunctionType(a.type, [a.type] * 3), f"llvm.fmuladd.v{a.type.count}f32"
    called = cgutils.get_or_insert_function(builder.module, signature, name)  # type: ignore[no-untyped-call]  # so is numba
    return builder.call(called, [a, b, c])


def _add_axis(builder: Any, block: Any, query: Any, axis: Any, sums: Any) -> Any:
    """Add the squared difference along one axis to all lanes."""
    points = _load(builder, block, builder.mul(axis, ir.Constant(_I64, LANES)), _VECTOR)
    difference = builder.fsub(points, _splat(builder, builder.load(builder.gep(query, [axis]))))
    return _multiply_add(builder, difference, difference, sums)


def _lanes_within(typing_context: Any, block: Any, query: Any, limit: Any, sums: Any) -> Any:  # noqa: ARG001
    """Tell which points of a block lie within a squared distance; abandon early when none can.

    `lanes_within(block, query, limit, sums) -> uint32`: block (axes, 32),
    query (axes,), limit and sums (32,) all float32. Bit i of the answer is set
    when point i is within; sums then holds the squared distances. After an
    early end (answer 0) sums is left as it was.
    """
    signature = types.uint32(block, query, types.float32, sums)
    return signature, _generate


def _generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    block, query, sums = (context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 1, 3))
    n_axes = builder.extract_value(query.shape, 0)
    limits = _splat(builder, arguments[2])
    entry = builder.block
    loop, kept, finished, end = (builder.append_basic_block(name) for name in ("axes", "kept", "finished", "end"))
    builder.branch(loop)
    builder.position_at_end(loop)
    axis, running = builder.phi(_I64), builder.phi(_VECTOR)
    axis.add_incoming(ir.Constant(_I64, 0), entry)
    running.add_incoming(ir.Constant(_VECTOR, [0.0] * LANES), entry)
    total = running
    for step in range(AXES_STEP):
        total = _add_axis(builder, block.data, query.data, builder.add(axis, ir.Constant(_I64, step)), total)
    within = builder.bitcast(builder.fcmp_unordered("<=", total, limits), _I32)  # NaN: nothing is known
    builder.cbranch(builder.icmp_unsigned("==", within, ir.Constant(_I32, 0)), end, kept)
    builder.position_at_end(kept)
    following = builder.add(axis, ir.Constant(_I64, AXES_STEP))
    axis.add_incoming(following, kept)
    running.add_incoming(total, kept)
    builder.cbranch(builder.icmp_signed("<", following, n_axes), loop, finished)
    builder.position_at_end(finished)
    builder.store(total, builder.bitcast(sums.data, _VECTOR.as_pointer()), align=4)
    builder.branch(end)
    builder.position_at_end(end)
    answer = builder.phi(_I32)
    answer.add_incoming(ir.Constant(_I32, 0), loop)
    answer.add_incoming(within, finished)
    return answer


def _four_within(typing_context: Any, block: Any, queries: Any, norms: Any, limits: Any, sums: Any, within: Any) -> Any:  # noqa: ARG001
    """Tell which points of a block lie within a squared distance of each of four queries.

    `four_within(block, queries, norms, limits, sums, within) -> uint32`: block
    (axes, 32), queries (4, axes) times -2, norms (32,) the points' squared
    lengths, limits (4,) the squared distances less the queries' squared lengths.
    Then sums (4, 32) holds squared distances less the queries' squared lengths,
    within (4,), uint32, a bit for each point, and the answer the bits of all.
    """
    return types.uint32(block, queries, norms, limits, sums, within), _generate_four


def _generate_four(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    block, queries, norms, limits, sums, within = (
        context.make_array(kind)(context, builder, argument)
        for kind, argument in zip(signature.args, arguments, strict=True)
    )
    n_axes = builder.extract_value(block.shape, 0)
    together = [ir.Constant(_I32, 0)] * TOGETHER
    for begin in range(0, LANES, _HALF.count):
        totals = _products(
            builder, block.data, queries.data, _load(builder, norms.data, _at(begin), _HALF), n_axes, begin
        )
        for query, total in enumerate(totals):
            limit = _splat(builder, builder.load(builder.gep(limits.data, [_at(query)])), _HALF)
            bits = builder.bitcast(builder.fcmp_ordered("<=", total, limit), ir.IntType(_HALF.count))
            bits = builder.shl(builder.zext(bits, _I32), ir.Constant(_I32, begin))
            together[query] = builder.or_(together[query], bits)
            room = builder.gep(sums.data, [_at(query * LANES + begin)])
            builder.store(total, builder.bitcast(room, _HALF.as_pointer()), align=4)
    answer = ir.Constant(_I32, 0)
    for query, bits in enumerate(together):
        builder.store(bits, builder.gep(within.data, [_at(query)]))
        answer = builder.or_(answer, bits)
    return answer


def _at(place: int) -> Any:
    return ir.Constant(_I64, place)


def _products(builder: Any, block: Any, queries: Any, start: Any, n_axes: Any, begin: int) -> list[Any]:
    """Add the products of four queries with the lanes from `begin` on to a start, axis by axis."""
    before = builder.block
    loop, done = builder.append_basic_block("products"), builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    axis, running = builder.phi(_I64), [builder.phi(_HALF) for _ in range(TOGETHER)]
    axis.add_incoming(_at(0), before)
    totals = list(running)
    for step in range(AXES_STEP):
        here = builder.add(axis, _at(step))
        points = _load(builder, block, builder.add(builder.mul(here, _at(LANES)), _at(begin)), _HALF)
        for query in range(TOGETHER):
            weight = builder.load(builder.gep(queries, [builder.add(builder.mul(_at(query), n_axes), here)]))
            totals[query] = _multiply_add(builder, _splat(builder, weight, _HALF), points, totals[query])
    following = builder.add(axis, _at(AXES_STEP))
    axis.add_incoming(following, loop)
    for total, phi in zip(totals, running, strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(total, loop)
    builder.cbranch(builder.icmp_signed("<", following, n_axes), loop, done)
    builder.position_at_end(done)
    return totals


def _lowest_lane(typing_context: Any, lanes: Any) -> Any:  # noqa: ARG001
    """Give the number of the lowest set bit: `lowest_lane(uint32) -> intp`; the argument is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.zext(builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1)), _I64)

    return types.intp(types.uint32), generate


lanes_within: Any = intrinsic(_lanes_within)
four_within: Any = intrinsic(_four_within)
lowest_lane: Any = intrinsic(_lowest_lane)
