"""Duplicates: exact copies, equal pixels and edited copies of one picture; which to keep, and why.

Two stages. `compare` measures each picture once (`fingerprints`), finds the pairs that are worth a second look
(`candidates`) and takes it (`evidence`): what it found of every pair is the table `judged`. `dedup` draws the line,
heeds what people decided, puts what is alike into groups (`groups`) with a keeper (`keeper`), and finds what also
stands in another folder. The costly half does not run again when only the line, the scope or the rule changes.
"""
