"""Formulas shared by the stages: accuracy per user, beyond accuracy, calibration, and their uncertainty.

1. `ranked_lists`: scores -> the top k items, ties broken without favour -> hits among held-out items;
2. `ranking`: hits -> one number per user;
3. `uncertainty`: numbers per user -> a mean with its interval;
4. `beyond_accuracy`: coverage, novelty, diversity and genre mix of the lists;
5. `calibration`: stated probabilities compared with outcomes.

Two policies hold everywhere. *Ties* are ordered by a hash of the item. *Users without a list* but with something to
find score 0 and stay in the denominator; users with nothing to find are NaN and leave it.
"""
