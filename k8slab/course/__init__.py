"""The course: exercises that are graded by packets, predictions, quizzes, and progress; one file a unit.

from k8slab import course
unit = course.unit("04")
"""

from k8slab.course.catalogue import UNITS, enter_code, progress, unit

__all__ = ["UNITS", "enter_code", "progress", "unit"]
