/* What numpy computes in many passes over memory, in one pass each; matrix products stay numpy's.
 *
 * Standard C11, twice from one text: REAL is float, then double. Nothing of a library but memcpy
 * and memset. What comes out depends on the numbers alone, not on where they lie or on how a
 * compiler cuts a loop: sums go in LANES columns that are added in a fixed order, products are
 * fused where FMA says so and nowhere else (-ffp-contract=off), and every entry is treated alike.
 *
 * An Array is numpy's own object: behind the head of any Python object lies the address of its
 * entries (PyArrayObject, numpy/ndarraytypes.h), which numpy's header reads in the same way.
 *
 * Axes as in engine/model: N rows, C channels, H heads of size D, F hidden, V vocabulary.
 */
#ifndef REAL

#include <stdint.h>
#include <string.h>

#define LANES 16   /* columns of a sum along memory: one vector of 512 bits of floats, four of 128 */
#define ROWS 32    /* that a sum down a column takes before it is added to the whole */
#define COLUMNS 64 /* queries that are seen at once: a block of them */
#define WIDE 256   /* columns of logits: narrower ones meet in the same sets of the cache */
#define RUN 1024   /* entries of a sum of squares before it goes on in double */
#define EACH _Pragma("omp simd")

typedef const char *Array;
typedef long long Int;

static Int head = 16; /* bytes of a Python object before what its kind adds */

void set_head(Int bytes) { head = bytes; }
Int address(Array a) { return (Int)(intptr_t)*(char *const *)(a + head); }

#define DATA(kind, a) (*(kind *const *)((a) + head))
#define AT(a) DATA(REAL, a)

/* One rounding where the processor has it; elsewhere a library would have to imitate it. */
#if defined(__FMA__) || defined(__aarch64__) || defined(__ARM_FEATURE_FMA)
#define FMA_f32 __builtin_fmaf
#define FMA_f64 __builtin_fma
#else
#define FMA_f32(a, b, c) ((a) * (b) + (c))
#define FMA_f64(a, b, c) ((a) * (b) + (c))
#endif

#define REAL float
#define WHOLE int32_t
#define NAME(name) name##_f32
#define FMA FMA_f32
#define ROOT __builtin_sqrtf
#define MAGIC 12582912.0f /* 1.5 · 2²³: what is added to it is rounded to a whole number */
#define MAGIC_BITS 0x4B400000
#define MANTISSA 23
#define BIAS 127
#define MOST 0x1p126f
#include __FILE__
#undef REAL
#undef WHOLE
#undef NAME
#undef FMA
#undef ROOT
#undef MAGIC
#undef MAGIC_BITS
#undef MANTISSA
#undef BIAS
#undef MOST

#define REAL double
#define WHOLE int64_t
#define NAME(name) name##_f64
#define FMA FMA_f64
#define ROOT __builtin_sqrt
#define MAGIC 6755399441055744.0 /* 1.5 · 2⁵² */
#define MAGIC_BITS 0x4338000000000000
#define MANTISSA 52
#define BIAS 1023
#define MOST 0x1p1022
#define IS_DOUBLE
#include __FILE__

#else

/* --- exponential and sums ------------------------------------------------------------------ */

/* 2 to the power of x · (high + low): one unit of x is so many doublings. Beyond the normal numbers
 * it stays at their end; NaN stays NaN. With n the nearest whole number and f the rest, 2ⁿ is made
 * of bits and 2ᶠ a polynomial: for float the one that interpolates at the zeros of Chebyshev's
 * over −½ … ½, 3e-9 off; for double Taylor's, 4e-18 off. */
