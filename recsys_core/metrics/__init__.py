"""Formulas shared by the stages: accuracy per user, beyond accuracy, and their uncertainty. Knows nothing of stages.

From scores to a headline, one short file each:

1. `ordering`: scores -> the top k items, ties broken without favour;
2. `relevance`: ranked lists and held-out items -> hits;
3. `ranking`: hits -> one number per user;
4. `uncertainty`: numbers per user -> a mean with its interval;
5. `beyond_accuracy` and `calibration`: what the lists look like, whether or not they hit;
6. `reliability`: stated probabilities and what came true -> can they be taken at their word?

Two policies hold everywhere. *Ties* are ordered by a hash of the item (`ordering`). *Users without a list* but with
something to find score 0 and stay in the denominator (`relevance`); users with nothing to find are NaN and leave it.
"""
