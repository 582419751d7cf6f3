/* SPDX-License-Identifier: MIT */
/* What the engine and lathe-extract say to each other: two Unix SOCK_SEQPACKET pairs, so that a
 * message arrives whole or not at all and no length is ever read from the stream.
 *
 *   engine                     server (lathe-extract)             child, one per document
 *   ──────                     ──────────────────────             ───────────────────────
 *   control ─ REQUEST + 2 fds ─► forks ─────────────────────────► reads the document's fd
 *   data    ◄──── TEXT PAGE META NOTE RESULT ──────────────────── writes until it exits
 *   data    ◄──── NOTE (a page was skipped) ── restarts a killed child
 *   control ◄──── EXIT: how the child ended
 *
 * A request of type "archive" asks for the members of an archive instead of text:
 *
 *   data    ◄──── (MEMBER DATA… END)… RESULT
 *
 * The server never reads the document, so what it says on the control pair is trusted; the child
 * does, so nothing on the data pair is: kinds and sizes are checked, text is made valid UTF-8,
 * totals are limited, and RESULT counts only when EXIT says that the child ended by itself.
 * Both ends are built together; the version in HELLO catches a stale program on the path.
 */
#ifndef LATHE_EXTRACT_PROTOCOL_H
#define LATHE_EXTRACT_PROTOCOL_H

#include <stdint.h>

#define EXTRACT_VERSION    2
#define EXTRACT_CONTROL_FD 3 /* the server's end of the control pair */

#define EXTRACT_MESSAGE 512            /* longest message for a person, with its zero byte */
#define EXTRACT_FRAME   (64u << 10)    /* longest message on the data pair, kind byte included */
#define EXTRACT_META    2048           /* longest "key\0value" */
#define EXTRACT_MEMORY  (512ull << 20) /* address space of the child */
#define EXTRACT_SKIPS   8              /* pages that may be killed per document */

/* First byte of a message on the data pair; the rest is its payload. */
enum extract_frame {
  FRAME_TEXT = 'T',   /* UTF-8, cut between characters */
  FRAME_PAGE = 'P',   /* u32: the page, from 1, whose text follows */
  FRAME_META = 'M',   /* key, zero byte, value: "type", "title", "encoding", "pages" */
  FRAME_NOTE = 'N',   /* text: what was left out and why */
  FRAME_RESULT = 'R', /* u32 enum err_code (0: all is well), message */
  FRAME_MEMBER = 'F', /* an archive's member begins: its name, bytes as they stand there */
  FRAME_DATA = 'D',   /* its next bytes */
  FRAME_END = 'E'     /* it ends: u32 enum extract_left_out, message */
};

/* Why a member was left out; its bytes, if some came, are not to be used. */
enum extract_left_out {
  LEFT_NOT, /* it is whole */
  LEFT_LINK,
  LEFT_SPECIAL, /* a device, a pipe, a socket */
  LEFT_ENCRYPTED,
  LEFT_LARGE,
  LEFT_DAMAGED,
  LEFT_KINDS
};

enum extract_how {
  EXTRACT_EXITED = 1, /* by itself; value: its status */
  EXTRACT_SIGNALED,   /* value: the signal */
  EXTRACT_CPU,        /* killed: too much CPU time; value: seconds */
  EXTRACT_NO_START    /* fork failed; value: errno */
};

struct extract_hello {
  uint32_t version;
  uint32_t landlock; /* ABI in force in children; 0: the kernel has none */
  uint32_t seccomp;  /* 1: the filter loads */
  uint32_t poppler;  /* major << 16 | minor << 8 | micro; 0: built without */
};

struct extract_request {
  uint32_t cpu_seconds;  /* of the whole document */
  uint32_t page_seconds; /* of one PDF page */
  uint64_t unpacked_max; /* bytes that archive members may unpack to, together */
  uint64_t member_max;   /* of an archive: larger members are left out */
  char type[8];          /* "", or "txt", "docx" …: do not guess; or "archive", or "probe" */
  char extension[16];    /* lower case, without the dot; a hint */
};

struct extract_exit {
  uint32_t how; /* enum extract_how */
  int32_t value;
};

#endif
