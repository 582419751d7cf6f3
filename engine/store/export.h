/* SPDX-License-Identifier: MIT */
/* Records from JSONL files to targets: chosen fields, each record to the target that its values name.
 *
 *   part-0000.jsonl ─► parse ─► fields ─► route: the values of metadata.split … ─► writer
 *
 * Which file a route is, is not decided here: a route that is met for the first time makes
 * export_feed stop and say so; the caller answers with export_target and goes on. CSV and Parquet
 * need to know all records before the first is written: EXPORT_OBSERVE, then EXPORT_PUT. Mostly a few
 * records tell it all; so one may observe some, settle with `guessed`, and put: EXPORT_MISFIT then says
 * that a record was met that changes the columns or the targets, and all has to begin anew with a
 * whole first pass. The bytes are the same either way.
 */
#ifndef LATHE_STORE_EXPORT_H
#define LATHE_STORE_EXPORT_H

#include "store/writer.h"

struct export_options {
  const char *const *route; /* paths "metadata.split"; the values make the route */
  size_t route_count;
  const char *const *fields; /* path, name, path, name …: only these, in this order; NULL: all */
  size_t field_count;        /* of strings */
  bool drop_metadata;
  const char *const *tallies; /* paths whose values are counted in the second pass */
  size_t tally_count;
};

struct export;
int export_new(struct export **out, const struct export_options *options, struct err *err);
void export_free(struct export *e); /* closes the targets: nothing has happened unless committed */

/* Gives a column's type ("string", "int64", "double", "bool", "json") instead of learning it. */
int export_force(struct export *e, const char *column, enum schema_type type, struct err *err);

enum export_pass { EXPORT_OBSERVE, EXPORT_PUT };
enum export_state {
  EXPORT_FAILED = -1,
  EXPORT_DONE,    /* the file is at its end */
  EXPORT_MORE,    /* `piece` bytes were done; call again */
  EXPORT_ROUTE,   /* export_route is new; give it a target and call again */
  EXPORT_MISFIT,  /* what was guessed is wrong; begin anew */
  EXPORT_NO_ROUTE /* the record at hand lacks a value of its route; export_route says which */
};
/* Reads the file on from where the last call left it. ERR_FORMAT with file and line for a line that is
 * no record. */
enum export_state export_feed(struct export *e, const char *path, enum export_pass pass,
                              uint64_t piece, struct err *err);
void export_rewind(struct export *e); /* forgets how far the file at hand was read */
/* The route that was met, as a JSON array of the values; the line it was met in. */
const char *export_route(const struct export *e, size_t *n);
uint64_t export_line(const struct export *e);
/* Names the target of the route at hand; routes may share one: then give the number that an earlier
 * call stored. */
int export_target(struct export *e, const char *path, const struct writer_options *options,
                  size_t *number, struct err *err);
int export_share(struct export *e, size_t number, struct err *err);

/* Ends the first pass: the columns are settled. group_bytes of Parquet targets is divided among them. */
void export_settle(struct export *e, bool guessed);
const struct schema *export_schema(const struct export *e);

int export_finish(struct export *e, struct err *err);
size_t export_targets(const struct export *e);
struct writer *export_writer(struct export *e, size_t i);
int export_commit(struct export *e, struct err *err);
/* Appends what was counted of tally i: {"values":[[value,count],…],"more","none"}, the values in
 * the order of first appearance; more: records whose value was not among the first 1,000, or was
 * long; none: records without it. */
size_t export_tallies(const struct export *e);
void export_tally(const struct export *e, size_t i, struct buf *out);
/* How many records lacked field i of the options' list, of how many. */
uint64_t export_lacking(const struct export *e, size_t i);
uint64_t export_records(const struct export *e);

#endif