static inline REAL NAME(power)(REAL x, REAL high, REAL low)
{
    const REAL least = (1 - BIAS) / high, most = BIAS / high;
    x = x < least ? least : x;
    x = x > most ? most : x;
    const REAL shifted = x * high + MAGIC, n = shifted - MAGIC;
    const REAL f = FMA(x, low, FMA(x, high, -n));
    WHOLE bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (WHOLE)((uint64_t)(bits - MAGIC_BITS + BIAS) << MANTISSA);
    REAL scale;
    memcpy(&scale, &bits, sizeof scale);
#ifdef IS_DOUBLE
    REAL p = 1.3691488853904124e-12;
    p = FMA(p, f, 2.5678435993488196e-11);
    p = FMA(p, f, 4.44553827187081e-10);
    p = FMA(p, f, 7.054911620801121e-09);
    p = FMA(p, f, 1.0178086009239696e-07);
    p = FMA(p, f, 1.3215486790144305e-06);
    p = FMA(p, f, 1.5252733804059838e-05);
    p = FMA(p, f, 0.00015403530393381606);
    p = FMA(p, f, 0.0013333558146428441);
    p = FMA(p, f, 0.009618129107628477);
    p = FMA(p, f, 0.055504108664821576);
    p = FMA(p, f, 0.2402265069591007);
    p = FMA(p, f, 0.6931471805599453);
#else
    REAL p = 0.00015461444724808513f;
    p = FMA(p, f, 0.0013400428177711937f);
    p = FMA(p, f, 0.00961805667843204f);
    p = FMA(p, f, 0.05550327226669895f);
    p = FMA(p, f, 0.24022650922289554f);
    p = FMA(p, f, 0.6931472067028329f);
#endif
    return FMA(p, f, (REAL)1) * scale;
}

/* The columns of a sum, added by halves. */
static inline REAL NAME(folded)(REAL *s)
{
    for (int width = LANES / 2; width; width /= 2)
        for (int j = 0; j < width; j++)
            s[j] += s[j + width];
    return s[0];
}

static inline REAL NAME(dot)(const REAL *a, const REAL *b, Int n)
{
    REAL s[LANES] = {0};
    Int i = 0;
    for (; i + LANES <= n; i += LANES)
        EACH for (int j = 0; j < LANES; j++)
            s[j] = FMA(a[i + j], b[i + j], s[j]);
    for (int j = 0; i + j < n; j++)
        s[j] = FMA(a[i + j], b[i + j], s[j]);
    return NAME(folded)(s);
}

/* --- root-mean-square norm ----------------------------------------------------------------- */

/* y = n · gain, n = x · r, r = √C / √(Σ x² + C ε), row by row; no y where has_gain is 0. */
void NAME(rms_norm)(Array x_, Array gain_, Array n_, Array r_, Array y_, Int rows, Int c,
                    double eps, Int has_gain)
{
    const REAL root = ROOT((REAL)c), *gain = AT(gain_);
    REAL *r = AT(r_);
    for (Int i = 0; i < rows; i++) {
        const REAL *x = AT(x_) + i * c;
        REAL *n = AT(n_) + i * c, *y = AT(y_) + i * c;
        const REAL f = r[i] = root / ROOT(NAME(dot)(x, x, c) + (REAL)(c * eps));
        if (has_gain) {
            EACH for (Int j = 0; j < c; j++) {
                const REAL one = x[j] * f;
                n[j] = one;
                y[j] = one * gain[j];
            }
        } else {
            EACH for (Int j = 0; j < c; j++)
                n[j] = x[j] * f;
        }
    }
}

/* dx = r · (dy · gain − n · mean(dy · n · gain)), dgain = Σ dy · n; part (C,) is spent. */
void NAME(rms_norm_backward)(Array dy_, Array n_, Array r_, Array gain_, Array dx_, Array dgain_,
                             Array part_, Int rows, Int c)
{
    const REAL *r = AT(r_), *gain = AT(gain_);
    REAL *dgain = AT(dgain_), *part = AT(part_);
    memset(dgain, 0, (size_t)c * sizeof(REAL));
    for (Int start = 0; start < rows; start += ROWS) {
        const Int stop = start + ROWS < rows ? start + ROWS : rows;
        memset(part, 0, (size_t)c * sizeof(REAL));
        for (Int i = start; i < stop; i++) {
            const REAL *dy = AT(dy_) + i * c, *n = AT(n_) + i * c;
            REAL *dx = AT(dx_) + i * c, s[LANES] = {0};
            Int k = 0;
            for (; k + LANES <= c; k += LANES)
                EACH for (int j = 0; j < LANES; j++) {
                    const REAL both = dy[k + j] * n[k + j];
                    part[k + j] += both;
                    s[j] = FMA(both, gain[k + j], s[j]);
                }
            for (int j = 0; k + j < c; j++) {
                const REAL both = dy[k + j] * n[k + j];
                part[k + j] += both;
                s[j] = FMA(both, gain[k + j], s[j]);
            }
            const REAL mean = NAME(folded)(s) / (REAL)c, f = r[i];
            EACH for (Int j = 0; j < c; j++)
                dx[j] = f * FMA(-n[j], mean, dy[j] * gain[j]);
        }
        EACH for (Int j = 0; j < c; j++)
            dgain[j] += part[j];
    }
}

