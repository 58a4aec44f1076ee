"""A pooler with its HTTP listener on, and what that says."""

import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families as prometheus

from tests.kit.deadline import wait_until
from tests.kit.pooler import Pooler
from tests.kit.ports import take_port


class Monitored:
    def __init__(self, pooler: Pooler, **settings: int | str | bool) -> None:
        self.pooler, self.port = pooler, take_port()
        pooler.run_with(http_port=self.port, **settings)
        wait_until(lambda: pooler.log_contains("metrics and health are served"), "the HTTP listener")

    def get(self, path: str, accept: str = "") -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples with this name and these labels."""
        return sum(
            each.value
            for family in prometheus(self.get("/metrics")[1])
            for each in family.samples
            if each.name == name and labels.items() <= each.labels.items()
        )
