"""The constants of the mathematical functions (see ``numpy/functions.py``).

Written by tools/derive_coefficients.py: change that, and run it with --write. Polynomials have
their lowest coefficient first.
"""

from typing import Any, NamedTuple

import numpy as np


def f64(digits: str, number: Any = np.float64) -> Any:
    """A binary64 from its hexadecimal digits, or a tuple from those of several."""
    numbers = tuple(number(float.fromhex(one)) for one in digits.split())
    return numbers if len(numbers) > 1 else numbers[0]


def f32(digits: str) -> Any:
    """The same of binary32."""
    return f64(digits, np.float32)


class Constants(NamedTuple):
    """The constants of the functions, in one format."""

    log2e: np.floating[Any]
    magic: np.floating[Any]
    ln2_high: np.floating[Any]
    ln2_low: np.floating[Any]
    exp_lowest: np.floating[Any]
    lowered: np.floating[Any]
    exp_q: tuple[np.floating[Any], ...]
    farthest: np.floating[Any]
    tail_centre: np.floating[Any]
    tail_r: tuple[np.floating[Any], ...]
    density: np.floating[Any]
    tanh_linear: np.floating[Any]
    tanh_cubic: np.floating[Any]
    tanh_slope: np.floating[Any]


F32 = Constants(
    log2e=f32("0x1.715476p+0"),  # log2(e)
    magic=f32("0x1.80017ep+23"),  # 1.5 * 2^23 + bias + 64
    ln2_high=f32("0x1.62e4p-1"),  # ln 2 in 16 bits: times any n it is exact
    ln2_low=f32("0x1.7f7d1cp-20"),  # the rest of ln 2
    exp_lowest=f32("-0x1.ap+6"),  # below, exp(x) is 0
    lowered=f32("0x1p-64"),  # 2^-64
    # q(r) = (exp(r) - 1 - r) / r^2; relative error of exp 3.7e-09
    exp_q=f32("""
        0x1.fffffcp-2 0x1.555492p-3 0x1.5558f2p-5 0x1.1239ecp-7 0x1.6a23aap-10
    """),
    farthest=f32("0x1.dp+3"),  # from here on Phi(-a) and phi(a) are 0
    tail_centre=f32("0x1.6p+1"),  # K
    # R(a) (a + K) in t = (a - K) / (a + K); relative error 5.6e-08
    tail_r=f32("""
        0x1.701efp-1 -0x1.e5bd2p-2 0x1.756b8p-3 -0x1.0f5c72p-6 -0x1.0d5ddp-6 0x1.a1d2ecp-9
        0x1.4590bep-9 -0x1.02a48ap-12 -0x1.ada242p-12 -0x1.29817p-14
    """),
    density=f32("0x1.988454p-2"),  # 1 / sqrt(2 pi)
    tanh_linear=f32("0x1.988454p+0"),  # 2 sqrt(2 / pi)
    tanh_cubic=f32("0x1.2444f2p-4"),  # 0.044715 times that
    tanh_slope=f32("0x1.b6676cp-3"),  # and 3 times that
)


