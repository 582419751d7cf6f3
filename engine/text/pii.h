/* SPDX-License-Identifier: MIT */
/* Personal data and secrets in a text: where they stand and of which kind.
 *
 *   kind           what is found
 *   email          name@host.tld (not names of pictures such as icon@2x.png)
 *   phone          + and 9–15 digits; (555) 234-5678 and 555-234-5678; a number behind tel, phone,
 *                  fax, mobile, mobil, telefon, handy
 *   ip             IPv4 and IPv6 addresses of the public internet (private, local, documentation and
 *                  multicast ones are nobody's; 6.1.8.13, with no part above 99, is taken for the
 *                  number of a section or version)
 *   card           13–19 digits of a card company's range whose check digit (Luhn) is right
 *   iban           a country's length, and the check number (mod 97) is right
 *   key_…          AWS, GitHub, OpenAI, Anthropic, Slack, Google, Stripe, GitLab, Hugging Face, by
 *                  their published shapes; key_other: npm, SendGrid, PyPI
 *   private_key    -----BEGIN … PRIVATE KEY----- to its end
 *   jwt            a signed token: three parts, two of them beginning with eyJ
 *
 * What is found begins and ends at a border: no letter or digit stands next to it. Names, addresses
 * and dates of birth are not found: no pattern can.
 */
#ifndef LATHE_TEXT_PII_H
#define LATHE_TEXT_PII_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pii_kind {
  PII_EMAIL,
  PII_PHONE,
  PII_IP,
  PII_CARD,
  PII_IBAN,
  PII_KEY_AWS,
  PII_KEY_GITHUB,
  PII_KEY_OPENAI,
  PII_KEY_ANTHROPIC,
  PII_KEY_SLACK,
  PII_KEY_GOOGLE,
  PII_KEY_STRIPE,
  PII_KEY_GITLAB,
  PII_KEY_HUGGINGFACE,
  PII_PRIVATE_KEY,
  PII_JWT,
  PII_KEY_OTHER,
  PII_KINDS
};
#define PII_ALL ((UINT32_C(1) << PII_KINDS) - 1)

extern const char *const pii_masks[PII_KINDS]; /* "[EMAIL]", …, "[KEY]" */

struct pii_match {
  size_t from, to;
  enum pii_kind kind;
};
/* The first match of the kinds (bits) that begins at or after `at`; nothing before `at` is looked
 * at as part of one. False: none. */
bool pii_next(const char *s, size_t n, size_t at, uint32_t kinds, struct pii_match *m);

#endif
