"""Formulas shared by the stages: accuracy per user, beyond accuracy, and their uncertainty. Imports nothing of ours."""
