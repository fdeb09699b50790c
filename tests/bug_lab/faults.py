"""All faults of the laboratory, in the order of the pitfalls."""

from tests.bug_lab.fault import Fault
from tests.bug_lab.faults_of_data import FAULTS_OF_DATA
from tests.bug_lab.faults_of_judgement import FAULTS_OF_JUDGEMENT
from tests.bug_lab.faults_of_models import FAULTS_OF_MODELS
from tests.bug_lab.faults_of_safety import FAULTS_OF_SAFETY
from tests.bug_lab.faults_of_time import FAULTS_OF_TIME

FAULTS: tuple[Fault, ...] = tuple(
    sorted(
        (*FAULTS_OF_TIME, *FAULTS_OF_DATA, *FAULTS_OF_JUDGEMENT, *FAULTS_OF_MODELS, *FAULTS_OF_SAFETY),
        key=lambda fault: fault.number,
    )
)
