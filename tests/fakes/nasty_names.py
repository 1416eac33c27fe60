"""Names that break programs: more than five hundred, made by rules of our own from the ways in which names break things."""

from collections.abc import Iterator

WORDS = ("model", "a", "x.onnx")
CONTROL = [chr(code) for code in (*range(32), 0x7F, *range(0x80, 0xA0))]
INVISIBLE = [
    chr(code)
    for code in (0xA0, 0xAD, 0x34F, 0x61C, 0x115F, 0x180E, *range(0x2000, 0x2010), 0x2028, 0x2029, 0x202F, 0x205F)
]
INVISIBLE += [
    chr(code)
    for code in (0x2060, 0x2061, 0x2062, 0x2063, 0x3000, 0x3164, 0xFE0F, 0xFEFF, 0xFFA0, 0xFFF9, 0xFFFC, 0xFFFD)
]
DIRECTIONS = [chr(code) for code in (0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))]
ODD = [
    "\ufffe",
    "\uffff",
    "\U000e0041",
    "\U0010ffff",
    "\ue000",
    "\U0001f4a9",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
]
SCRIPTS = [
    "модель",
    "模型",
    "モデル",
    "모델",
    "مودل",
    "מודל",
    "μοντέλο",
    "मॉडल",
    "แบบ",
    "մոդել",
    "ẛ̣",
    "ﬁle",
    "ŁÓDŹ",
    "straße",
    "İstanbul",
    "\u0131",
]
DEVICES = [
    "CON",
    "PRN",
    "AUX",
    "NUL",
    "COM1",
    "LPT1",
    "CLOCK$",
    "con.txt",
    "nul.onnx",
    "desktop.ini",
    ".DS_Store",
    "$MFT",
    "Thumbs.db",
]
CLIMBS = [
    "..",
    "../x",
    "../../x",
    "a/../b",
    "a/../../b",
    "./x",
    "x/.",
    "x/..",
    "/x",
    "//x",
    "/etc/passwd",
    "\\x",
    "..\\x",
    "a\\..\\b",
    "C:\\x",
]
CLIMBS += [
    "C:x",
    "\\\\host\\share",
    "file:///x",
    "~/x",
    "~root",
    "x//y",
    "x/",
    "...",
    "....//x",
    "%2e%2e%2fx",
    "..%2fx",
    "..%c0%afx",
    "\uff0e\uff0e/x",
]
CLIMBS += [
    "/dev/zero",
    "/proc/self/mem",
    "/proc/self/fd/0",
    "-",
    "--",
    "-rf",
    "--help",
    "@file",
    "x\0.onnx",
    "manifest.json",
    "manifest.json/x",
]
CODE = [
    "$(id)",
    "`id`",
    "${HOME}",
    "$HOME",
    "; id",
    "| id",
    "&& id",
    "> x",
    "< x",
    "* ",
    "?",
    "[a-z]",
    "{a,b}",
    "!x",
    "#x",
    "a b",
    " a",
    "a ",
    "'",
    '"',
]
CODE += [
    "'; DROP TABLE models;--",
    '" OR 1=1 --',
    "1; SELECT pg_sleep(9)",
    "<script>x</script>",
    "<!--",
    "]]>",
    "&lt;",
    "<!ENTITY x SYSTEM 'x'>",
]
CODE += [
    "%s%s%s%n",
    "%x",
    "%(name)s",
    "{0}",
    "{}",
    "{name.__class__}",
    "{{7*7}}",
    "${7*7}",
    "#{7*7}",
    "<%= 7 %>",
    "${jndi:ldap://x/y}",
    "{{self}}",
]
CODE += [
    "__proto__",
    "constructor",
    "__class__",
    "None",
    "null",
    "undefined",
    "NaN",
    "Infinity",
    "true",
    "0",
    "-1",
    "1e999",
    "0x7f",
    "1_000",
    "٣",
]
CODE += [
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\x1b[2J",
    "\r\nSet-Cookie: x",
    "\b\b\b",
    "\x1b]8;;http://x\x07",
    "a\rb",
    "\x9b31m",
    "\u009d0;x\u009c",
]
LONG = ["a" * length for length in (64, 128, 255, 256, 1024, 4096, 65_536)] + [
    "é" * 200,
    "\u0301" * 300,
    "a/" * 200 + "a",
    "../" * 100,
    "👍" * 100,
]


def _made() -> Iterator[str]:
    yield ""
    for word in WORDS:
        for character in (*CONTROL, *INVISIBLE, *DIRECTIONS, *ODD):
            yield f"{word}{character}"
        for character in (*CONTROL[:12], *DIRECTIONS):
            yield f"{character}{word}"
    for name in (*SCRIPTS, *DEVICES, *CLIMBS, *CODE, *LONG):
        yield name
        yield f"kit/{name}"


NASTY_NAMES = tuple(dict.fromkeys(_made()))
"""Every one once; none of them is a lone surrogate, which no JSON document can hold as UTF-8."""