F64 = Constants(
    log2e=f64("0x1.71547652b82fep+0"),  # log2(e)
    magic=f64("0x1.800000000043fp+52"),  # 1.5 * 2^52 + bias + 64
    ln2_high=f64("0x1.62e42fefa38p-1"),  # ln 2 in 42 bits: times any n it is exact
    ln2_low=f64("0x1.ef35793c7673p-45"),  # the rest of ln 2
    exp_lowest=f64("-0x1.75p+9"),  # below, exp(x) is 0
    lowered=f64("0x1p-64"),  # 2^-64
    # q(r) = (exp(r) - 1 - r) / r^2; relative error of exp 1.1e-17
    exp_q=f64("""
        0x1.000000000000ap-1 0x1.55555555554fap-3 0x1.5555555550871p-5 0x1.1111111127b6cp-7
        0x1.6c16c1842c4c9p-10 0x1.a01a012a823c3p-13 0x1.a0199a06b8fb4p-16 0x1.71df24ee7c237p-19
        0x1.28ad77d1b54d4p-22 0x1.ad8014ada1fbbp-26
    """),
    farthest=f64("0x1.36p+5"),  # from here on Phi(-a) and phi(a) are 0
    tail_centre=f64("0x1p+2"),  # K
    # R(a) (a + K) in t = (a - K) / (a + K); relative error 7e-17
    tail_r=f64("""
        0x1.82b4bb8c94dcep-1 -0x1.373e3a893c28ap-1 0x1.8c6dbf2cfc307p-2 -0x1.7dff2bff6849ep-3
        0x1.eec4cc3e44533p-5 -0x1.ee27610435605p-8 -0x1.c81719c97ac4ep-9 0x1.ab825fafc43bp-10
        0x1.17a4a60d812f7p-13 -0x1.e4a42179a0c8dp-13 -0x1.001122093949ap-19 0x1.26d05e7b8ca8ap-15
        0x1.7fdae5d8137dfp-21 -0x1.8d488296095cp-18 -0x1.4fad2f61804edp-21 0x1.12494d1c26cf5p-20
        0x1.1ba5dbbff6f6bp-22 -0x1.501cfbdeeb981p-23 -0x1.4b979f5929c6dp-24 0x1.1320915a43c82p-26
        0x1.f5c2cfa43ec6ap-27 -0x1.627da7a41fceep-32 -0x1.46d122a607d4p-30
    """),
    density=f64("0x1.9884533d43651p-2"),  # 1 / sqrt(2 pi)
    tanh_linear=f64("0x1.9884533d43651p+0"),  # 2 sqrt(2 / pi)
    tanh_cubic=f64("0x1.2444f2a4d8b4bp-4"),  # 0.044715 times that
    tanh_slope=f64("0x1.b6676bf7450fp-3"),  # and 3 times that
)

NORMAL_CENTRE = f32("0x1.8p+0")  # f - 1.5 is exact

