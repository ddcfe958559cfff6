"""The legal metric, where the programs of the training side look for it.

It lives beside what serves, because `smallprint teach` says how good a specialist is without the
training side.
"""

from services.extraction.metric import CONTAINED as CONTAINED
from services.extraction.metric import DROPPED as DROPPED
from services.extraction.metric import OVERLAP as OVERLAP
from services.extraction.metric import THRESHOLDS as THRESHOLDS
from services.extraction.metric import Answers as Answers
from services.extraction.metric import Counts as Counts
from services.extraction.metric import Curve as Curve
from services.extraction.metric import Floats as Floats
from services.extraction.metric import Predictions as Predictions
from services.extraction.metric import count as count
from services.extraction.metric import count_contract as count_contract
from services.extraction.metric import matches as matches
from services.extraction.metric import matching as matching
from services.extraction.metric import words as words
