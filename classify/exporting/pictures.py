"""`curate.images.fit` as an ONNX graph, equal to Pillow's to the bit.

Pillow resizes 8-bit pictures in two passes, one an axis, with coefficients of 22 bits behind the point and pixels
rounded to 8 bits after each pass (src/libImaging/Resample.c). Here a pass is a product of integer matrices whose
coefficients are worked out in the graph, from the height and the width of the pictures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

OPSET = 18
"""Version of ONNX's operators, of 2022: old runtimes know it too."""

IR_VERSION = 8
"""Version of the file format that came with them."""


def fitting(size: int, how: str, background: tuple[int, int, int]) -> onnx.ModelProto:
    """The graph of `curate.images.fit(picture, size, how, background)`, in Pillow 13's arithmetic.

    It takes `pictures` uint8 (N, H, W, 3), RGB, all of one height and width, and gives `fitted` uint8
    (N, size, size, 3). Raises ValueError for a `how` that is none of pad, crop, stretch.
    """
    import onnx.parser

    if how not in _PLACING:
        raise ValueError(f"fit: '{how}' is none of {', '.join(_PLACING)}")
    text = (
        _HEAD
        % {"opset": OPSET, "ir": IR_VERSION, "size": size, "background": "{}, {}, {}".format(*background)}
        + _PLACING[how]
        + _KERNEL.replace("@", "x").replace("LENGTH", "width")
        + _KERNEL.replace("@", "y").replace("LENGTH", "height")
        + _TURN
        + _PASS.replace("@", "1").replace("SOURCE", "turned")
        + _PASS.replace("@", "2").replace("SOURCE", "pixels_1")
        + _TURN_BACK
    )
    model: onnx.ModelProto = onnx.parser.parse_model(text)
    onnx.checker.check_model(model)
    return model


# ONNX's own text form (https://onnx.ai/onnx/repo-docs/Syntax.html). Types 2, 6, 7 and 11 of Cast are uint8, int32,
# int64 and double. Numbers ending in _x and _y are of the two axes.

_HEAD = """
<ir_version: %(ir)d, opset_import: ["": %(opset)d]>
fitting (uint8[N, H, W, 3] pictures) => (uint8[N, %(size)d, %(size)d, 3] fitted)
<
    double zero = {0}, double half = {0.5}, double one = {1}, double one_half = {1.5}, double two = {2},
    double two_half = {2.5}, double four = {4}, double five = {5}, double eight = {8}, double minus_half = {-0.5},
    double size = {%(size)d}, double point = {4194304},
    int32 digit = {256}, int32 offset = {128}, uint8 no_offset = {0}, uint8 offset_byte = {128},
    int64 digit_1 = {256}, int64 digit_2 = {65536}, int64 rounding = {2097152}, int64 unit = {4194304},
    int64 least = {0}, int64 most = {1073741823},
    int64[1] first_axis = {0}, int64[1] last_axis = {-1}, int64[2] last_axes = {-2, -1},
    uint8[3] background = {%(background)s}
>
{
    height_1 = Shape <start = 1, end = 2> (pictures)
    width_1 = Shape <start = 2, end = 3> (pictures)
    height_0 = Squeeze (height_1, first_axis)
    width_0 = Squeeze (width_1, first_axis)
    height = Cast <to = 11> (height_0)
    width = Cast <to = 11> (width_0)
    places = Range (zero, size, one)
"""
"""Lengths of the axes, and the places along the fitted one."""