# row k: of (f - 1.5)^k, by (bits of t >> 23) & 31; error 3.5e-06
NORMAL = (
    f32("""
        0x1.8392bp+2 0x1.7c5e82p+2 0x1.750888p+2 0x1.6d8edep+2 0x1.65ef6ep+2 0x1.5e27eep+2
        0x1.5635d6p+2 0x1.4e165cp+2 0x1.45c65ep+2 0x1.3d426p+2 0x1.348678p+2 0x1.2b8e34p+2
        0x1.225488p+2 0x1.18d3acp+2 0x1.0f04f4p+2 0x1.04e098p+2 0x1.f4bafp+1 0x1.dee16cp+1
        0x1.c81a88p+1 0x1.b04662p+1 0x1.973d6ap+1 0x1.7ccd8cp+1 0x1.60b5e6p+1 0x1.429fe4p+1
        0x1.2213ccp+1 0x1.fcc83ep+0 0x1.ad0a92p+0 0x1.51695cp+0 0x1.c6387ep-1 0x1.464a44p-2 0x0p+0
        0x1.8aa6cep+2
    """),
    f32("""
        -0x1.b78748p-4 -0x1.bf70acp-4 -0x1.c7c9b4p-4 -0x1.d09cecp-4 -0x1.d9f652p-4 -0x1.e3e396p-4
        -0x1.ee747p-4 -0x1.f9bb02p-4 -0x1.02e63p-3 -0x1.096092p-3 -0x1.105b24p-3 -0x1.17e71cp-3
        -0x1.201908p-3 -0x1.2909c4p-3 -0x1.32d7aap-3 -0x1.3da83p-3 -0x1.49aa46p-3 -0x1.571986p-3
        -0x1.664302p-3 -0x1.778c54p-3 -0x1.8b7e98p-3 -0x1.a2d7e2p-3 -0x1.bea886p-3 -0x1.e0869ep-3
        -0x1.05776ap-2 -0x1.210506p-2 -0x1.46b75cp-2 -0x1.7e625ep-2 -0x1.db912p-2 -0x1.51903ap-1
        0x0p+0 -0x1.b00436p-4
    """),
    f32("""
        0x1.1cdc72p-5 0x1.21b8fp-5 0x1.26d62ep-5 0x1.2c39eep-5 0x1.31eaa6p-5 0x1.37efaap-5
        0x1.3e5154p-5 0x1.451926p-5 0x1.4c520cp-5 0x1.5408a6p-5 0x1.5c4b96p-5 0x1.652bf6p-5
        0x1.6ebdep-5 0x1.791924p-5 0x1.845a3p-5 0x1.90a33ep-5 0x1.9e1ddap-5 0x1.acfd04p-5
        0x1.bd7feep-5 0x1.cff5cp-5 0x1.e4c2bep-5 0x1.fc6704p-5 0x1.0bc3acp-4 0x1.1b7b58p-4
        0x1.2ddd64p-4 0x1.4378e2p-4 0x1.5c94eap-4 0x1.7784a6p-4 0x1.86ed8p-4 0x1.1aaf84p-4 0x0p+0
        0x1.183b98p-5
    """),
    f32("""
        -0x1.f1f5dap-7 -0x1.fa40e4p-7 -0x1.017bdp-6 -0x1.0611aep-6 -0x1.0ae748p-6 -0x1.100282p-6
        -0x1.156a0ap-6 -0x1.1b257ep-6 -0x1.213d8cp-6 -0x1.27bc34p-6 -0x1.2eacfcp-6 -0x1.361d4ep-6
        -0x1.3e1cd6p-6 -0x1.46be08p-6 -0x1.5016c6p-6 -0x1.5a4136p-6 -0x1.655cdap-6 -0x1.719006p-6
        -0x1.7f09d2p-6 -0x1.8e04acp-6 -0x1.9ec9ecp-6 -0x1.b1b6a4p-6 -0x1.c74242p-6 -0x1.e00776p-6
        -0x1.fcd006p-6 -0x1.0f522cp-5 -0x1.2373aep-5 -0x1.3bf462p-5 -0x1.5dbac4p-5 -0x1.d42abep-5
        0x0p+0 -0x1.ea0e38p-7
    """),
    f32("""
        0x1.172506p-7 0x1.1bb53ep-7 0x1.207f9cp-7 0x1.25890ep-7 0x1.2ad716p-7 0x1.306ffp-7
        0x1.365aap-7 0x1.3c9f2p-7 0x1.434686p-7 0x1.4a5b3cp-7 0x1.51e93cp-7 0x1.59fe6cp-7
        0x1.62aafp-7 0x1.6c01bep-7 0x1.761934p-7 0x1.810be8p-7 0x1.8cf9cp-7 0x1.9a094ap-7
        0x1.a86998p-7 0x1.b854b8p-7 0x1.ca1302p-7 0x1.ddffa2p-7 0x1.f48eccp-7 0x1.072b1ep-6
        0x1.160c48p-6 0x1.2769eap-6 0x1.3be8bep-6 0x1.5451p-6 0x1.709c0ap-6 0x1.6091c2p-6 0x0p+0
        0x1.12ca8ap-7
    """),
    f32("""
        -0x1.3741d6p-8 -0x1.3c48ep-8 -0x1.418f3p-8 -0x1.471a14p-8 -0x1.4cef76p-8 -0x1.5316p-8
        -0x1.599536p-8 -0x1.60759cp-8 -0x1.67c0e4p-8 -0x1.6f821ep-8 -0x1.77c606p-8 -0x1.809b4ep-8
        -0x1.8a130cp-8 -0x1.944136p-8 -0x1.9f3d4ep-8 -0x1.ab2332p-8 -0x1.b8142ep-8 -0x1.c6385ep-8
        -0x1.d5c08cp-8 -0x1.e6e8ap-8 -0x1.f9faeep-8 -0x1.07aa5cp-7 -0x1.13b624p-7 -0x1.216cbap-7
        -0x1.313078p-7 -0x1.4381bcp-7 -0x1.59083ap-7 -0x1.729d94p-7 -0x1.91928ap-7 -0x1.d74aeap-7
        0x0p+0 -0x1.327556p-8
    """),
)
