"""What dropout does to networks that learn from real data: one experiment a module.

    python -m examples.experiments.rates            prints a table, draws a figure
    python -m examples.experiments.rates --quick    seconds: shows that it runs, nothing more
    python -m examples.experiments.document         all of them, for the page of the documentation

Only scikit-learn's bundled data are used. `docs/experiments.md` says what came out.
"""