/* --- feed-forward -------------------------------------------------------------------------- */

/* σ = 1 / (1 + e^−gate), 0 where that leaves the numbers: gate becomes swish = gate · σ; sigma2 = 2 σ,
 * h = swish · up; n entries. */
void NAME(swiglu)(Array gate_, Array up_, Array sigma2_, Array h_, Int n, double high, double low)
{
    REAL *gate = AT(gate_), *sigma2 = AT(sigma2_), *h = AT(h_);
    const REAL *up = AT(up_), by = (REAL)high, rest = (REAL)low;
    EACH for (Int i = 0; i < n; i++) {
        const REAL e = NAME(power)(-gate[i], by, rest);
        const REAL s = e < (REAL)MOST ? 1 / (1 + e) : e > 0 ? 0 : e, swish = gate[i] * s;
        gate[i] = swish;
        sigma2[i] = 2 * s;
        h[i] = swish * up[i];
    }
}

/* dgate = dh · up · (swish + σ · (1 − swish)), dup = dh · swish, h = swish · up; dup may be dh. */
void NAME(swiglu_backward)(Array dh_, Array swish_, Array up_, Array sigma2_, Array dgate_,
                           Array dup_, Array h_, Int n)
{
    const REAL *dh = AT(dh_), *swish = AT(swish_), *up = AT(up_), *sigma2 = AT(sigma2_);
    REAL *dgate = AT(dgate_), *dup = AT(dup_), *h = AT(h_);
    EACH for (Int i = 0; i < n; i++) {
        const REAL d = dh[i], a = swish[i], u = up[i], half = (REAL)0.5;
        h[i] = a * u;
        dgate[i] = FMA(FMA(a, -half, half), sigma2[i], a) * u * d;
        dup[i] = d * a;
    }
}

/* --- loss ---------------------------------------------------------------------------------- */

/* Of logits (V, N) the sums of their powers, and what each target's logit is in the same unit; where
 * has_scale, logits become scale · (softmax − onehot), else anything. A column gives up its
 * largest logit where one of its own lies beyond ±limit. */
void NAME(cross_entropy)(Array logits_, Array targets_, Array total_, Array picked_, Int v, Int n,
                         double limit, double scale, Int has_scale, double high, double low)
{
    const int64_t *targets = DATA(const int64_t, targets_);
    REAL *total = AT(total_), *picked = AT(picked_);
    const REAL up = (REAL)high, rest = (REAL)low, most = (REAL)limit;
    for (Int start = 0; start < n; start += WIDE) {
        const Int w = n - start < WIDE ? n - start : WIDE;
        REAL *block = AT(logits_) + start, peak[WIDE], depth[WIDE], sum[WIDE] = {0};
        for (Int j = 0; j < w; j++)
            peak[j] = depth[j] = block[j];
        for (Int i = 1; i < v; i++) {
            const REAL *row = block + i * n;
            EACH for (Int j = 0; j < w; j++) {
                peak[j] = row[j] > peak[j] ? row[j] : peak[j];
                depth[j] = row[j] < depth[j] ? row[j] : depth[j];
            }
        }
        for (Int j = 0; j < w; j++) {
            peak[j] = -most < depth[j] && peak[j] < most ? 0 : peak[j];
            const Int id = targets[start + j]; /* one that there is not has a loss that is no number */
            picked[start + j] = 0 <= id && id < v ? block[id * n + j] - peak[j] : 0 / (REAL)0;
        }
        for (Int first = 0; first < v; first += ROWS) {
            const Int last = first + ROWS < v ? first + ROWS : v;
            REAL part[WIDE] = {0};
            for (Int i = first; i < last; i++) {
                REAL *row = block + i * n;
                EACH for (Int j = 0; j < w; j++) {
                    const REAL e = NAME(power)(row[j] - peak[j], up, rest);
                    row[j] = e;
                    part[j] += e;
                }
            }
            EACH for (Int j = 0; j < w; j++)
                sum[j] += part[j];
        }
        for (Int j = 0; j < w; j++)
            total[start + j] = sum[j];
        if (!has_scale)
            continue;
        EACH for (Int j = 0; j < w; j++)
            sum[j] = (REAL)scale / sum[j];
        for (Int i = 0; i < v; i++) {
            REAL *row = block + i * n;
            EACH for (Int j = 0; j < w; j++)
                row[j] *= sum[j];
        }
        for (Int j = 0; j < w; j++)
            if (0 <= targets[start + j] && targets[start + j] < v)
                block[targets[start + j] * n + j] -= (REAL)scale;
    }
}

