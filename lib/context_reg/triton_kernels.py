"""GPU kernels of the context loss, in Triton: each program takes a tile of pixels of one picture through all planes.

Of up to eight kernels and a tile's pixels, whatever has both as dimensions lies in registers, a pixel to a thread.
`respond` reads the 3x3 windows and leaves the signs of the responses, two bits each, so that `spread` can fetch for a
pixel what its neighbours' responses pull with. Both work on what does not depend on the class, borders and ignored
pixels among it, before they go through the classes.
"""

import triton
import triton.language as tl

TILE_ROWS, TILE_COLUMNS = tl.constexpr(4), tl.constexpr(32)  # threads of a program: a warp loads whole lines
CENTRE = tl.constexpr(4)
MOST_KERNELS = 8  # two bits each in the 16 of a code; more would not fit into the registers either
SIGNS, SQUARES, PULL = 0, 1, 2  # rules of `respond`


@triton.jit
def respond(
    planes: tl.tensor,
    weights: tl.tensor,
    coefficients: tl.tensor,
    known: tl.tensor,
    maps: tl.tensor,
    codes: tl.tensor,
    sums: tl.tensor,
    channels: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    stride: tl.tensor,
    count: tl.tensor,
    rule: tl.constexpr,
    has_known: tl.constexpr,
    needs_codes: tl.constexpr,
    needs_sums: tl.constexpr,
    kernels: tl.constexpr,
) -> None:
    """Responses of planes (N, C, H, W) to `count` kernels, at most `kernels`, a power of two.

    weights, maps: (J, H, W) of the first picture, `stride` numbers from one picture to the next. Rule 0, SIGNS: maps
    become W x the sum of |response| over the planes, and a response pulls with W x its sign. Rule 1, SQUARES: maps
    become minus the sum of squared responses. Rule 2, PULL: a response pulls with -2 x W x itself.
    coefficients: (count, 9). known: (N, H, W), 0 where ignored. codes: int16 (N, C, H, W), of rule 0: two bits for
    each kernel, which are the first two of twice its sign as a float. sums: (programs, 9, kernels), of pulls times
    differences.
    """
    y, x, picture = _tile(1)
    size, here, inside = height * width, _nearest(y, height) * width + _nearest(x, width), (y < height) & (x < width)
    known += picture * size
    kernel = tl.arange(0, kernels)[:, None]
    offsets: tl.tuple = ()
    rows: tl.tuple = ()
    for tap in tl.static_range(9):
        near = _nearest(y + tap // 3 - 1, height) * width + _nearest(x + tap % 3 - 1, width)
        if has_known:  # the centre stands in for an ignored neighbour: a difference of exactly 0
            near = tl.where(tl.load(known + near) != 0, near, here)
        offsets += (near,)
        rows += (tl.load(coefficients + 9 * kernel + tap, mask=kernel < count, other=0.0),)
    places, used = picture * stride + kernel * size + here[None, :], (kernel < count) & inside[None, :]
    total = tl.zeros((kernels, TILE_ROWS * TILE_COLUMNS), tl.float32)
    factor = total  # of what a response pulls with: of twice its sign, or of itself
    if rule == 0:
        factor = 0.5 * tl.load(weights + places, mask=used, other=0.0)
    if rule == 2:
        factor = -2 * tl.load(weights + places, mask=used, other=0.0)
    pulled = (total, total, total, total, total, total, total, total, total)
    plane, code_plane = planes + picture * channels * size, codes + picture * channels * size
    window = _load_all(plane, offsets)
    for channel in range(channels):
        plane += tl.where(channel + 1 < channels, size, 0)
        following = _load_all(plane, offsets)  # on its way while this one is computed
        values = _differences(window)
        response = rows[0] * values[0][None, :]
        for tap in tl.static_range(1, 9):
            response += rows[tap] * values[tap][None, :]
        pull = factor * response
        if rule == 0:
            total += tl.abs(response)
            sign = tl.where(response > 0, 2.0, tl.where(response < 0, -2.0, 0.0))
            pull = factor * sign
        if rule == 1:
            total += response * response
        if needs_codes:
            bits = (sign.to(tl.int32, bitcast=True) >> 30) & 3  # 00 of 0, 01 of 2, 11 of -2
            code = tl.sum(bits << (2 * kernel), axis=0)
            tl.store(code_plane + here, code.to(tl.int16), mask=inside)
            code_plane += size
        if needs_sums:
            pulled = _add_products(pulled, pull, values)
        window = following
    if rule == 0:
        tl.store(maps + places, 2 * factor * total, mask=used)
    if rule == 1:
        tl.store(maps + places, -total, mask=used)
    if needs_sums:
        program = (tl.program_id(2) * tl.num_programs(1) + tl.program_id(1)) * tl.num_programs(0) + tl.program_id(0)
        for tap in tl.static_range(9):
            of_tap = sums + (program * 9 + tap) * kernels + tl.arange(0, kernels)
            tl.store(of_tap, tl.sum(pulled[tap], axis=1))


@triton.jit
def _differences(window: tl.tuple) -> tl.tuple:
    """Of the nine pixels to the centre, and the centre itself in the middle."""
    values: tl.tuple = ()
    for tap in tl.static_range(9):
        if tap == CENTRE:
            values += (window[tap],)
        else:
            values += (window[tap] - window[CENTRE],)
    return values


@triton.jit
def _add_products(sums: tl.tuple, pull: tl.tensor, values: tl.tuple) -> tl.tuple:
    added: tl.tuple = ()
    for tap in tl.static_range(9):
        added += (sums[tap] + pull * values[tap][None, :],)
    return added


@triton.jit
def spread(
    codes: tl.tensor,
    weights: tl.tensor,
    taps: tl.tensor,
    known: tl.tensor,
    gradient: tl.tensor,
    channels: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    stride: tl.tensor,
    count: tl.tensor,
    has_known: tl.constexpr,
    adds: tl.constexpr,
    kernels: tl.constexpr,
) -> None:
    """Gradient on the planes (N, C, H, W) from the signs of `respond`, written, or with `adds` added to what is there.

    A pixel gets from each of its neighbours, and from itself, the signs of all kernels, each times a factor that no
    class changes (`_factors`). Two rows are done at a time, because half of their neighbours are the same.
    """
    y, x, picture = _tile(2)
    size, kernel = height * width, tl.arange(0, kernels)[:, None]
    known += picture * size
    weights += picture * stride
    upper = _factors(y, x, weights, taps, known, height, width, count, has_known, kernels)
    lower = _factors(y + 1, x, weights, taps, known, height, width, count, has_known, kernels)
    offsets: tl.tuple = ()
    for place in tl.static_range(12):
        offsets += (_nearest(y + place // 3 - 1, height) * width + _nearest(x + place % 3 - 1, width),)
    here, has_upper, has_lower = y * width + x, (y < height) & (x < width), (y + 1 < height) & (x < width)
    plane, code_plane = gradient + picture * channels * size, codes + picture * channels * size
    code = _load_all(code_plane, offsets)
    for channel in range(channels):
        code_plane += tl.where(channel + 1 < channels, size, 0)
        following = _load_all(code_plane, offsets)  # on its way while this one is computed
        of_upper = tl.zeros((kernels, TILE_ROWS * TILE_COLUMNS), tl.float32)
        of_lower = of_upper
        for place in tl.static_range(12):
            bits = (code[place].to(tl.int32)[None, :] << (30 - 2 * kernel)) & -1073741824
            sign = bits.to(tl.float32, bitcast=True)
            if place < 9:
                of_upper += upper[place] * sign
            if place >= 3:
                of_lower += lower[place - 3] * sign
        _give(plane + here, tl.sum(of_upper, axis=0), has_upper, adds)
        _give(plane + here + width, tl.sum(of_lower, axis=0), has_lower, adds)
        plane += size
        code = following


@triton.jit
def _factors(
    y: tl.tensor,
    x: tl.tensor,
    weights: tl.tensor,
    taps: tl.tensor,
    known: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    count: tl.tensor,
    has_known: tl.constexpr,
    kernels: tl.constexpr,
) -> tl.tuple:
    """What a sign, given as 2 or -2, of each neighbour pulls this pixel with: half its W times the taps that lead here.

    That is one tap, and at the border of the picture also those whose neighbour lies beyond it and is replaced by this
    pixel. A tap that leads to an ignored pixel leads back instead.
    """
    kernel, everywhere = tl.arange(0, kernels)[:, None], y == y
    stays_in_row, stays_in_column = (y == 0, everywhere, y == height - 1), (x == 0, everywhere, x == width - 1)
    rows: tl.tuple = ()
    ignored: tl.tuple = ()
    for tap in tl.static_range(9):
        rows += (tl.load(taps + 9 * kernel + tap, mask=kernel < count, other=0.0),)
        if has_known:
            near = _nearest(y + tap // 3 - 1, height) * width + _nearest(x + tap % 3 - 1, width)
            ignored += (tl.load(known + near) == 0,)
    factors: tl.tuple = ()
    for neighbour in tl.static_range(9):
        from_y, from_x = y + neighbour // 3 - 1, x + neighbour % 3 - 1
        exists = (from_y >= 0) & (from_y < height) & (from_x >= 0) & (from_x < width)
        if has_known and neighbour != CENTRE:
            exists = exists & (ignored[CENTRE] == 0)
        factor = tl.zeros((kernels, TILE_ROWS * TILE_COLUMNS), tl.float32)
        for tap in tl.static_range(9):
            if (neighbour // 3 == 1 or neighbour // 3 + tap // 3 == 2) and (
                neighbour % 3 == 1 or neighbour % 3 + tap % 3 == 2
            ):
                leads_here = everywhere
                if neighbour // 3 == 1:
                    leads_here = leads_here & stays_in_row[tap // 3]
                if neighbour % 3 == 1:
                    leads_here = leads_here & stays_in_column[tap % 3]
                if has_known and neighbour == CENTRE:
                    leads_here = leads_here | ignored[tap]
                factor += tl.where(leads_here[None, :], rows[tap], 0.0)
        at = kernel * (height * width) + (from_y * width + from_x)[None, :]
        weight = tl.load(weights + at, mask=(kernel < count) & exists[None, :], other=0.0)
        factors += (0.5 * weight * factor,)
    return factors


@triton.jit
def _give(place: tl.tensor, value: tl.tensor, inside: tl.tensor, adds: tl.constexpr) -> None:
    if adds:
        value += tl.load(place, mask=inside, other=0.0)
    tl.store(place, value, mask=inside)


@triton.jit
def _tile(rows_each: tl.constexpr) -> tl.tuple:
    """Row and column of the first pixel of each thread, and its picture; some lie beyond the right and lower border."""
    lane = tl.arange(0, TILE_ROWS * TILE_COLUMNS)
    y = (tl.program_id(1) * TILE_ROWS + lane // TILE_COLUMNS) * rows_each
    return y, tl.program_id(0) * TILE_COLUMNS + lane % TILE_COLUMNS, tl.program_id(2).to(tl.int64)


@triton.jit
def _nearest(place: tl.tensor, length: tl.tensor) -> tl.tensor:
    """The place itself, or where it lies beyond 0..length - 1, that end."""
    return tl.minimum(tl.maximum(place, 0), length - 1)


@triton.jit
def _load_all(plane: tl.tensor, offsets: tl.tuple) -> tl.tuple:
    values: tl.tuple = ()
    for place in tl.static_range(len(offsets)):
        values += (tl.load(plane + offsets[place]),)
    return values
