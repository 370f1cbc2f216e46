/* The constants of the mathematical functions: how they are used stands in
   src/fastdrop/backends/numpy/functions.py. Written by tools/derive_coefficients.py: change that,
   and run it with --write. Polynomials have their lowest coefficient first. */
#ifndef FD_COEFFICIENTS_H
#define FD_COEFFICIENTS_H

// clang-format off
#define FD_LOG2E_F32 0x1.715476p+0f /* log2(e) */
#define FD_MAGIC_F32 0x1.80017ep+23f /* 1.5 * 2^23 + bias + 64 */
#define FD_LN2_HIGH_F32 0x1.62e4p-1f /* ln 2 in 16 bits: times any n it is exact */
#define FD_LN2_LOW_F32 0x1.7f7d1cp-20f /* the rest of ln 2 */
#define FD_EXP_LOWEST_F32 -0x1.ap+6f /* below, exp(x) is 0 */
#define FD_LOWERED_F32 0x1p-64f /* 2^-64 */
/* q(r) = (exp(r) - 1 - r) / r^2; relative error of exp 3.7e-09 */
static const float fd_exp_q_f32[5] = {
    0x1.fffffcp-2f, 0x1.555492p-3f, 0x1.5558f2p-5f, 0x1.1239ecp-7f, 0x1.6a23aap-10f,
};
#define FD_FARTHEST_F32 0x1.dp+3f /* from here on Phi(-a) and phi(a) are 0 */
#define FD_TAIL_CENTRE_F32 0x1.6p+1f /* K */
/* R(a) (a + K) in t = (a - K) / (a + K); relative error 5.6e-08 */
static const float fd_tail_r_f32[10] = {
    0x1.701efp-1f, -0x1.e5bd2p-2f, 0x1.756b8p-3f, -0x1.0f5c72p-6f, -0x1.0d5ddp-6f, 0x1.a1d2ecp-9f,
    0x1.4590bep-9f, -0x1.02a48ap-12f, -0x1.ada242p-12f, -0x1.29817p-14f,
};
#define FD_DENSITY_F32 0x1.988454p-2f /* 1 / sqrt(2 pi) */
#define FD_TANH_LINEAR_F32 0x1.988454p+0f /* 2 sqrt(2 / pi) */
#define FD_TANH_CUBIC_F32 0x1.2444f2p-4f /* 0.044715 times that */
#define FD_TANH_SLOPE_F32 0x1.b6676cp-3f /* and 3 times that */
#define FD_LOG2E_F64 0x1.71547652b82fep+0 /* log2(e) */
#define FD_MAGIC_F64 0x1.800000000043fp+52 /* 1.5 * 2^52 + bias + 64 */
#define FD_LN2_HIGH_F64 0x1.62e42fefa38p-1 /* ln 2 in 42 bits: times any n it is exact */
#define FD_LN2_LOW_F64 0x1.ef35793c7673p-45 /* the rest of ln 2 */
#define FD_EXP_LOWEST_F64 -0x1.75p+9 /* below, exp(x) is 0 */
#define FD_LOWERED_F64 0x1p-64 /* 2^-64 */
/* q(r) = (exp(r) - 1 - r) / r^2; relative error of exp 1.1e-17 */
static const double fd_exp_q_f64[10] = {
    0x1.000000000000ap-1, 0x1.55555555554fap-3, 0x1.5555555550871p-5, 0x1.1111111127b6cp-7,
    0x1.6c16c1842c4c9p-10, 0x1.a01a012a823c3p-13, 0x1.a0199a06b8fb4p-16, 0x1.71df24ee7c237p-19,
    0x1.28ad77d1b54d4p-22, 0x1.ad8014ada1fbbp-26,
};
#define FD_FARTHEST_F64 0x1.36p+5 /* from here on Phi(-a) and phi(a) are 0 */
#define FD_TAIL_CENTRE_F64 0x1p+2 /* K */
/* R(a) (a + K) in t = (a - K) / (a + K); relative error 7e-17 */
static const double fd_tail_r_f64[23] = {
    0x1.82b4bb8c94dcep-1, -0x1.373e3a893c28ap-1, 0x1.8c6dbf2cfc307p-2, -0x1.7dff2bff6849ep-3,
    0x1.eec4cc3e44533p-5, -0x1.ee27610435605p-8, -0x1.c81719c97ac4ep-9, 0x1.ab825fafc43bp-10,
    0x1.17a4a60d812f7p-13, -0x1.e4a42179a0c8dp-13, -0x1.001122093949ap-19, 0x1.26d05e7b8ca8ap-15,
    0x1.7fdae5d8137dfp-21, -0x1.8d488296095cp-18, -0x1.4fad2f61804edp-21, 0x1.12494d1c26cf5p-20,
    0x1.1ba5dbbff6f6bp-22, -0x1.501cfbdeeb981p-23, -0x1.4b979f5929c6dp-24, 0x1.1320915a43c82p-26,
    0x1.f5c2cfa43ec6ap-27, -0x1.627da7a41fceep-32, -0x1.46d122a607d4p-30,
};
#define FD_DENSITY_F64 0x1.9884533d43651p-2 /* 1 / sqrt(2 pi) */
#define FD_TANH_LINEAR_F64 0x1.9884533d43651p+0 /* 2 sqrt(2 / pi) */
#define FD_TANH_CUBIC_F64 0x1.2444f2a4d8b4bp-4 /* 0.044715 times that */
#define FD_TANH_SLOPE_F64 0x1.b6676bf7450fp-3 /* and 3 times that */
#define FD_NORMAL_CENTRE_F32 0x1.8p+0f /* f - 1.5 is exact */
/* row k: of (f - 1.5)^k, by (bits of t >> 23) & 31; error 3.5e-06 */
static const float fd_normal_f32[6][32] = {
    {
        0x1.8392bp+2f, 0x1.7c5e82p+2f, 0x1.750888p+2f, 0x1.6d8edep+2f, 0x1.65ef6ep+2f,
        0x1.5e27eep+2f, 0x1.5635d6p+2f, 0x1.4e165cp+2f, 0x1.45c65ep+2f, 0x1.3d426p+2f,
        0x1.348678p+2f, 0x1.2b8e34p+2f, 0x1.225488p+2f, 0x1.18d3acp+2f, 0x1.0f04f4p+2f,
        0x1.04e098p+2f, 0x1.f4bafp+1f, 0x1.dee16cp+1f, 0x1.c81a88p+1f, 0x1.b04662p+1f,
        0x1.973d6ap+1f, 0x1.7ccd8cp+1f, 0x1.60b5e6p+1f, 0x1.429fe4p+1f, 0x1.2213ccp+1f,
        0x1.fcc83ep+0f, 0x1.ad0a92p+0f, 0x1.51695cp+0f, 0x1.c6387ep-1f, 0x1.464a44p-2f, 0x0p+0f,
        0x1.8aa6cep+2f,
    },
    {
        -0x1.b78748p-4f, -0x1.bf70acp-4f, -0x1.c7c9b4p-4f, -0x1.d09cecp-4f, -0x1.d9f652p-4f,
        -0x1.e3e396p-4f, -0x1.ee747p-4f, -0x1.f9bb02p-4f, -0x1.02e63p-3f, -0x1.096092p-3f,
        -0x1.105b24p-3f, -0x1.17e71cp-3f, -0x1.201908p-3f, -0x1.2909c4p-3f, -0x1.32d7aap-3f,
        -0x1.3da83p-3f, -0x1.49aa46p-3f, -0x1.571986p-3f, -0x1.664302p-3f, -0x1.778c54p-3f,
        -0x1.8b7e98p-3f, -0x1.a2d7e2p-3f, -0x1.bea886p-3f, -0x1.e0869ep-3f, -0x1.05776ap-2f,
        -0x1.210506p-2f, -0x1.46b75cp-2f, -0x1.7e625ep-2f, -0x1.db912p-2f, -0x1.51903ap-1f, 0x0p+0f,
        -0x1.b00436p-4f,
    },
    {
        0x1.1cdc72p-5f, 0x1.21b8fp-5f, 0x1.26d62ep-5f, 0x1.2c39eep-5f, 0x1.31eaa6p-5f,
        0x1.37efaap-5f, 0x1.3e5154p-5f, 0x1.451926p-5f, 0x1.4c520cp-5f, 0x1.5408a6p-5f,
        0x1.5c4b96p-5f, 0x1.652bf6p-5f, 0x1.6ebdep-5f, 0x1.791924p-5f, 0x1.845a3p-5f,
        0x1.90a33ep-5f, 0x1.9e1ddap-5f, 0x1.acfd04p-5f, 0x1.bd7feep-5f, 0x1.cff5cp-5f,
        0x1.e4c2bep-5f, 0x1.fc6704p-5f, 0x1.0bc3acp-4f, 0x1.1b7b58p-4f, 0x1.2ddd64p-4f,
        0x1.4378e2p-4f, 0x1.5c94eap-4f, 0x1.7784a6p-4f, 0x1.86ed8p-4f, 0x1.1aaf84p-4f, 0x0p+0f,
        0x1.183b98p-5f,
    },
    {
        -0x1.f1f5dap-7f, -0x1.fa40e4p-7f, -0x1.017bdp-6f, -0x1.0611aep-6f, -0x1.0ae748p-6f,
        -0x1.100282p-6f, -0x1.156a0ap-6f, -0x1.1b257ep-6f, -0x1.213d8cp-6f, -0x1.27bc34p-6f,
        -0x1.2eacfcp-6f, -0x1.361d4ep-6f, -0x1.3e1cd6p-6f, -0x1.46be08p-6f, -0x1.5016c6p-6f,
        -0x1.5a4136p-6f, -0x1.655cdap-6f, -0x1.719006p-6f, -0x1.7f09d2p-6f, -0x1.8e04acp-6f,
        -0x1.9ec9ecp-6f, -0x1.b1b6a4p-6f, -0x1.c74242p-6f, -0x1.e00776p-6f, -0x1.fcd006p-6f,
        -0x1.0f522cp-5f, -0x1.2373aep-5f, -0x1.3bf462p-5f, -0x1.5dbac4p-5f, -0x1.d42abep-5f,
        0x0p+0f, -0x1.ea0e38p-7f,
    },
    {
        0x1.172506p-7f, 0x1.1bb53ep-7f, 0x1.207f9cp-7f, 0x1.25890ep-7f, 0x1.2ad716p-7f,
        0x1.306ffp-7f, 0x1.365aap-7f, 0x1.3c9f2p-7f, 0x1.434686p-7f, 0x1.4a5b3cp-7f, 0x1.51e93cp-7f,
        0x1.59fe6cp-7f, 0x1.62aafp-7f, 0x1.6c01bep-7f, 0x1.761934p-7f, 0x1.810be8p-7f,
        0x1.8cf9cp-7f, 0x1.9a094ap-7f, 0x1.a86998p-7f, 0x1.b854b8p-7f, 0x1.ca1302p-7f,
        0x1.ddffa2p-7f, 0x1.f48eccp-7f, 0x1.072b1ep-6f, 0x1.160c48p-6f, 0x1.2769eap-6f,
        0x1.3be8bep-6f, 0x1.5451p-6f, 0x1.709c0ap-6f, 0x1.6091c2p-6f, 0x0p+0f, 0x1.12ca8ap-7f,
    },
    {
        -0x1.3741d6p-8f, -0x1.3c48ep-8f, -0x1.418f3p-8f, -0x1.471a14p-8f, -0x1.4cef76p-8f,
        -0x1.5316p-8f, -0x1.599536p-8f, -0x1.60759cp-8f, -0x1.67c0e4p-8f, -0x1.6f821ep-8f,
        -0x1.77c606p-8f, -0x1.809b4ep-8f, -0x1.8a130cp-8f, -0x1.944136p-8f, -0x1.9f3d4ep-8f,
        -0x1.ab2332p-8f, -0x1.b8142ep-8f, -0x1.c6385ep-8f, -0x1.d5c08cp-8f, -0x1.e6e8ap-8f,
        -0x1.f9faeep-8f, -0x1.07aa5cp-7f, -0x1.13b624p-7f, -0x1.216cbap-7f, -0x1.313078p-7f,
        -0x1.4381bcp-7f, -0x1.59083ap-7f, -0x1.729d94p-7f, -0x1.91928ap-7f, -0x1.d74aeap-7f,
        0x0p+0f, -0x1.327556p-8f,
    },
};
// clang-format on

#endif
