#!/usr/bin/env python3
"""Times scikit-learn, statsmodels, krippendorff and numpy beside interrater, on the same files in one run.

    python3 -m venv peers && peers/bin/pip install scikit-learn statsmodels krippendorff numpy pandas
    cargo build --release
    cargo bench --bench statistics -- --write ratings
    peers/bin/python benches/statistics_peers.py target/release/interrater ratings

Point values must be the same to 1e-9, intervals the same but for the noise of drawing; the script ends with an error if they are not.
Python's figures are split into reading (pandas) and computing; interrater's are of the whole process, which reads, computes and prints.
"""

import json
import os
import statistics
import subprocess
import sys
import time
import warnings

import krippendorff
import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

ROUNDS = 3
REPLICATES = 10_000
PASSES = 20


def timed(what, work, rounds=ROUNDS, scale=1):
    """What `work` gives, with the median of its seconds printed."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        given = work()
        seconds.append((time.perf_counter() - began) * scale)
    note = f" (from {REPLICATES // scale} replicates)" if scale > 1 else ""
    print(f"  {what:<66}{statistics.median(seconds):9.3f} s ({min(seconds):.3f}–{max(seconds):.3f}){note}")
    return given


def same(what, *values, within=1e-9):
    assert max(values) - min(values) <= within, f"{what}: {values}"
    print(f"  the same: {what} {values[0]:.12f}")


def read(folder, name):
    ratings = pd.read_csv(os.path.join(folder, f"{name}.csv"), keep_default_na=False)
    items = pd.read_csv(os.path.join(folder, f"{name}.items.csv"), keep_default_na=False)
    table = ratings.pivot(index="item", columns="annotator", values="label")
    labels = sorted(ratings["label"].unique())
    codes = np.stack([pd.Categorical(table[rater], categories=labels).codes for rater in table.columns])
    sessions = items.set_index("item")["session"].reindex(table.index)
    return codes, pd.factorize(sessions)[0], len(labels)


def kappas(tables):
    """Cohen's kappa of an array of tables."""
    n = tables.sum(axis=(1, 2))
    observed = np.trace(tables, axis1=1, axis2=2) / n
    expected = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / n**2
    return (observed - expected) / (1 - expected)


def ends(drawn):
    return np.quantile(drawn, [0.025, 0.975])


def by_tables(codes, sessions, q):
    """One table a session, multinomial weights, a matrix product: the quick way in numpy."""
    count = sessions.max() + 1
    tables = np.zeros((count, q * q))
    np.add.at(tables, (sessions, codes[0] * q + codes[1]), 1)
    generator = np.random.default_rng(1)
    weights = (generator.multinomial(count, np.full(count, 1 / count), size=500) for _ in range(REPLICATES // 500))
    return ends(np.concatenate([kappas((part @ tables).reshape(-1, q, q)) for part in weights]))


def by_rows(codes, sessions):
    """scikit-learn on the rows of the sessions drawn: the way it is commonly written."""
    count = sessions.max() + 1
    order = np.argsort(sessions, kind="stable")
    rows = np.split(order, np.searchsorted(sessions[order], np.arange(1, count)))
    generator = np.random.default_rng(1)
    drawn = (np.concatenate([rows[g] for g in generator.integers(0, count, count)]) for _ in range(PASSES))
    return [cohen_kappa_score(codes[0][take], codes[1][take]) for take in drawn]


def main(binary, folder):
    binary = os.path.abspath(binary)

    def interrater(*arguments):
        ran = subprocess.run([binary, *arguments, "--json"], cwd=folder, capture_output=True, check=True)
        return json.loads(ran.stdout)

    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    print("pair.csv: 200,000 ratings, 2 raters, 5,000 sessions")
    codes, sessions, q = timed("pandas: reading", lambda: read(folder, "pair"))
    table = np.zeros((q, q))
    np.add.at(table, (codes[0], codes[1]), 1)
    learn = timed("scikit-learn: cohen_kappa_score, computing", lambda: cohen_kappa_score(codes[0], codes[1]))
    models = timed("statsmodels: cohens_kappa of the table, computing", lambda: cohens_kappa(table))
    pair = json.dumps({"a": "rater0", "b": "rater1"})
    own = timed("interrater stat cohen_kappa", lambda: interrater("stat", "cohen_kappa", "pair.csv", "--params", pair))
    asymptotic = interrater("stat", "cohen_kappa_asymptotic", "pair.csv", "--params", pair)
    same("kappa", own["kappa"], learn, float(models.kappa), asymptotic["kappa"])
    same("its standard error", asymptotic["se"], float(models.std_kappa))

    print(f"the same with an interval by session, {REPLICATES} replicates")
    quick = timed("numpy: tables by session, computing", lambda: by_tables(codes, sessions, q))
    timed("numpy and scikit-learn: rows of the sessions drawn, computing", lambda: by_rows(codes, sessions), 1, REPLICATES // PASSES)
    params = json.dumps({"a": "rater0", "b": "rater1", "cluster": "session", "replicates": REPLICATES})
    one = ("stat", "kappa_bootstrap", "pair.csv", "--items", "pair.items.csv", "--params", params)
    own = timed("interrater stat kappa_bootstrap", lambda: interrater(*one))
    everything = ("agree", "pair.csv", "--items", "pair.items.csv", "--replicates", str(REPLICATES))
    found = timed("interrater agree: all coefficients, all with intervals", lambda: interrater(*everything))
    figures = found["fields"][0]["pairs"][0]["cohen_kappa"]
    same("kappa", figures["value"], own["kappa"], learn)
    noise = 0.04 * (quick[1] - quick[0])
    same("lower end, but for noise", own["percentile_low"], float(quick[0]), within=noise)
    same("upper end, but for noise", own["percentile_high"], float(quick[1]), within=noise)

    print("million.csv: 1,000,002 ratings, 3 raters, 20,000 sessions")
    codes, sessions, q = timed("pandas: reading", lambda: read(folder, "million"), 1)
    alpha = timed(
        "krippendorff: alpha, computing",
        lambda: krippendorff.alpha(reliability_data=codes.astype(float), level_of_measurement="nominal"),
    )
    own = timed("interrater stat krippendorff_alpha", lambda: interrater("stat", "krippendorff_alpha", "million.csv"))
    whole = ("agree", "million.csv", "--items", "million.items.csv")
    found = timed("interrater agree: three pairs and the panel, all with intervals", lambda: interrater(*whole))
    same("alpha", own["alpha"], alpha, found["fields"][0]["all"]["krippendorff_alpha"]["value"])
    found = [one["cohen_kappa"]["value"] for one in found["fields"][0]["pairs"]]
    for (a, b), kappa in zip([(0, 1), (0, 2), (1, 2)], found):
        same(f"kappa of raters {a} and {b}", kappa, cohen_kappa_score(codes[a], codes[b]))
    timed("numpy: tables by session for one of the pairs, computing", lambda: by_tables(codes[:2], sessions, q), 1)


if __name__ == "__main__":
    warnings.simplefilter("error")
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
