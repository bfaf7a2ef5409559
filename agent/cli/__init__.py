"""One file a family of commands: parse, call one function, print.

In come words from a shell, out come data on stdout, talk on stderr, and an exit status: 0 done,
1 failed with one sentence, 2 misused. It may use every wing; no wing uses it. click lives here.
"""