/* --- attention ----------------------------------------------------------------------------- */

/* Pairs (first half, second half) of every head turned by their angles, in place:
 * x (heads, 2, half, n); cosines and sines (half, n), multiplied by `by` and `side`. */
void NAME(rotate)(Array x_, Array cos_, Array sin_, Int heads, Int half, Int n, double by,
                  double side)
{
    const REAL f = (REAL)by, g = (REAL)side;
    for (Int i = 0; i < heads * half; i++) {
        const Int row = i % half;
        REAL *a = AT(x_) + ((i / half) * 2 * half + row) * n, *b = a + half * n;
        const REAL *c = AT(cos_) + row * n, *s = AT(sin_) + row * n;
        EACH for (Int j = 0; j < n; j++) {
            const REAL x = a[j], y = b[j], cj = c[j] * f, sj = s[j] * g;
            a[j] = FMA(x, cj, -(y * sj));
            b[j] = FMA(y, cj, x * sj);
        }
    }
}

/* Of scores (heads, keys, queries) their powers, in place, 0 where a key comes after a query, and
 * their sums over keys (heads, queries). Only the last n_last keys can come after one of the
 * queries. With has_peak scores lose their query's peak (heads, queries), down to `least`. */
void NAME(powers)(Array e_, Array peak_, Array sums_, Int heads, Int keys, Int queries, Int n_last,
                  Int has_peak, double least, double high, double low)
{
    const REAL up = (REAL)high, rest = (REAL)low, deepest = (REAL)least;
    for (Int h = 0; h < heads; h++) {
        REAL *e = AT(e_) + h * keys * queries, *sums = AT(sums_) + h * queries;
        const REAL *peaks = AT(peak_) + h * queries;
        if (queries == 1) { /* along memory, as when a text is written */
            const REAL peak = has_peak ? peaks[0] : 0;
            EACH for (Int k = 0; k < keys; k++) {
                REAL s = e[k] - peak;
                s = has_peak && s < deepest ? deepest : s;
                e[k] = NAME(power)(s, up, rest);
            }
            REAL s[LANES] = {0};
            for (Int k = 0; k < keys; k++)
                s[k % LANES] += e[k];
            sums[0] = NAME(folded)(s);
            continue;
        }
        for (Int from = 0; from < queries; from += COLUMNS) {
            const Int w = queries - from < COLUMNS ? queries - from : COLUMNS;
            REAL peak[COLUMNS] = {0}, sum[COLUMNS] = {0};
            for (Int j = 0; has_peak && j < w; j++)
                peak[j] = peaks[from + j];
            for (Int first = 0; first < keys; first += ROWS) {
                const Int last = first + ROWS < keys ? first + ROWS : keys;
                REAL part[COLUMNS] = {0};
                for (Int k = first; k < last; k++) {
                    REAL *row = e + k * queries + from;
                    Int hidden = k - (keys - n_last) - from; /* queries before their key */
                    hidden = hidden < 0 ? 0 : hidden > w ? w : hidden;
                    const Int begin = hidden / LANES * LANES;
                    if (has_peak) {
                        EACH for (Int j = begin; j < w; j++) {
                            REAL s = row[j] - peak[j];
                            row[j] = s < deepest ? deepest : s;
                        }
                    }
                    EACH for (Int j = begin; j < w; j++)
                        row[j] = NAME(power)(row[j], up, rest);
                    for (Int j = 0; j < hidden; j++)
                        row[j] = 0;
                    EACH for (Int j = begin; j < w; j++)
                        part[j] += row[j];
                }
                EACH for (Int j = 0; j < w; j++)
                    sum[j] += part[j];
            }
            for (Int j = 0; j < w; j++)
                sums[from + j] = sum[j];
        }
    }
}

/* Of scores s (heads, queries, keys) their powers, as above, and ds ← (ds − shift) · e; shift and
 * peak (heads, queries). */
