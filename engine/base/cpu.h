/* SPDX-License-Identifier: MIT */
/* What this processor can do, read by CPUID (and XGETBV for what the system saves). */
#ifndef LATHE_BASE_CPU_H
#define LATHE_BASE_CPU_H

#include <stdbool.h>

struct cpu {
  char name[64]; /* brand string, or the architecture */
  bool avx2, fma, f16c;
  bool avx512;      /* F, BW, CD, DQ, VL: what OpenBLAS calls SkylakeX */
  bool avx512_bf16; /* vdpbf16ps */
  bool avx512_vnni;
};

void cpu_detect(struct cpu *out);
unsigned cpu_count(void); /* processors that this process may run on, at least 1 */

/* The OPENBLAS_CORETYPE that fits: "SkylakeX", "Haswell", or NULL to let the library choose.
 * OpenBLAS 0.3.21 does not know newer CPUs and falls back to Haswell kernels at half their speed.
 */
const char *cpu_openblas_coretype(const struct cpu *cpu);

#endif
