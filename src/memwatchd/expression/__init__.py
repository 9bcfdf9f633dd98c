"""The language of conditions: text to a tree, and the tree to words. No signal is known here."""
