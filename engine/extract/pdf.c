/* SPDX-License-Identifier: MIT */
#include "extract/worker.h"
uint32_t pdf_version(void) {
  return 0;
}
int pdf_read(struct job *job, struct err *err) {
  (void)job;
  return err_set(err, ERR_UNSUPPORTED,
                 "this lathe-extract was built without PDF support: install libpoppler-glib-dev "
                 "and run make again");
}
