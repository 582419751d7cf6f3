/* SPDX-License-Identifier: MIT */
#include "extract/worker.h"
int docx_read(struct job *job, struct err *err) {
  (void)job;
  return err_set(err, ERR_UNSUPPORTED, "DOCX is not read by this build");
}
