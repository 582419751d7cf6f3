/* SPDX-License-Identifier: MIT */
/* text/encoding: what is detected, and what comes out, whole and in blocks of every size. */
#include "support/test.h"

#include "text/encoding.h"

#include <iconv.h>
#include <stdio.h>
#include <string.h>

static const char french[] =
    "Le réglage fin d'un modèle de langue consiste à poursuivre son entraînement sur un petit "
    "ensemble de textes choisis avec soin. On part d'un modèle déjà entraîné, dont les poids sont "
    "gelés, et l'on n'apprend que de petites matrices ajoutées à côté des grandes. Cette méthode, "
    "économe en mémoire, donne d'excellents résultats même sur une machine modeste. Le choix des "
    "données demeure la question décisive : des exemples répétés, mal découpés ou hors sujet "
    "dégradent le modèle plus sûrement qu'un mauvais réglage. Il faut donc nettoyer, dédoublonner, "
    "puis vérifier à la main quelques dizaines d'exemples tirés au hasard. Après l'apprentissage, "
    "on évalue le modèle sur des questions qu'il n'a jamais vues, posées autrement que pendant "
    "l'entraînement. Où l'élève hésite, le maître reprend ; ici, c'est la mesure qui décide.\n";

/* UTF-8 text in another encoding, by iconv. */
static size_t in(const char *name, const char *s, char *out, size_t room) {
  iconv_t cd = iconv_open(name, "UTF-8");
  char *from = (char *)(size_t)s, *to = out;
  size_t left = strlen(s), free_room = room;
  if (cd == (iconv_t)-1) return 0;
  size_t rc = iconv(cd, &from, &left, &to, &free_room);
  iconv_close(cd);
  return rc == (size_t)-1 ? 0 : room - free_room;
}

static void whole_and_in_blocks(const char *bytes, size_t n, const char *name, const char *want,
                                size_t want_replaced) {
  struct err err = {0};
  struct buf b;
  size_t replaced = 99;
  buf_init(&b);
  CHECK_INT(encoding_to_utf8(bytes, n, name, &b, &replaced, &err), 0);
  CHECK_STR(b.data ? b.data : "", want);
  CHECK_INT(replaced, want_replaced);
  for (size_t block = 1; block < 9; block++) {
    struct encoding_decoder *d;
    buf_reset(&b);
    if (encoding_decoder_new(&d, name, &err)) break;
    for (size_t at = 0; at < n; at += block)
      encoding_decoder_feed(d, bytes + at, n - at < block ? n - at : block, false, &b, &err);
    CHECK_INT(encoding_decoder_feed(d, bytes, 0, true, &b, &err), 0);
    CHECK_STR(b.data ? b.data : "", want);
    CHECK_INT(encoding_decoder_replaced(d), want_replaced);
    encoding_decoder_free(d);
  }
  buf_clear(&b);
}

static struct encoding detected(const char *bytes, size_t n) {
  struct encoding whole = {0}, parts = {0};
  struct err err;
  CHECK_INT(encoding_detect(bytes, n, &whole, &err), 0);
  for (size_t block = 1; block < 1000; block = block * 3 + 1) {
    struct encoding_detector *d;
    if (encoding_detector_new(&d, &err)) break;
    for (size_t at = 0; at < n; at += block)
      encoding_detector_feed(d, bytes + at, n - at < block ? n - at : block, &err);
    CHECK_INT(encoding_detector_finish(d, &parts, &err), 0);
    if (whole.how != ENCODING_GUESS) CHECK_STR(parts.name, whole.name);
    encoding_detector_free(d);
  }
  return whole;
}

static void french_in_latin1(void) {
  char text[6000], bytes[6000];
  text[0] = 0;
  for (int i = 0; i < 5; i++) strcat(text, french); /* about 600 words */
  size_t n = in("ISO-8859-1", text, bytes, sizeof bytes);
  struct encoding e = detected(bytes, n);
  CHECK_STR(e.name, "ISO-8859-1");
  CHECK_INT(e.how, ENCODING_GUESS);
  whole_and_in_blocks(bytes, n, e.name, text, 0);
}