_PLACING = {
    "pad": """
    wider = Greater (width, height)
    y_by_x = Div (height, width)
    lower = Mul (y_by_x, size)
    lower_whole = Round (lower)
    size_y = Where (wider, lower_whole, size)
    taller = Greater (height, width)
    x_by_y = Div (width, height)
    narrower = Mul (x_by_y, size)
    narrower_whole = Round (narrower)
    size_x = Where (taller, narrower_whole, size)
    border_y = Sub (size, size_y)
    border_x = Sub (size, size_x)
    half_border_y = Mul (border_y, half)
    half_border_x = Mul (border_x, half)
    before_y = Round (half_border_y)
    before_x = Round (half_border_x)
    from_y = Identity (zero)
    from_x = Identity (zero)
    part_y = Identity (height)
    part_x = Identity (width)
""",
    "crop": """
    side = Min (height, width)
    beside_y = Sub (height, side)
    beside_x = Sub (width, side)
    from_y = Mul (beside_y, half)
    from_x = Mul (beside_x, half)
    part_y = Identity (side)
    part_x = Identity (side)
    size_y = Identity (size)
    size_x = Identity (size)
    before_y = Identity (zero)
    before_x = Identity (zero)
""",
    "stretch": """
    from_y = Identity (zero)
    from_x = Identity (zero)
    part_y = Identity (height)
    part_x = Identity (width)
    size_y = Identity (size)
    size_x = Identity (size)
    before_y = Identity (zero)
    before_x = Identity (zero)
""",
}
"""Which part of an axis (from, length) becomes how many places of the fitted one, behind how many of the border."""

_KERNEL = """
    place_@ = Sub (places, before_@)
    met_low_@ = GreaterOrEqual (place_@, zero)
    met_high_@ = Less (place_@, size_@)
    met_@ = And (met_low_@, met_high_@)
    divisor_@ = Max (size_@, one)
    scale_@ = Div (part_@, divisor_@)
    spread_@ = Max (scale_@, one)
    shrink_@ = Div (one, spread_@)
    support_@ = Mul (two, spread_@)
    middle_@ = Add (place_@, half)
    scaled_@ = Mul (middle_@, scale_@)
    centre_@ = Add (from_@, scaled_@)
    low_@ = Sub (centre_@, support_@)
    low_half_@ = Add (low_@, half)
    first_@ = Floor (low_half_@)
    high_@ = Add (centre_@, support_@)
    high_half_@ = Add (high_@, half)
    end_@ = Floor (high_half_@)
    row_@ = Range (zero, LENGTH, one)
    at_@ = Unsqueeze (row_@, last_axis)
    apart_@ = Sub (at_@, centre_@)
    apart_half_@ = Add (apart_@, half)
    argument_@ = Mul (apart_half_@, shrink_@)
    t_@ = Abs (argument_@)
    near_1_@ = Mul (one_half, t_@)
    near_2_@ = Sub (near_1_@, two_half)
    near_3_@ = Mul (near_2_@, t_@)
    near_4_@ = Mul (near_3_@, t_@)
    near_@ = Add (near_4_@, one)
    far_1_@ = Sub (t_@, five)
    far_2_@ = Mul (far_1_@, t_@)
    far_3_@ = Add (far_2_@, eight)
    far_4_@ = Mul (far_3_@, t_@)
    far_5_@ = Sub (far_4_@, four)
    far_@ = Mul (far_5_@, minus_half)
    is_near_@ = Less (t_@, one)
    is_far_@ = Less (t_@, two)
    outer_@ = Where (is_far_@, far_@, zero)
    cubic_@ = Where (is_near_@, near_@, outer_@)
    begun_@ = GreaterOrEqual (at_@, first_@)
    not_over_@ = Less (at_@, end_@)
    within_@ = And (begun_@, not_over_@)
    inside_@ = And (within_@, met_@)
    weight_@ = Where (inside_@, cubic_@, zero)
    sum_@ = ReduceSum <keepdims = 0> (weight_@, first_axis)
    total_@ = Where (met_@, sum_@, one)
    share_@ = Div (weight_@, total_@)
    fixed_@ = Mul (share_@, point)
    negative_@ = Less (fixed_@, zero)
    nudge_@ = Where (negative_@, minus_half, half)
    nudged_@ = Add (fixed_@, nudge_@)
    coefficient_@ = Cast <to = 6> (nudged_@)
    c0_@ = Add (coefficient_@, offset)
    d0_@ = Mod (c0_@, digit)
    rest_0_@ = Sub (c0_@, d0_@)
    k1_@ = Div (rest_0_@, digit)
    c1_@ = Add (k1_@, offset)
    d1_@ = Mod (c1_@, digit)
    rest_1_@ = Sub (c1_@, d1_@)
    k2_@ = Div (rest_1_@, digit)
    d2_@ = Add (k2_@, offset)
    digits_@ = Concat <axis = 1> (d2_@, d1_@, d0_@)
    kernel_@ = Cast <to = 2> (digits_@)
"""
"""Pillow's coefficients of one axis (`precompute_coeffs`, `bicubic_filter`, `normalize_coeffs_8bpc`).

They are whole numbers of 24 bits with a sign; `kernel`, uint8 (LENGTH, 3 size), holds their three digits of base 256, the
highest first, each -128 to 127 and written with 128 added. Places outside the picture, in the border, have none.
"""

