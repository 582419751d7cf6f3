/* SPDX-License-Identifier: MIT */
/* CPU features; see cpu.h. __builtin_cpu_supports checks CPUID and the saved state (XGETBV). */
#include "base/cpu.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#if defined(__x86_64__)
static void brand(char name[64]) {
  unsigned r[12];
  if (__get_cpuid_max(0x80000000u, NULL) < 0x80000004u) return;
  for (unsigned i = 0; i < 3; i++)
    __get_cpuid(0x80000002u + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3]);
  memcpy(name, r, 48);
  name[48] = 0;
}
#endif

void cpu_detect(struct cpu *out) {
  memset(out, 0, sizeof *out);
#if defined(__x86_64__)
  snprintf(out->name, sizeof out->name, "x86-64");
  brand(out->name);
  __builtin_cpu_init();
  out->avx2 = __builtin_cpu_supports("avx2");
  out->fma = __builtin_cpu_supports("fma");
  out->avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vl");
  unsigned a, b, c, d;
  if (__get_cpuid(1, &a, &b, &c, &d)) out->f16c = out->avx2 && (c >> 29 & 1);
  if (out->avx512 && __get_cpuid_count(7, 0, &a, &b, &c, &d)) out->avx512_vnni = c >> 11 & 1;
  if (out->avx512 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) out->avx512_bf16 = a >> 5 & 1;
#else
  snprintf(out->name, sizeof out->name, "not x86-64");
#endif
}

unsigned cpu_count(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set)) return 1;
  int n = CPU_COUNT(&set);
  return n > 0 ? (unsigned)n : 1;
}

const char *cpu_openblas_coretype(const struct cpu *cpu) {
  if (cpu->avx512) return "SkylakeX";
  if (cpu->avx2 && cpu->fma) return "Haswell";
  return NULL;
}
