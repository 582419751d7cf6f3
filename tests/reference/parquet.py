# SPDX-License-Identifier: MIT
# Writes tests/store/reference/*.parquet, small files as other programs write them, and expected.jsonl,
# their rows as our reader must give them (from the values below, not from our reader).
# Made with pyarrow 26.0.1 and duckdb 2.0.0:  python3 tests/reference/parquet.py
import base64, datetime as dt, decimal, json, math, os
import pyarrow as pa, pyarrow.parquet as pq

OUT = os.path.join(os.path.dirname(__file__), "../store/reference")
os.makedirs(OUT, exist_ok=True)
N = 12
decimal.getcontext().prec = 60
EPOCH = dt.datetime(1970, 1, 1)


class Raw(str):
    """JSON text that stands as it is."""


def dump(v):
    if isinstance(v, Raw):
        return str(v)
    if isinstance(v, dict):
        return "{" + ",".join(json.dumps(k, ensure_ascii=False) + ":" + dump(x) for k, x in v.items()) + "}"
    if isinstance(v, list):
        return "[" + ",".join(map(dump, v)) + "]"
    return json.dumps(v, ensure_ascii=False)


def cycle(values):
    return [values[i % len(values)] for i in range(N)]


def stamp(n, digits, zone):
    s, rest = divmod(n, 10 ** digits)
    text = (EPOCH + dt.timedelta(seconds=s)).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{rest:0{digits}}" if rest else "") + zone


C, E = {}, {}


def column(name, values, kind, expected=None):
    C[name] = pa.array(values, kind)
    E[name] = expected or values


column("id", list(range(N)), pa.int64())
column("text", cycle(["plain", None, "", "日本 ü", "q\"\\\n\t", "x" * 30, "plain"]), pa.string())
column("rising", [f"prefix-{i // 3}-{i}" for i in range(N)], pa.string())
floats = cycle([1.5, None, 0.1, float("nan"), -0.0, 1e300, float("inf")])
column("f64", floats, pa.float64(), [v if v is None or math.isfinite(v) else None for v in floats])
column("f32", cycle([0.1, None, 3.0, -2.5e-7]), pa.float32(), cycle([Raw("0.1"), None, Raw("3.0"), Raw("-2.5e-07")]))
column("flag", cycle([True, False, None, True, True]), pa.bool_())
blobs = cycle([b"\x00\xff", None, b"", b"abc"])
column("blob", blobs, pa.binary(), [None if b is None else base64.b64encode(b).decode() for b in blobs])
fixed = [bytes([i, 255 - i, 7]) for i in range(N)]
column("fixed", fixed, pa.binary(3), [base64.b64encode(b).decode() for b in fixed])
days = cycle([0, -1, None, 20778, 11016])
column("day", [None if d is None else dt.date(1970, 1, 1) + dt.timedelta(days=d) for d in days], pa.date32(),
       [None if d is None else (dt.date(1970, 1, 1) + dt.timedelta(days=d)).isoformat() for d in days])
for unit, digits in (("ms", 3), ("us", 6), ("ns", 9)):
    ticks = cycle([0, None, -1, 1764000000 * 10 ** digits + 5, 86400 * 10 ** digits])
    for zone in (None, "UTC"):
        column(unit + ("_utc" if zone else ""), ticks, pa.timestamp(unit, zone),
               [None if t is None else stamp(t, digits, "Z" if zone else "") for t in ticks])
column("clock", cycle([dt.time(0, 0), None, dt.time(23, 59, 59, 5)]), pa.time64("us"),
       cycle(["00:00:00", None, "23:59:59.000005"]))
column("money", [None if i == 3 else decimal.Decimal(i * 101 - 500).scaleb(-2) for i in range(N)], pa.decimal128(9, 2),
       [None if i == 3 else Raw(str(decimal.Decimal(i * 101 - 500).scaleb(-2))) for i in range(N)])
column("wide", [decimal.Decimal(-1) ** i * decimal.Decimal(10 ** 37 + i).scaleb(-30) for i in range(N)],
       pa.decimal128(38, 30),
       [("-" if i % 2 else "") + format(decimal.Decimal(10 ** 37 + i).scaleb(-30), "f") for i in range(N)])
column("u64", cycle([0, 2 ** 64 - 1, None, 7]), pa.uint64())
column("i8", cycle([-128, 127, None]), pa.int8())
column("u32", cycle([2 ** 32 - 1, 0]), pa.uint32())
column("list", cycle([[1, None, 3], [], None, [7]]), pa.list_(pa.int64()))
column("lists", cycle([[["a"], [], None, [None, "b"]], None, [], [[]]]), pa.list_(pa.list_(pa.string())))
column("struct", cycle([{"a": 1, "b": {"c": ["x", None]}}, None, {"a": None, "b": None}, {"a": 2, "b": {"c": None}}]),
       pa.struct([("a", pa.int32()), ("b", pa.struct([("c", pa.list_(pa.string()))]))]))
column("messages", cycle([[{"role": "user", "content": "hi"}, {"role": "assistant", "content": None}], []]),
       pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])))
maps = cycle([[("k", 1), ("l", None)], [], None, [("same", 1), ("other", 2), ("same", 3)]])
column("map", maps, pa.map_(pa.string(), pa.int64()), [None if m is None else dict(m) for m in maps])
column("numbers", cycle([[(1, "a")], None]), pa.map_(pa.int32(), pa.string()), cycle([{"1": "a"}, None]))
column("nothing", [None] * N, pa.null())

table = pa.table(C)


def write(name, expected_columns=None, t=table, **options):
    options.setdefault("compression", "none")
    pq.write_table(t, os.path.join(OUT, name + ".parquet"), store_schema=False, write_statistics=False, **options)
    return expected_columns


write("plain_v1", use_dictionary=False)
write("snappy_v2_groups", compression="snappy", data_page_version="2.0", row_group_size=5)
write("gzip_pages", compression="gzip", data_page_size=40, write_page_checksum=True, dictionary_pagesize_limit=20)
write("zstd_v2", compression="zstd", data_page_version="2.0", use_compliant_nested_type=False)
write("lz4", compression="lz4")
write("encodings_v2", use_dictionary=False, data_page_version="2.0", column_encoding={
    "id": "DELTA_BINARY_PACKED", "text": "DELTA_LENGTH_BYTE_ARRAY", "rising": "DELTA_BYTE_ARRAY",
    "f64": "BYTE_STREAM_SPLIT", "f32": "BYTE_STREAM_SPLIT", "flag": "RLE", "blob": "DELTA_BYTE_ARRAY",
    "fixed": "DELTA_BYTE_ARRAY", "u64": "DELTA_BINARY_PACKED", "i8": "DELTA_BINARY_PACKED",
    "wide": "BYTE_STREAM_SPLIT"})
with open(os.path.join(OUT, "expected.jsonl"), "w") as f:
    for i in range(N):
        f.write(dump({k: E[k][i] for k in C}) + "\n")

import duckdb
duckdb.sql("""copy (select i::integer as id, 'row ' || i as text, [i, null] as list, {'a': i, 'b': 'x'} as struct,
  map(['k'], [i]) as map, uuid_blob.u as uuid, interval (i) day as wait, i::hugeint * 1000000000000::decimal(18,0) as big
  from range(4) t(i), (select '00112233-4455-6677-8899-aabbccddeeff'::uuid u) uuid_blob)
  to '%s' (format parquet, compression snappy)""" % os.path.join(OUT, "duckdb.parquet"))
