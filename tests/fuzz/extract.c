/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for the readers of lathe-extract, without their cage. The first byte chooses the
 * type, the rest is the document; every frame that comes out must be what protocol.h says, its text
 * valid UTF-8. Needs engine/extract/ (without main.c and client.c) and its libraries. */
#include "base/utf8.h"
#include "extract/worker.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *drain(void *arg) {
  static _Thread_local char frame[EXTRACT_FRAME + 1];
  int fd = *(int *)arg;
  for (ssize_t n; (n = recv(fd, frame, sizeof frame, MSG_TRUNC)) > 0;) {
    if ((size_t)n > EXTRACT_FRAME || !strchr("TPMNRFDE", frame[0])) abort();
    if (frame[0] == FRAME_TEXT && utf8_check(frame + 1, (size_t)n - 1) != (size_t)n - 1) abort();
  }
  return NULL;
}

static void read_it(struct job *job, unsigned type, struct err *err) {
  enum doc_type guess;
  if (type == 0) html_read(job, err);
  if (type == 1) docx_read(job, err);
  if (type == 2) text_read(job, true, err);
  if (type == 3) pdf_read(job, err);
  if (type == 4) sniff_type(job, &guess, err);
  if (type == 5) odt_read(job, err);
  if (type == 6) pptx_read(job, err);
  if (type == 7) epub_read(job, err);
  if (type == 8) ipynb_read(job, err);
  if (type == 9) unpack_run(job, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct job job;
  struct progress progress = {0};
  struct err err;
  pthread_t reader;
  int pair[2];
  if (size < 2) return 0;
  memset(&job, 0, sizeof job);
  job.fd = memfd_create("document", MFD_CLOEXEC);
  if (job.fd < 0 || write(job.fd, data + 1, size - 1) != (ssize_t)size - 1) abort();
  if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair)) abort();
  job.bytes = size - 1;
  job.request.unpacked_max = 16u << 20;
  job.request.member_max = 1u << 20;
  job.progress = &progress;
  job.first_page = 1;
  out_init(&job.out, pair[1]);
  if (pthread_create(&reader, NULL, drain, &pair[0])) abort();
  read_it(&job, data[0] % 10, &err);
  out_flush(&job.out);
  shutdown(pair[1], SHUT_RDWR);
  pthread_join(reader, NULL);
  close(pair[0]), close(pair[1]), close(job.fd);
  return 0;
}
