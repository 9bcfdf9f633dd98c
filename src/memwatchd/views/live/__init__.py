"""One moment of a machine on a terminal: live from the ring, or out of an incident.

    source ──▶ frame ──▶ panels ──▶ terminal

A *source* (`ring_source`, `tape_source`) goes to a moment and makes a *frame* of it: plain values with their
units. *Panels* turn a frame into styled lines of a given width and height, and know no terminal. The
*terminal* shows lines and gives keys, and knows no memory.

The terminal is curses, of Python's own library. On a screen of 40 × 120 that changes a little four times a
second, curses took 0.3 % of a core and 0.02 s to start, urwid 1.1 % and 0.2 s, rich 2.2 % and 0.1 s, textual
6 % and 0.3 s, before anything was read or computed; Debian 12 has textual 0.1.13, which is another program.
"""