void NAME(slopes)(Array s_, Array ds_, Array shift_, Array peak_, Int heads, Int queries, Int keys,
                  Int n_last, Int has_peak, double least, double high, double low)
{
    const REAL up = (REAL)high, rest = (REAL)low, deepest = (REAL)least;
    for (Int i = 0; i < heads * queries; i++) {
        REAL *e = AT(s_) + i * keys, *ds = AT(ds_) + i * keys;
        const REAL shift = AT(shift_)[i];
        const Int seen = keys - n_last + i % queries + 1, n = seen < keys ? seen : keys;
        Int whole = (n + LANES - 1) / LANES * LANES;
        whole = whole < keys ? whole : keys;
        if (has_peak) {
            const REAL peak = AT(peak_)[i];
            EACH for (Int j = 0; j < whole; j++) {
                const REAL x = e[j] - peak;
                e[j] = x < deepest ? deepest : x;
            }
        }
        EACH for (Int j = 0; j < whole; j++) {
            const REAL one = NAME(power)(e[j], up, rest);
            e[j] = one;
            ds[j] = (ds[j] - shift) * one;
        }
        for (Int j = n; j < keys; j++)
            e[j] = ds[j] = 0;
    }
}

/* do_w = do · w and shift = Σ_D do_w · o: do, o, do_w (H D, B T), w and shift (B, H, T). */
void NAME(weigh)(Array do_, Array o_, Array w_, Array do_w_, Array shift_, Int heads, Int d, Int b,
                 Int t)
{
    for (Int h = 0; h < heads; h++)
        for (Int i = 0; i < b; i++) {
            const REAL *w = AT(w_) + (i * heads + h) * t;
            REAL *shift = AT(shift_) + (i * heads + h) * t;
            memset(shift, 0, (size_t)t * sizeof(REAL));
            for (Int k = 0; k < d; k++) {
                const Int at = ((h * d + k) * b + i) * t;
                const REAL *x = AT(do_) + at, *o = AT(o_) + at;
                REAL *y = AT(do_w_) + at;
                EACH for (Int j = 0; j < t; j++) {
                    const REAL one = x[j] * w[j];
                    y[j] = one;
                    shift[j] = FMA(one, o[j], shift[j]);
                }
            }
        }
}

/* to[b, h, j, i] = from[b, h, i, j] for i < rows, j < columns; entries of the last axis lie side by
 * side, the others as many apart as the strides say. */
void NAME(turn)(Array from_, Array to_, Int n_b, Int n_h, Int rows, Int columns, Int from_b,
                Int from_h, Int from_row, Int to_b, Int to_h, Int to_row)
{
    for (Int b = 0; b < n_b; b++)
        for (Int h = 0; h < n_h; h++) {
            const REAL *from = AT(from_) + b * from_b + h * from_h;
            REAL *to = AT(to_) + b * to_b + h * to_h;
            for (Int i = 0; i < rows; i += LANES)
                for (Int j = 0; j < columns; j += LANES) {
                    const Int i_end = i + LANES < rows ? i + LANES : rows;
                    const Int j_end = j + LANES < columns ? j + LANES : columns;
                    for (Int l = j; l < j_end; l++)
                        for (Int k = i; k < i_end; k++)
                            to[l * to_row + k] = from[k * from_row + l];
                }
        }
}

/* --- embedding ----------------------------------------------------------------------------- */

/* Rows of dx (N, C) added to those of table (V, C) that ids name, in their order. */
void NAME(embedding_backward)(Array dx_, Array ids_, Array table_, Int n, Int c, Int v)
{
    const int64_t *ids = DATA(const int64_t, ids_);
    for (Int i = 0; i < n; i++) {
        const Int id = ids[i] < 0 ? 0 : ids[i] < v ? ids[i] : v - 1; /* as np.take clips */
        REAL *to = AT(table_) + id * c;
        const REAL *from = AT(dx_) + i * c;
        EACH for (Int j = 0; j < c; j++)
            to[j] += from[j];
    }
}

/* --- updates ------------------------------------------------------------------------------- */

/* other (n,) added to own, and the sum of squares of what own is then, in double. */
double NAME(add_squares)(Array own_, Array other_, Int n, Int has_other)
{
    REAL *own = AT(own_);
    const REAL *other = AT(other_);
    double total = 0;
    for (Int start = 0; start < n; start += RUN) {
        const Int w = n - start < RUN ? n - start : RUN;
        if (has_other) {
            EACH for (Int j = 0; j < w; j++)
                own[start + j] += other[start + j];
        }
        total += (double)NAME(dot)(own + start, own + start, w);
    }
    return total;
}

