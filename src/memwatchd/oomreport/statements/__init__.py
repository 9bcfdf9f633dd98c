"""The statements an OOM report is made of, one module per part of it.

Each function takes the text of one message and returns what it states, or None when it is not one of its
kind. None of them knows what came before: putting them together is `memwatchd.oomreport.draft`'s business.
"""
