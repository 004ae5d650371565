"""The operators that an exported program may hold: those that compute, and have no other effect.

A program of a stranger with any other is refused before Paddle sees it. What a new model needs is
added here, if all that it does is to make its outputs of its inputs: no operator that touches
files, sockets, other processes, devices or Python, none that runs another program, and none of
a collective.

Paddle 3 names operators without a number (``matmul``), Paddle 2 by its older names
(``matmul_v2``). An underscore at the end, of the form that works in place, is left out.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


ELEMENTWISE = _names(
    """
    abs acos acosh add add_n asin asinh assign atan atan2 atanh bitwise_and bitwise_not
    bitwise_or bitwise_xor cast ceil celu clip cos cosh divide elementwise_add elementwise_div
    elementwise_floordiv elementwise_fmax elementwise_fmin elementwise_max elementwise_min
    elementwise_mod elementwise_mul elementwise_pow elementwise_sub elu equal erf erfinv exp
    expm1 floor floor_divide fmax fmin gelu greater_equal greater_than hard_shrink hard_sigmoid
    hard_swish hardshrink hardsigmoid hardswish hardtanh heaviside isfinite isfinite_v2 isinf
    isinf_v2 isnan isnan_v2 leaky_relu lerp less_equal less_than log log10 log1p log2
    logical_and logical_not logical_or logical_xor logit logsigmoid maximum maxout minimum mish
    multiply not_equal pow prelu reciprocal relu relu6 remainder round rsqrt scale selu sigmoid
    sign silu sin sinh softplus softshrink softsign sqrt square stanh subtract swiglu swish tan
    tanh tanh_shrink thresholded_relu trunc where
    """
)

PRODUCTS = _names(
    """
    addmm baddbmm bilinear bmm conv2d conv2d_transpose conv2d_transpose_bias conv3d
    conv3d_transpose cross deformable_conv depthwise_conv2d depthwise_conv2d_bias
    depthwise_conv2d_transpose dot einsum kron matmul matmul_v2 matmul_with_flatten mul
    multi_dot mv
    """
)

REDUCTIONS = _names(
    """
    all amax amin any arg_max arg_min argmax argmin argsort cummax cummin cumprod cumsum
    frobenius_norm logcumsumexp logsumexp max mean mean_all min norm p_norm prod reduce_all
    reduce_amax reduce_amin reduce_any reduce_max reduce_mean reduce_min reduce_prod reduce_sum
    std squared_l2_norm sum top_k_v2 topk variance
    """
)

NORMS_AND_SOFTMAX = _names(
    """
    batch_norm group_norm instance_norm layer_norm log_softmax renorm rms_norm softmax
    spectral_norm dropout
    """
)

SHAPES = _names(
    """
    broadcast_tensors builtin.combine builtin.slice builtin.split channel_shuffle concat crop
    crop_tensor diag_embed diagonal expand expand_as expand_as_v2 expand_v2 flatten flatten2
    flatten_contiguous_range flip fold frame meshgrid numel overlap_add pad pad3d pixel_shuffle
    pixel_unshuffle repeat_interleave reshape reshape2 reverse roll shape shape64 share_data
    shuffle_channel size slice split split_with_num squeeze squeeze2 stack strided_slice tile
    transpose transpose2 tril tril_triu triu unbind unfold unsqueeze unsqueeze2 unstack
    """
)

LOOKUPS = _names(
    """
    embedding gather gather_nd index_add index_put index_sample index_select lookup_table_v2
    masked_fill one_hot one_hot_v2 put_along_axis scatter scatter_nd_add set_value
    set_value_with_tensor take_along_axis
    """
)

PICTURES = _names(
    """
    affine_channel affine_grid bicubic_interp bicubic_interp_v2 bilinear_interp
    bilinear_interp_v2 grid_sample grid_sampler linear_interp linear_interp_v2
    max_pool2d_with_index nearest_interp nearest_interp_v2 pool2d pool3d trilinear_interp
    trilinear_interp_v2 unpool
    """
)

NUMBERS = _names(
    """
    arange assign_value eye fill_any_like fill_constant fill_constant_batch_size_like full
    full_batch_size_like full_int_array full_like full_with_tensor gaussian gaussian_random
    increment linspace range range_v2 tril_indices triu_indices uniform uniform_random
    """
)

COMPUTING = (
    ELEMENTWISE | PRODUCTS | REDUCTIONS | NORMS_AND_SOFTMAX | SHAPES | LOOKUPS | PICTURES | NUMBERS
)
"""All of them; those of the builtin dialect of Paddle 3 with its name."""