static void windows_quotes(void) {
  const char *text = "Er sagte: „Schön, daß Sie da sind!“ – und ging über die Brücke für 5 €.";
  char bytes[200];
  size_t n = in("WINDOWS-1252", text, bytes, sizeof bytes);
  struct encoding e = detected(bytes, n);
  CHECK_STR(e.name, "WINDOWS-1252");
  whole_and_in_blocks(bytes, n, e.name, text, 0);
}

static void short_western(void) {
  static const char *const texts[] = {"Caf\xe9", "na\xefve r\xe9sum\xe9",
                                      "El ni\xf1o comi\xf3 jam\xf3n. \xbfQu\xe9?",
                                      "Gr\xfc\xdf Gott, K\xe4the!",
                                      "R\xf8"
                                      "dgr\xf8"
                                      "d med fl\xf8"
                                      "de p\xe5 \xf8"
                                      "en"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    CHECK_STR(detected(texts[i], strlen(texts[i])).name, "ISO-8859-1");
}

static void marks(void) {
  CHECK_STR(detected("\xef\xbb\xbfhi", 5).name, "UTF-8");
  CHECK_INT(detected("\xef\xbb\xbfhi", 5).bom, 3);
  whole_and_in_blocks("\xef\xbb\xbfh\xc3\xa9", 6, "UTF-8", "hé", 0);
  CHECK_STR(detected("\xff\xfeh\0i\0", 6).name, "UTF-16LE");
  whole_and_in_blocks("\xff\xfeh\0\xe9\0\x3d\xd8\x00\xde", 10, "UTF-16LE", "hé😀", 0);
  CHECK_STR(detected("\xfe\xff\0h\0i", 6).name, "UTF-16BE");
  CHECK_STR(detected("\xff\xfe\0\0h\0\0\0", 8).name, "UTF-32LE");
  whole_and_in_blocks("\xff\xfe\0\0h\0\0\0\x00\xf6\x01\x00", 12, "UTF-32LE", "h😀", 0);
  CHECK_STR(detected("\0\0\xfe\xff\0\0\0h", 8).name, "UTF-32BE");
  CHECK_STR(detected("h\0e\0l\0l\0o\0", 10).name, "UTF-16LE");
}

/* In these the letters have no zero bytes; the spaces do. */
static void no_mark(void) {
  const char *russian = "Все люди рождаются свободными и равными в своём достоинстве и правах.\n";
  char bytes[1200];
  const char *const names[] = {"UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE"};
  for (int i = 0; i < 4; i++) {
    size_t n = in(names[i], russian, bytes, sizeof bytes);
    struct encoding e = detected(bytes, n);
    CHECK_STR(e.name, names[i]);
    CHECK_INT(e.how, ENCODING_VALID);
    whole_and_in_blocks(bytes, n, names[i], russian, 0);
  }
  /* binary data with zeros is not taken for it */
  CHECK_STR(detected("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", 18).name[0] == 'U' ? "U" : "", "");
  CHECK_STR(detected("MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0", 16).name[0] == 'U' ? "U" : "", "");
}

static void plain(void) {
  CHECK_STR(detected("", 0).name, "UTF-8");
  CHECK_STR(detected("hello", 5).name, "UTF-8");
  CHECK_INT(detected("h\xc3\xa9", 3).how, ENCODING_VALID);
  CHECK_INT(detected(french, sizeof french - 1).how, ENCODING_VALID);
}

static void damaged_utf8_stays_utf8(void) {
  char text[2 * sizeof french];
  struct err err;
  struct buf b;
  size_t replaced;
  memcpy(text, french, sizeof french);
  text[100] = (char)0xff;
  struct encoding e = detected(text, sizeof french - 1);
  CHECK_STR(e.name, "UTF-8");
  CHECK_INT(e.how, ENCODING_MOSTLY);
  buf_init(&b);
  CHECK_INT(encoding_to_utf8(text, sizeof french - 1, e.name, &b, &replaced, &err), 0);
  CHECK(replaced >= 1 && replaced <= 2);
  buf_clear(&b);
}

static void malformed(void) {
  whole_and_in_blocks("a\xc3", 2, "UTF-8", "a\xef\xbf\xbd", 1);
  whole_and_in_blocks("\x80\x80", 2, "UTF-8", "\xef\xbf\xbd\xef\xbf\xbd", 2);
  whole_and_in_blocks("\xf0\x9f\x98", 3, "UTF-8", "\xef\xbf\xbd", 1);
  whole_and_in_blocks("h\0\x3d\xd8", 4, "UTF-16LE", "h\xef\xbf\xbd", 1);
  whole_and_in_blocks("h\0\x00\xdeh\0", 6, "UTF-16LE", "h\xef\xbf\xbdh", 1);
  whole_and_in_blocks("h\0i", 3, "UTF-16LE", "h\xef\xbf\xbd", 1);
  whole_and_in_blocks("\0\0\x11\0", 4, "UTF-32LE", "\xef\xbf\xbd", 1);
  whole_and_in_blocks("a\x81z", 3, "WINDOWS-1252", "a\xef\xbf\xbdz", 1);
  struct encoding_decoder *d;
  struct err err;
  CHECK_INT(encoding_decoder_new(&d, "no-such-encoding", &err), ERR_UNSUPPORTED);
}

static void by_iconv(void) {
  const char *text = "Съешь же ещё этих мягких французских булок, да выпей чаю. Все люди рождаются "
                     "свободными и равными в своём достоинстве и правах.";
  const char *japanese =
      "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"
      "人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。";
  char bytes[600];
  size_t n = in("WINDOWS-1251", text, bytes, sizeof bytes);
  whole_and_in_blocks(bytes, n, "WINDOWS-1251", text, 0);
#ifdef HAVE_UCHARDET
  CHECK_STR(detected(bytes, n).name, "WINDOWS-1251");
#endif
  n = in("SHIFT_JIS", japanese, bytes, sizeof bytes);
  whole_and_in_blocks(bytes, n, "SHIFT_JIS", japanese, 0);
#ifdef HAVE_UCHARDET
  CHECK_STR(detected(bytes, n).name, "SHIFT_JIS");
#endif
  whole_and_in_blocks("C:\\\x93\xfa", 5, "SHIFT_JIS", "C:\\日", 0); /* no yen sign */
#ifdef HAVE_UCHARDET
  n = in("KOI8-U", "Усі люди народжуються вільними і рівними у своїй гідності та правах, її є ґ.",
         bytes, sizeof bytes);
  CHECK_STR(detected(bytes, n).name, "KOI8-U");
  n = in("EUC-KR", "See “그림 1” and “그림 2” for the figures → and so on.", bytes, sizeof bytes);
  CHECK_STR(detected(bytes, n).name, "EUC-KR");
#endif
  n = in("ISO-2022-JP", japanese, bytes, sizeof bytes);
  whole_and_in_blocks(bytes, n, "ISO-2022-JP", japanese, 0);
  whole_and_in_blocks("\x82", 1, "SHIFT_JIS", "\xef\xbf\xbd", 1);
  n = in("ISO-8859-2",
         "Příliš žluťoučký kůň úpěl ďábelské ódy. Všichni lidé rodí se svobodní a sobě "
         "rovní co do důstojnosti a práv.",
         bytes, sizeof bytes);
#ifdef HAVE_UCHARDET
  CHECK_STR(detected(bytes, n).name, "ISO-8859-2");
#endif
}

int main(void) {
  TEST(french_in_latin1);
  TEST(windows_quotes);
  TEST(short_western);
  TEST(marks);
  TEST(no_mark);
  TEST(plain);
  TEST(damaged_utf8_stays_utf8);
  TEST(malformed);
  TEST(by_iconv);
  return test_done();
}
