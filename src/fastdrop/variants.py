"""The variants of dropout, each as one declaration: read this first.

A declaration says which operands a variant reads, which elements share a decision, the operation on
kept and dropped elements, the gradient, and the evaluation. `pipeline` does the work of a
public function from its declaration; signatures and docstrings stand with the functions.
`backends.call` lists the operations, `decisions` computes the shapes of shared decisions. Softmax,
products with a mask for each sample, norms and Monte Carlo are algorithms of their own, not here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from . import _rates, decisions
from ._arrays import Array, check_noise_shape
from ._rates import Rate
from .backends.call import Operation

Decisions: TypeAlias = Callable[..., tuple[int, ...] | None]
"""From an array and the variant's option, which it checks, to the shape of the decisions.

None is a decision for each element. With `argument`, errors call the array so.
"""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The operation of an evaluation, and its numbers for p and a dtype."""

    operation: Operation
    numbers: Callable[[float, str], tuple[float, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """One kind of dropout, or the gradient of one."""

    function: str
    """The public function of this name in `fastdrop`; a `Variant` in `VARIANTS` is found by it."""
    source: str
    """Author and year of the publication that defines it; the docstring says more."""
    operation: Operation = "scale"
    operands: tuple[str, ...] = ("x",)
    """What the function calls the arrays that it reads: of one shape and dtype."""
    rate: Callable[[Any, str], Rate] = _rates.factor_rate
    """From p and the dtype to the threshold of decisions and the numbers of the operation."""
    decisions: Decisions | None = None
    """The shape of shared decisions; None for a decision for each element."""
    positions: int = 1
    """How many positions of the stream a decision takes."""
    evaluation: Evaluation | None = None
    """None for the input itself."""
    gradient: str = "same"
    """"same" for the same call on the gradient, "identity", or the function that computes it."""
    layer: str | None = None
    """Its class in `fastdrop.layers`."""
    results: int = 1
    block_axes: int = 0
    """Where a decision drops a block: how many axes blocks have."""
    faces: tuple[str, ...] = ("dask", "jax")
    """The packages of `fastdrop` that have the function too, beside `torch`, which has them all;
    gradients, which have no layer, are functions on NumPy arrays alone."""
    repeats: bool = False
    """Whether ``rng`` has to give the same key in every training call, as a gradient needs it."""

    def __reduce__(self) -> str:
        """Pickle and copy by name: a declaration exists once."""
        return next(name for name, value in globals().items() if value is self)


def _spatial(axes: int) -> Decisions:
    return lambda x, form, argument="x": decisions.spatial_shape(x, axes, form, argument)


def _noise_shape(x: Array, noise_shape: object = None) -> tuple[int, ...] | None:
    return None if noise_shape is None else check_noise_shape(noise_shape, x.shape)


# Where kept x / (1 - p), else +0.0.
DROPOUT: Final = Variant(
    "dropout", "Srivastava et al. 2014", decisions=_noise_shape, layer="Dropout"
)
# mode="standard": nothing is scaled in training, and everything by 1 - p in evaluation.
DROPOUT_STANDARD: Final = replace(
    DROPOUT, rate=_rates.standard_rate, evaluation=Evaluation("scale", _rates.evaluation_scales)
)
DROPOUT1D: Final = Variant(
    "dropout1d", "Tompson et al. 2015", decisions=_spatial(1), layer="SpatialDropout1D"
)
DROPOUT2D: Final = Variant(
    "dropout2d", "Tompson et al. 2015", decisions=_spatial(2), layer="SpatialDropout2D"
)
DROPOUT3D: Final = Variant(
    "dropout3d", "Tompson et al. 2015", decisions=_spatial(3), layer="SpatialDropout3D"
)
VARIATIONAL_DROPOUT: Final = Variant(
    "variational_dropout",
    "Gal and Ghahramani 2016",
    decisions=decisions.variational_shape,
    layer="VariationalDropout",
)
DROP_PATH: Final = Variant(
    "drop_path", "Huang et al. 2016", decisions=decisions.path_shape, layer="DropPath"
)
DROP_CONNECT: Final = Variant(
    "drop_connect", "Wan et al. 2013", operands=("w",), layer="DropConnect"
)
EMBEDDING_DROPOUT: Final = Variant(
    "embedding_dropout",
    "Merity, Keskar and Socher 2018",
    operands=("table",),
    decisions=decisions.row_shape,
    layer="EmbeddingDropout",
)
ATTENTION_DROPOUT: Final = Variant(
    "attention_dropout", "Vaswani et al. 2017", operands=("weights",), layer="AttentionDropout"
)


# The same by blocks: kept elements are scaled by the number of all over that of kept ones.
def _drop_block(axes: int) -> Variant:
    return Variant(
        f"drop_block{axes}d",
        "Ghiasi, Lin and Le 2018",
        rate=_rates.block_rate,
        decisions=lambda x, size, argument="x": decisions.corner_shape(x, axes, size, argument),
        block_axes=axes,
        faces=(),
        layer=f"DropBlock{axes}D",
    )


DROP_BLOCK1D: Final = _drop_block(1)
DROP_BLOCK2D: Final = _drop_block(2)
DROP_BLOCK3D: Final = _drop_block(3)

# Where kept a x + b, else a constant.
ALPHA_DROPOUT: Final = Variant(
    "alpha_dropout",
    "Klambauer et al. 2017",
    operation="affine",
    rate=_rates.affine_rate,
    gradient="alpha_dropout_backward",
    layer="AlphaDropout",
)
ALPHA_DROPOUT_BACKWARD: Final = Variant(
    "alpha_dropout_backward",
    "Klambauer et al. 2017",
    operands=("dy",),
    rate=_rates.affine_slope_rate,
    repeats=True,
)
FEATURE_ALPHA_DROPOUT: Final = replace(
    ALPHA_DROPOUT,
    function="feature_alpha_dropout",
    decisions=decisions.feature_shape,
    gradient="feature_alpha_dropout_backward",
    layer="FeatureAlphaDropout",
)
FEATURE_ALPHA_DROPOUT_BACKWARD: Final = replace(
    ALPHA_DROPOUT_BACKWARD,
    function="feature_alpha_dropout_backward",
    decisions=lambda dy, argument="dy": decisions.feature_shape(dy, argument),
)

DROP_KEY: Final = Variant(
    "drop_key",
    "Li et al. 2023",
    operation="affine",
    operands=("scores",),
    rate=_rates.lowest_rate,
    gradient="drop_key_backward",
    layer="DropKey",
)
DROP_KEY_BACKWARD: Final = Variant(
    "drop_key_backward", "Li et al. 2023", operands=("dy",), rate=_rates.standard_rate, repeats=True
)

# Nothing is dropped: x (1 + sigma z), x + sigma z.
GAUSSIAN_DROPOUT: Final = Variant(
    "gaussian_dropout",
    "Srivastava et al. 2014",
    operation="noise_factor",
    rate=_rates.deviation_rate,
    positions=2,
    layer="GaussianDropout",
)
GAUSSIAN_NOISE: Final = Variant(
    "gaussian_noise",
    "Bishop 1995",
    operation="noise_add",
    rate=_rates.noise_rate,
    positions=2,
    gradient="identity",
    layer="GaussianNoise",
)

# In one pass with another operand, or an activation.
DROPOUT_ADD: Final = Variant(
    "dropout_add",
    "Vaswani et al. 2017",
    operation="add",
    operands=("x", "residual"),
    evaluation=Evaluation("add", _rates.no_scale),
    gradient="dropout",
    layer="DropoutAdd",
)
ZONEOUT: Final = Variant(
    "zoneout",
    "Krueger et al. 2017",
    operation="select",
    operands=("h_new", "h_old"),
    rate=_rates.plain_rate,
    evaluation=Evaluation("mix", _rates.both_scales),
    gradient="zoneout_backward",
    layer="Zoneout",
)
ZONEOUT_BACKWARD: Final = Variant(
    "zoneout_backward",
    "Krueger et al. 2017",
    operation="split",
    operands=("dy",),
    rate=_rates.plain_rate,
    evaluation=Evaluation("unmix", _rates.both_scales),
    gradient="zoneout",
    results=2,
    repeats=True,
)
BIAS_ACT_DROPOUT: Final = Variant(
    "bias_act_dropout",
    "Hendrycks and Gimpel 2016",
    operation="act",
    evaluation=Evaluation("act", _rates.no_scale),
    gradient="bias_act_dropout_backward",
    layer="BiasActDropout",
)
BIAS_ACT_DROPOUT_BACKWARD: Final = Variant(
    "bias_act_dropout_backward",
    "Hendrycks and Gimpel 2016",
    operation="act_slope",
    operands=("x", "dy"),
    evaluation=Evaluation("act_slope", _rates.no_scale),
    repeats=True,
)

VARIANTS: Final = tuple(value for value in globals().values() if isinstance(value, Variant))
BY_FUNCTION: Final = {variant.function: variant for variant in reversed(VARIANTS)}
"""The declaration of a function; of `dropout`'s two, the one that scales in training."""
