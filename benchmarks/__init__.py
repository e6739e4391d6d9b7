"""CPU time per operation of plait beside its peers.

What is measured
----------------
User and system time of the process under test, divided by the operations that it did.
CPU time holds on a busy machine where wall time does not; what matters are the ratios
between programs that took turns in one run (A B A B ...), and their medians.

How
---
A *scenario* (``scenarios``) names its *contenders*, plait first.  Each contender is a
*subject* (``subjects``): a process of its own, with the same Python and plain asyncio,
which is started and warmed up before the first round; of a peer the fastest of several
starts.  A server is put under load by another program (``loads``: wrk, h2load, curl, small
clients of our own) and its CPU time read from its clock; a client or an engine is told on its
standard input how much to do, and answers with its own CPU time.

Requests that differ
--------------------
A program that is always asked the same is fast by every cache that it has.  So most scenarios
stand beside one with a thousand different requests (``traffic``), and the report says how many
times the figure of its *hello* each takes: the height of the cliff.

``python -m benchmarks --help`` has the options.
"""
