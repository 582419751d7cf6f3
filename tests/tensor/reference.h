/* SPDX-License-Identifier: MIT */
/* The plain reference: every operation of a device in double precision, one obvious loop after
 * another, forward beside backward. Kernels (fp32) are compared with it; its own backward is
 * compared with numeric differentiation of its forward (ref_check_grad). Tests of tensor/ and
 * model/ include it; it is no part of the program.
 *
 * Layouts are those of tensor/device.h, without row strides: [rows, features], heads inside a row.
 * As there, gradients of weights are added to, gradients of activations overwritten.
 */
#ifndef LATHE_TESTS_REFERENCE_H
#define LATHE_TESTS_REFERENCE_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define REF static inline __attribute__((unused))

/* C[m,n] = alpha·op(A)·op(B) + beta·C, tight rows. */
REF void ref_matmul(size_t m, size_t n, size_t k, double alpha, const double *a, bool trans_a,
                    const double *b, bool trans_b, double beta, double *c) {
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++) {
      double s = 0;
      for (size_t p = 0; p < k; p++)
        s += (trans_a ? a[p * m + i] : a[i * k + p]) * (trans_b ? b[j * k + p] : b[p * n + j]);
      c[i * n + j] = alpha * s + (beta != 0 ? beta * c[i * n + j] : 0);
    }
}

REF void ref_rmsnorm(size_t rows, size_t d, double eps, const double *x, const double *w,
                     double *y) {
  for (size_t t = 0; t < rows; t++) {
    double ss = 0;
    for (size_t i = 0; i < d; i++) ss += x[t * d + i] * x[t * d + i];
    double r = 1 / sqrt(ss / (double)d + eps);
    for (size_t i = 0; i < d; i++) y[t * d + i] = x[t * d + i] * r * w[i];
  }
}
REF void ref_rmsnorm_bwd(size_t rows, size_t d, double eps, const double *x, const double *w,
                         const double *dy, double *dx, double *dw) {
  for (size_t t = 0; t < rows; t++) {
    const double *xt = x + t * d, *dyt = dy + t * d;
    double ss = 0, c = 0;
    for (size_t i = 0; i < d; i++) ss += xt[i] * xt[i];
    double r = 1 / sqrt(ss / (double)d + eps);
    for (size_t i = 0; i < d; i++) c += xt[i] * w[i] * dyt[i];
    for (size_t i = 0; i < d; i++) {
      dx[t * d + i] = r * w[i] * dyt[i] - xt[i] * r * r * r * c / (double)d;
      if (dw) dw[i] += dyt[i] * xt[i] * r;
    }
  }
}

/* In place; inverse is the backward. */
REF void ref_rope(size_t rows, size_t heads, size_t dim, const int32_t *positions,
                  const double *inv_freq, bool inverse, double *x) {
  size_t half = dim / 2;
  for (size_t t = 0; t < rows; t++)
    for (size_t h = 0; h < heads; h++)
      for (size_t i = 0; i < half; i++) {
        double angle = positions[t] * inv_freq[i], c = cos(angle), s = sin(angle);
        double *p = x + (t * heads + h) * dim + i, a = p[0], b = p[half];
        if (inverse) s = -s;
        p[0] = a * c - b * s;
        p[half] = b * c + a * s;
      }
}

/* Segments as in struct attention; k_start and k_len may be NULL. */
struct ref_attention {
  size_t segments, heads, kv_heads, dim, window;
  double scale;
  const int32_t *q_start, *k_start, *k_len;
};

/* Probabilities of query row q (of segment s) and head h over the nk keys of the segment. */
REF void ref_attention_row(const struct ref_attention *a, size_t s, size_t q, size_t h,
                           const double *qs, const double *ks, double *p) {
  size_t q0 = (size_t)a->q_start[s], nq = (size_t)a->q_start[s + 1] - q0;
  size_t k0 = a->k_start ? (size_t)a->k_start[s] : q0, nk = a->k_len ? (size_t)a->k_len[s] : nq;
  size_t kv = h / (a->heads / a->kv_heads), last = nk - nq + (q - q0);
  double top = -INFINITY, sum = 0;
  for (size_t j = 0; j < nk; j++) {
    bool seen = j <= last && (!a->window || j + a->window > last);
    double dot = 0;
    for (size_t i = 0; i < a->dim; i++)
      dot += qs[(q * a->heads + h) * a->dim + i] * ks[((k0 + j) * a->kv_heads + kv) * a->dim + i];
    p[j] = seen ? dot * a->scale : -INFINITY;
    if (p[j] > top) top = p[j];
  }
  for (size_t j = 0; j < nk; j++) sum += p[j] = exp(p[j] - top);
  for (size_t j = 0; j < nk; j++) p[j] /= sum;
}

