"""Where this package and Go dingo differ on the golden frames, each with its reason. The tests hold these lists exact.

The number is the marshaller (1 JSON, 3 JSONSAFE), the text Go's own label of the record.
"""

from __future__ import annotations

__all__ = ["DIFFERENCES", "INEXPRESSIBLE", "NO_FRAME"]


def _both(*labels: str) -> list[str]:
    return [f"{marshaller} {label}" for marshaller in (1, 3) for label in labels]


def _with_report(*names: str) -> list[str]:
    return [name + part for name in names for part in ("", ", its report")]


_REFUSED = {
    "null is no value of a type that is not optional; Go makes a zero of it": [
        "3 caller passes nil for int",
        "3 caller passes nil for string",
        "3 caller passes nil for struct",
        "3 bool as null",
        "3 string as null",
        "3 struct null",
        "3 struct field null",
        "3 map value null",
        "3 time null",
    ],
    "an object must have the fields of the type, spelled as they are; Go fills in zeros and drops the rest": [
        "1 caller passes map with extra key for struct",
        "3 caller passes map with extra key for struct",
        "3 caller passes map missing a key for struct",
        "3 caller passes map with lower-case keys for struct",
        "3 struct lower-case keys",
        "3 struct extra key",
        "3 array [3]int short",
    ],
    "a number that does not fit is refused; Go's GenericInvoker truncates and wraps around": [
        "1 caller passes float 3.7 for int",
        "1 caller passes 300 for int8",
        "1 caller passes -1 for uint",
        "1 int as 5.9 (truncates)",
        "1 int as 1e300",
        "1 uint as -1",
    ],
    "text is UTF-8; Go replaces what is not": ["3 string invalid utf8 inside"],
    "a report has one of four states": _both("status 101, error 102, returns nil (dingo's own test)", "status -32768"),
    "a success reports as many values as the function returns": ["3 return missing on success"],
    "a payload is an object; this one is null, and kills a Go process": ["1 payload null", "1 payload null, again"],
    "a name is at most 128 bytes by default, this one has more": _with_report(*_both('id "1" name "nnnnnnnnnnnn"')),
}

_CARRIED = {
    "Go's GenericInvoker takes null for pointers only": [
        "1 []byte nil",
        "1 [][]byte",
        "1 struct Person zero (nil slice/map)",
        "1 struct nested nil members",
        "1 struct with interface{} nil",
        "1 struct recursive",
        "1 map[string]int nil",
        "1 map[string][]int",
        "1 map[string]map[string]int",
        "1 []int nil",
        "1 [][]int",
        "1 []map[string]int",
        "1 caller passes nil for []int",
        "1 interface{} null",
        *_both("interface{} nil"),
    ],
    "Go's GenericInvoker cannot make these types from plain JSON": [
        "1 [4]byte array",
        "1 [3]int array",
        "1 array [3]int",
        "1 time whole second",
        "1 time trailing-zero fraction",
        "1 time zero",
        "1 custom MarshalJSON",
        "1 *big.Int",
        "1 json.RawMessage",
        "1 json.Number",
        "1 map[int]string",
        "1 map[int64]int64",
        "1 map[uint8]bool",
    ],
    "Go cannot call a variadic function; here the list is one argument": _both("variadic (...int) int"),
    "an int has any size": ["3 int as 2^63 (overflow)"],
    "a datetime may be naive": ["3 time python isoformat naive"],
}

_RESPELLED = {
    "a missing, null, empty or partial option is written out": [
        *_with_report(*_both("option nil")),
        *_both(
            "status 1, error nil, option nil",
            "status 3, error nil, option nil",
            "status 4, error code 0, option nil",
            "status 4, error shutdown, option nil",
            "status 4, error max code, empty msg, option nil",
        ),
        "3 option null",
        "3 option lower case keys",
        "1 O missing",
        "1 O {}",
        "1 missing E and O",
        "3 fail, error {}",
    ],
    "keys are written in Go's own order, unknown ones are dropped": ["1 key order A,O", "1 payload extra keys"],
    "no arguments are null, as Go's own call writes them": ["1 no args no returns, args empty slice"],
    "bytes are base64 text": _both("bytes as array of numbers"),
    "Python's times have microseconds, the rest is rounded": [
        *_with_report(*_both("duration min", "duration 2^53+1 ns", "[]time.Duration")),
        *_with_report("3 time UTC ns", "3 time zone +05:30", "3 struct with time", "3 *time.Time"),
        "1 time UTC ns",
        "1 time zone +05:30",
        "1 struct with time",
        "1 *time.Time",
        "3 time RFC3339 Z",
    ],
}

DIFFERENCES = {"refused": _REFUSED, "same": _CARRIED, "respelled": _RESPELLED}
"""Outcome → reason → names. ``same`` and ``respelled`` here: we carry what Go refuses, or write it differently."""

INEXPRESSIBLE = {
    "Go's omitempty and ',string' tags have no counterpart": [
        *_with_report(*_both("struct tagged full", "struct tagged zero (omitempty)")),
        "3 tagged struct, quoted given as a number",
        "3 tagged struct, ID upper case",
        "1 tagged struct all keys",
    ],
    "Go's error is an interface whose contents Go itself cannot decode": [
        *_with_report(*_both("returns (int, error nil)", "returns (int, error set)")),
        *_with_report("1 takes error"),
        "3 takes error",
        "3 error return null",
        "1 return null for error",
    ],
}
"""No Python annotation says the same."""

NO_FRAME = [
    *_both(
        "float64 NaN",
        "float64 +Inf",
        "float64 -Inf",
        "complex128 (unsupported by JSON)",
        "time year 10000 (unmarshalable)",
        "map[float64]int (unsupported key)",
        "map[bool]int (unsupported key)",
        "chan arg (unsupported)",
        "func arg (unsupported)",
    ),
    "3 variadic called with 2 separate ints",
    "3 too many args",
    "3 too few args (1 of 2)",
]
"""Go could not encode these: there is nothing to decode."""
