"""All faults of the laboratory, in the order of the pitfalls."""

from tests.bug_lab.fault import Fault
from tests.bug_lab.faults_of_judgement import FAULTS_OF_JUDGEMENT
from tests.bug_lab.faults_of_models import FAULTS_OF_MODELS
from tests.bug_lab.faults_of_time import FAULTS_OF_TIME

FAULTS: tuple[Fault, ...] = tuple(
    sorted((*FAULTS_OF_TIME, *FAULTS_OF_JUDGEMENT, *FAULTS_OF_MODELS), key=lambda fault: fault.number)
)

NOT_YET = dict.fromkeys(
    (13, 14, 15), "none: the loss is the softmax over the whole catalogue, so that nothing is sampled or corrected"
)
"""Pitfalls without a fault, and why; `faults_of_models.FAULTS_OF_SAMPLING` is the place for theirs."""