_TURN = """
    fewer_rows = Less (size_y, height)
    rows_less = Sub (height, size_y)
    columns_less = Sub (width, size_x)
    twice = Mul (two, columns_less)
    many_rows_less = Greater (rows_less, twice)
    rows_first = And (fewer_rows, many_rows_less)
    turned, kernel_1, kernel_2 = If (rows_first) <
        then_branch = rows_lead () => (uint8[N, 3, W, H] then_turned, uint8[L1, D1] then_1, uint8[L2, D2] then_2) {
            then_turned = Transpose <perm = [0, 3, 2, 1]> (pictures)
            then_1 = Identity (kernel_y)
            then_2 = Identity (kernel_x)
        },
        else_branch = columns_lead () => (uint8[N, 3, H, W] else_turned, uint8[L3, D3] else_1, uint8[L4, D4] else_2) {
            else_turned = Transpose <perm = [0, 3, 1, 2]> (pictures)
            else_1 = Identity (kernel_x)
            else_2 = Identity (kernel_y)
        }
    >
"""
"""Which axis goes first decides about roundings.

Since version 13 Pillow takes the rows first where that saves much (`ImagingResample`), whatever part of the picture
is asked for; before, it always took the columns first.
"""

_PASS = """
    sums_@ = MatMulInteger (SOURCE, kernel_@, no_offset, offset_byte)
    s2_@, s1_@, s0_@ = Split <axis = -1, num_outputs = 3> (sums_@)
    t2_@ = Cast <to = 7> (s2_@)
    t1_@ = Cast <to = 7> (s1_@)
    t0_@ = Cast <to = 7> (s0_@)
    u2_@ = Mul (t2_@, digit_2)
    u1_@ = Mul (t1_@, digit_1)
    u0_@ = Add (t0_@, rounding)
    u12_@ = Add (u2_@, u1_@)
    u_@ = Add (u12_@, u0_@)
    v_@ = Clip (u_@, least, most)
    w_@ = Div (v_@, unit)
    b_@ = Cast <to = 2> (w_@)
    pixels_@ = Transpose <perm = [0, 1, 3, 2]> (b_@)
"""
"""One pass over the last axis, which then changes places with the one before: the sum of products, rounded (`clip8`)."""

_TURN_BACK = """
    upright = If (rows_first) <
        then_branch = rows_led () => (uint8[N, S1, S2, 3] then_upright) {
            then_upright = Transpose <perm = [0, 3, 2, 1]> (pixels_2)
        },
        else_branch = columns_led () => (uint8[N, S3, S4, 3] else_upright) {
            else_upright = Transpose <perm = [0, 2, 3, 1]> (pixels_2)
        }
    >
    met_rows = Unsqueeze (met_y, last_axes)
    met_columns = Unsqueeze (met_x, last_axis)
    met = And (met_rows, met_columns)
    fitted = Where (met, upright, background)
}
"""
