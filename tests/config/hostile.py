"""Texts of up to a mebibyte that are to take as much time or memory as they can."""

from collections.abc import Callable

MIB = 1 << 20
RULE = "rules:\n  a:\n    when: meminfo.MemFree < 5MiB\n"


def _filled(head: str, piece: Callable[[int], str], tail: str = "", most: int = 1 << 30) -> str:
    """Repeat a piece until the file is as large as it may be."""
    pieces, size, number = [head], len(head) + len(tail), 0
    while size < MIB and number < most:
        text = piece(number)
        pieces.append(text)
        size += len(text.encode())
        number += 1
    return "".join(pieces[:-1] if size >= MIB else pieces) + tail


def _rules(body: Callable[[int], str], most: int) -> str:
    return _filled("rules:\n", lambda n: f"  r{n}:\n{body(n)}", most=most)


# The most conditions, each as long and deep as it may be.
_LONG = " or ".join(["time_to(meminfo.Fre, 0) < 1s"] * 33)
_MISSPELT = "1 < 2 and " * 60 + "process.rsync.possition < 1"
_DEEP = "(" * 19 + "1 < 2" + ")" * 19

HOSTILE = {
    "unknown keys": _filled("", lambda n: f"sampling{n:x}:\n", most=8000),
    "unknown actions": _rules(lambda n: f"    when: {_DEEP}\n    actions: [{'dropcache, ' * 32}]\n", 256),
    "unknown parameters": _filled(
        RULE + "    actions: [{kill: {select: {", lambda n: f"min_siz{n}: 1, ", "}}}]", most=8000
    ),
    "unknown signals": _rules(lambda n: f"    when: {_MISSPELT}\n    clear: {_MISSPELT}\n", 256),
    "long conditions": _rules(lambda n: f"    when: {_LONG}\n    clear: not ({_LONG})\n", 256),
    "many steps": _rules(lambda n: f"    when: 1 < 2\n    actions: [{'kill, ' * 32}]\n", 256),
    "wrong steps": _rules(lambda n: f"    when: 1 < 2\n    actions: [{'{thaw: {rule: x}}, ' * 18}]\n", 256),
    "wrong rules": _filled("rules: {", lambda n: f"a{n}: 5, ", "}", most=8000),
    "wrong watches": _filled("watch: [", lambda n: "{comm: 12345678901234567890}, ", "]", most=5000),
    "long words": RULE + "    actions: [{evict_files: {paths: [" + "a" * (MIB - 200) + "]}}]\n",
    "many words": _filled("protect: {also: [", lambda n: "a,", "]}", most=16_000),
    "a long number": "ring: {size: " + "9" * (MIB - 100) + "}",
    "a long condition": "rules: {a: {when: " + "x + " * (MIB // 4 - 100) + "1 < 2}}",
    "a long folded condition": "rules:\n  a:\n    when: >\n" + "     x\n" * (MIB // 8) + "      <\n",
    "a long escape": 'rules: {a: {when: "' + "\\x20" * (MIB // 4 - 100) + 'é"}}',
    "a long name": "rules: {" + "a" * 1000 + ": 1}",
    "a comment": "#" * MIB,
    "line breaks": "\n" * MIB,
    "brackets": "[" * MIB,
    "dashes": "- " * (MIB // 2),
    "questions": "? " * (MIB // 2),
    "quotes": "'" * MIB,
    "anchors": _filled("", lambda n: f"- &a{n} x\n"),
    "tags": _filled("", lambda n: f"- !a{n} x\n"),
    "aliases": _filled("- &a [x]\n", lambda n: "- *a\n"),
    "doubled keys": _filled("", lambda n: "a: 1\n"),
    "documents": "--- a\n" * (MIB // 6),
    "directives": "%a b\n" * (MIB // 5 - 1) + "---\n",
    "laughs": "l0: &l0 [a]\n" + "".join(f"l{n}: &l{n} [{f'*l{n - 1}, ' * 9}]\n" for n in range(1, 200)),
    "wide characters": _filled("protect: {also: [", lambda n: "\U0010ffff", "]}"),
}