REF void ref_attention(const struct ref_attention *a, const double *q, const double *k,
                       const double *v, double *o) {
  for (size_t s = 0; s < a->segments; s++) {
    size_t q0 = (size_t)a->q_start[s], q1 = (size_t)a->q_start[s + 1];
    size_t k0 = a->k_start ? (size_t)a->k_start[s] : q0;
    size_t nk = a->k_len ? (size_t)a->k_len[s] : q1 - q0;
    double *p = malloc((nk + 1) * sizeof *p);
    for (size_t r = q0; r < q1; r++)
      for (size_t h = 0; h < a->heads; h++) {
        size_t kv = h / (a->heads / a->kv_heads);
        double *to = o + (r * a->heads + h) * a->dim;
        ref_attention_row(a, s, r, h, q, k, p);
        memset(to, 0, a->dim * sizeof *to);
        for (size_t j = 0; j < nk; j++)
          for (size_t i = 0; i < a->dim; i++)
            to[i] += p[j] * v[((k0 + j) * a->kv_heads + kv) * a->dim + i];
      }
    free(p);
  }
}

/* k_start and k_len NULL. Rows outside of segments are left alone. */
REF void ref_attention_bwd(const struct ref_attention *a, const double *q, const double *k,
                           const double *v, const double *d_o, double *dq, double *dk, double *dv) {
  for (size_t s = 0; s < a->segments; s++) {
    size_t q0 = (size_t)a->q_start[s], q1 = (size_t)a->q_start[s + 1], n = q1 - q0, d = a->dim;
    size_t qw = a->heads * d, kw = a->kv_heads * d;
    double *p = malloc((n + 1) * sizeof *p), *dp = malloc((n + 1) * sizeof *dp);
    memset(dq + q0 * qw, 0, n * qw * sizeof *dq);
    memset(dk + q0 * kw, 0, n * kw * sizeof *dk);
    memset(dv + q0 * kw, 0, n * kw * sizeof *dv);
    for (size_t r = q0; r < q1; r++)
      for (size_t h = 0; h < a->heads; h++) {
        size_t kv = h / (a->heads / a->kv_heads);
        const double *go = d_o + r * qw + h * d;
        double mean = 0;
        ref_attention_row(a, s, r, h, q, k, p);
        for (size_t j = 0; j < n; j++) {
          dp[j] = 0;
          for (size_t i = 0; i < d; i++) {
            size_t at = (q0 + j) * kw + kv * d + i;
            dp[j] += go[i] * v[at];
            dv[at] += p[j] * go[i];
          }
          mean += p[j] * dp[j];
        }
        for (size_t j = 0; j < n; j++) {
          double ds = p[j] * (dp[j] - mean) * a->scale;
          for (size_t i = 0; i < d; i++) {
            size_t at = (q0 + j) * kw + kv * d + i;
            dq[r * qw + h * d + i] += ds * k[at];
            dk[at] += ds * q[r * qw + h * d + i];
          }
        }
      }
    free(p);
    free(dp);
  }
}

