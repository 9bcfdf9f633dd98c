"""Why it died: from one event of the kernel's log, and the recording before it if there is one, to findings.

Pure: values in, values out. `case` derives the figures that several findings use, each finding is a module
of its own with its thresholds and the reason for them, `catalogue` lists them, `verdict` says which is the
cause.
"""
