"""The course: exercises that are graded by packets, predictions, quizzes, and progress; one file a unit.

from k8slab import course
unit = course.unit("04")
"""

from k8slab.course.catalogue import UNITS, drills, enter_code, progress, unit
from k8slab.course.contents import contents, ways
from k8slab.course.glossary import glossary

__all__ = ["UNITS", "contents", "drills", "enter_code", "glossary", "progress", "unit", "ways"]