REF void ref_swiglu(size_t n, const double *gate, const double *up, double *y) {
  for (size_t i = 0; i < n; i++) y[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
}
REF void ref_swiglu_bwd(size_t n, const double *gate, const double *up, const double *dy,
                        double *dgate, double *dup) {
  for (size_t i = 0; i < n; i++) {
    double s = 1 / (1 + exp(-gate[i]));
    dgate[i] = dy[i] * up[i] * (s + gate[i] * s * (1 - s));
    dup[i] = dy[i] * gate[i] * s;
  }
}

REF void ref_embed(size_t rows, size_t d, const int32_t *ids, const double *table, double *y) {
  for (size_t t = 0; t < rows; t++) memcpy(y + t * d, table + (size_t)ids[t] * d, d * sizeof *y);
}
REF void ref_embed_bwd(size_t rows, size_t d, const int32_t *ids, const double *dy,
                       double *dtable) {
  for (size_t t = 0; t < rows; t++)
    for (size_t i = 0; i < d; i++) dtable[(size_t)ids[t] * d + i] += dy[t * d + i];
}

/* Sum of −log p over rows whose target is not −1. With dhidden (overwritten) and dhead (added to),
 * either may be NULL, gradients of scale × that sum. */
REF double ref_loss(size_t rows, size_t d, size_t vocab, const double *hidden, const double *head,
                    const int32_t *targets, double scale, double *dhidden, double *dhead) {
  double *logits = malloc((vocab + 1) * sizeof *logits), loss = 0;
  if (dhidden) memset(dhidden, 0, rows * d * sizeof *dhidden);
  for (size_t t = 0; t < rows; t++) {
    if (targets[t] < 0) continue;
    double top = -INFINITY, sum = 0;
    for (size_t v = 0; v < vocab; v++) {
      logits[v] = 0;
      for (size_t i = 0; i < d; i++) logits[v] += hidden[t * d + i] * head[v * d + i];
      if (logits[v] > top) top = logits[v];
    }
    for (size_t v = 0; v < vocab; v++) sum += exp(logits[v] - top);
    loss += log(sum) + top - logits[targets[t]];
    for (size_t v = 0; v < vocab && (dhidden || dhead); v++) {
      double g = scale * (exp(logits[v] - top) / sum - (v == (size_t)targets[t]));
      for (size_t i = 0; i < d; i++) {
        if (dhidden) dhidden[t * d + i] += g * head[v * d + i];
        if (dhead) dhead[v * d + i] += g * hidden[t * d + i];
      }
    }
  }
  free(logits);
  return loss;
}

REF void ref_adamw(size_t n, double *p, double *m, double *v, const double *g, double lr,
                   double beta1, double beta2, double eps, double decay, double grad_scale,
                   double step) {
  for (size_t i = 0; i < n; i++) {
    double gi = g[i] * grad_scale;
    p[i] -= lr * decay * p[i];
    m[i] = beta1 * m[i] + (1 - beta1) * gi;
    v[i] = beta2 * v[i] + (1 - beta2) * gi * gi;
    double mh = m[i] / (1 - pow(beta1, step)), vh = v[i] / (1 - pow(beta2, step));
    p[i] -= lr * mh / (sqrt(vh) + eps);
  }
}

/* ‖a − b‖ / ‖b‖; ‖a‖ when b is zero. */
REF double ref_distance(const float *a, const double *b, size_t n) {
  double diff = 0, size = 0;
  for (size_t i = 0; i < n; i++) {
    diff += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    size += b[i] * b[i];
  }
  return size > 0 ? sqrt(diff / size) : sqrt(diff);
}

/* Numeric differentiation: f is a scalar function of x[n]; dx is its analytic gradient. Central
 * differences of fourth order with step h in every (or, above 64 elements, every n/64-th)
 * direction. Returns max |numeric − dx| / max |dx|. */
typedef double ref_function(void *arg);
REF double ref_check_grad(ref_function *f, void *arg, double *x, size_t n, const double *dx) {
  double worst = 0, size = 0, h = 1e-4;
  size_t stride = n > 64 ? n / 64 : 1;
  for (size_t i = 0; i < n; i++) size = fabs(dx[i]) > size ? fabs(dx[i]) : size;
  for (size_t i = 0; i < n; i += stride) {
    double keep = x[i], y[4];
    static const double at[4] = {-2, -1, 1, 2};
    for (int j = 0; j < 4; j++) {
      x[i] = keep + at[j] * h;
      y[j] = f(arg);
    }
    x[i] = keep;
    double numeric = (8 * (y[2] - y[1]) - (y[3] - y[0])) / (12 * h);
    worst = fabs(numeric - dx[i]) > worst ? fabs(numeric - dx[i]) : worst;
  }
  return size > 0 ? worst / size : worst;
}

#endif
