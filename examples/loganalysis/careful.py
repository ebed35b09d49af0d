"""The same, and says which days are missing."""

import week
from week import DayCounter


class CarefulDays(week.Days):
    max_attempts = 2
    time_limit = 60.0


class CarefulReport(week.Report):
    def __init__(self):
        super().__init__()
        self.missing = []

    def handle_failure(self, data, task_type, error):
        self.missing.append(f"{data['path']} ({error['type']})")

    def handle_finished(self, data, task_type):
        super().handle_finished(data, task_type)
        print("without", ", ".join(self.missing) or "nothing")