/* What decay takes of p: only where u p ≥ 0 if cautious. */
#define SHRUNK(p, u, decay, cautious) \
    ((cautious) ? (p) - ((u) * (p) >= 0 ? (decay) * (p) : 0) : (p) * (1 - (decay)))

/* m ← β₁m + g, v ← β₂v + g², u = rate · m / (√v + ε), p ← p less its decay − u. */
void NAME(adamw)(Array p_, Array g_, Array m_, Array v_, Int n, double scale, double beta1,
                 double beta2, double eps, double rate, double decay, Int cautious)
{
    REAL *p = AT(p_), *m = AT(m_), *v = AT(v_);
    const REAL *g = AT(g_), by = (REAL)scale, b1 = (REAL)beta1, b2 = (REAL)beta2, e = (REAL)eps;
    const REAL lr = (REAL)rate, d = (REAL)decay;
    EACH for (Int i = 0; i < n; i++) {
        const REAL x = g[i] * by, m1 = FMA(m[i], b1, x), v1 = FMA(v[i], b2, x * x);
        const REAL u = m1 / (ROOT(v1) + e) * lr, q = p[i];
        m[i] = m1;
        v[i] = v1;
        p[i] = SHRUNK(q, u, d, cautious) - u;
    }
}

/* u = lr · sign(m · mix + g), p ← p less its decay − u, m ← βm + (1−β)g. */
void NAME(lion)(Array p_, Array g_, Array m_, Int n, double scale, double mix, double beta,
                double rate, double decay, Int cautious)
{
    REAL *p = AT(p_), *m = AT(m_);
    const REAL *g = AT(g_), by = (REAL)scale, a = (REAL)mix, b = (REAL)beta, lr = (REAL)rate;
    const REAL d = (REAL)decay, c = (REAL)(1 - beta);
    EACH for (Int i = 0; i < n; i++) {
        const REAL x = g[i] * by, s = FMA(m[i], a, x), q = p[i];
        const REAL u = s > 0 ? lr : s < 0 ? -lr : s * lr; /* 0, or NaN */
        p[i] = SHRUNK(q, u, d, cautious) - u;
        m[i] = FMA(m[i], b, x * c);
    }
}

/* v ← β₂v + (1−β₂)g², u = g / (√v · correct + ε) + what decay takes of y,
 * y ← y + c (z − y) + ahead · u, z ← z − lr u. */
void NAME(schedule_free)(Array y_, Array g_, Array z_, Array v_, Int n, double scale, double beta2,
                         double correct, double eps, double decay, double share, double ahead,
                         double rate, Int cautious)
{
    REAL *y = AT(y_), *z = AT(z_), *v = AT(v_);
    const REAL *g = AT(g_), by = (REAL)scale, b = (REAL)beta2, fresh = (REAL)(1 - beta2);
    const REAL f = (REAL)correct, e = (REAL)eps, d = (REAL)decay, c = (REAL)share;
    const REAL step = (REAL)ahead, lr = (REAL)rate;
    EACH for (Int i = 0; i < n; i++) {
        const REAL x = g[i] * by, v1 = FMA(v[i], b, x * x * fresh), q = y[i];
        REAL u = x / FMA(ROOT(v1), f, e);
        u += cautious && u * q < 0 ? 0 : d * q;
        v[i] = v1;
        y[i] = FMA(u, step, FMA(z[i] - q, c, q));
        z[i] = FMA(-u, lr, z[i]);
    }
}

/* m ← μm + g, x = g + μm. */
void NAME(momentum)(Array x_, Array g_, Array m_, Int n, double scale, double mu)
{
    REAL *x = AT(x_), *m = AT(m_);
    const REAL *g = AT(g_), by = (REAL)scale, f = (REAL)mu;
    EACH for (Int i = 0; i < n; i++) {
        const REAL one = g[i] * by, m1 = FMA(m[i], f, one);
        m[i] = m1;
        x[i] = FMA(m1, f, one);
    }
}

/* p ← p less its decay − rate · u. */
void NAME(descend)(Array p_, Array u_, Int n, double rate, double decay, Int cautious)
{
    REAL *p = AT(p_);
    const REAL *u = AT(u_), lr = (REAL)rate, d = (REAL)decay;
    EACH for (Int i = 0; i < n; i++) {
        const REAL x = u[i] * lr, q = p[i];
        p[i] = SHRUNK(q, x, d, cautious) - x;
    }
}
#endif
