"""An explained event for a ticket."""

import re
from dataclasses import replace

import pytest
from tests.views.explain.events import HOSTILE, limit_met, unaccounted

from memwatchd.diagnosis.finding import Advice
from memwatchd.oomreport.report import Quote
from memwatchd.views.explain import words
from memwatchd.views.explain.markdown import escaped, render, table_head, table_row

WHOLE = """\
## 961 MiB of 992 MiB (97 %) are in no counter: neither processes nor page cache nor slab have them.

unaccounted, 90 % sure

- **killed**: java (pid 3841), 2 MiB anonymous
- **why**: the machine was out of memory
- **asked**: java (pid 3841) for 4 KiB (order 0) with GFP\\_HIGHUSER\\_MOVABLE
- **memory**: 992 MiB: 7.71 MiB free, 962 MiB in no counter, 21.4 MiB slab
- **swap**: 3.18 GiB, of which 2.97 GiB are free
- **when**: Jan  5 15:19:27, on db1, kernel 4.4.0-generic, lines 12 to 96

### Why not something else

- Swap was not full: 2.97 GiB of 3.18 GiB were free.
- Slab had only 21.4 MiB.

### The lines that say so

```
41  Node 0 DMA32 free:3948kB min:3956kB low:4944kB high:5932kB active_anon:60kB inactive_anon:72kB
52  Free swap  = 3118172kB
```

### Besides: Swap was hardly used. (swap\\_untouched)

```
53  Total swap = 3334140kB
```

### What to do now

- Have the host give memory back:
  ```sh
  virsh setmem VM 2G
  ```
- Look at /proc/vmallocinfo.

### So that it does not come back

- Give the machine more with `virsh setmaxmem VM 4G --config` and reboot it.
  ```sh
  virsh setmaxmem VM 4G --config
  ```

### How to see that it worked

- MemAvailable stays above a tenth of MemTotal.

### What could not be read

- Missing: the lines at the end: swap, and how much RAM there is.
- 1 line could not be read.
- The verdict, 90 % sure, allows for that.

```
77  something \\x1b[31mred
```
"""


def test_the_whole_text() -> None:
    """A ticket would lack the proof, or what to do."""
    assert "".join(f"{line}\n" for line in render(unaccounted())) == WHOLE


@pytest.mark.parametrize("text", ["```", "x\n```\n<script>", "````` `` ~~~", "`" * 50])
def test_no_line_of_the_log_ends_a_fence(text: str) -> None:
    """A process could write the rest of the ticket."""
    verdict, *_ = limit_met().findings
    quotes = (Quote(1, "before"), Quote(2, text), Quote(3, "after"))
    lines = list(render(replace(limit_met(), findings=(replace(verdict, evidence=quotes),))))
    fences = [place for place, line in enumerate(lines) if re.fullmatch("`{3,}", line)]
    assert len(fences) == 2
    assert lines[fences[0]] == lines[fences[1]]
    within = lines[fences[0] + 1 : fences[1]]
    assert [line.split()[0] for line in within] == ["1", "2", "3"]
    assert not any(lines[fences[0]] in line for line in within)


def test_names_inject_nothing() -> None:
    """A process could close the ticket's table, call colleagues, or show a picture of its choice."""
    diagnosis = limit_met(HOSTILE)
    shown = "\n".join([*render(diagnosis), table_row(words.row(1, diagnosis))])
    assert "<b>" not in shown
    assert "a\\`\\*&lt;b&gt;@\u200bx\\#\u200b1\\|\\\\x1b\\[2J\\\\x0a\\\\xff" in shown


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plain words, 97 % (x): a-b.", "plain words, 97 % (x): a-b."),
        ("![x](http://evil)", "!\\[x\\](http://\u200bevil)"),
        ("WWW.evil.org GH-12", "WWW.\u200bevil.org GH-\u200b12"),
        ("&lt; $x$ ~y~", "&amp;lt; \\$x\\$ \\~y\\~"),
    ],
)
def test_what_means_something_is_escaped(text: str, found: str) -> None:
    """A name would turn into a link, a formula, or something that is not there."""
    assert escaped(text) == found


def test_commands_with_strangers_names_stay_commands() -> None:
    """The name of a cgroup could end the code and begin markup."""
    verdict, *_ = limit_met().findings
    advice = Advice(change=("Raise `a b /x`<img>` and `c d` of <b>.",))
    lines = list(render(replace(limit_met(), findings=(replace(verdict, advice=advice),))))
    assert "- Raise `a b /x`&lt;img&gt;` and `c d\\` of &lt;b&gt;." in lines


def test_a_table_of_events() -> None:
    """A cell with a bar in it would move all others."""
    assert table_head().splitlines()[-2:] == [
        "| | time | kind | cause | killed |",
        "|--:|---|---|---|---|",
    ]
    assert table_row(words.row(3, limit_met("a|b"))) == (
        "| 3 | 12.500 s after start | OOM kill, memcg | memcg\\_limit | 4711 a\\|b |"
    )
