"""mosec: an HTTP front written in Rust, two Python workers; bodies are decoded and checked by msgspec in the worker.

`max_batch_size` above 1 turns its dynamic batching on.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec
from mosec import Server, ValidationError, Worker

from benchmarks.http.work import Label, Request, classify

READ = msgspec.json.Decoder(Request)
WRITE = msgspec.json.Encoder()


class Typed(Worker):
    def deserialize(self, data: Any) -> Request:
        try:
            return READ.decode(data)
        except msgspec.ValidationError as error:
            raise ValidationError(str(error)) from error

    def serialize(self, data: Label) -> bytes:
        return WRITE.encode(data)


class Classifier(Typed):
    def forward(self, data: Request) -> Label:
        return classify(data.item)


class BatchClassifier(Typed):
    def forward(self, data: list[Request]) -> list[Label]:  # type: ignore[override]
        return [classify(one.item) for one in data]


def main(port: str, max_batch_size: str = "1", max_wait_ms: str = "1") -> None:
    sys.argv[1:] = ["--port", port, "--address", "127.0.0.1", "--log-level", "error"]
    server = Server()
    size = int(max_batch_size)
    worker = BatchClassifier if size > 1 else Classifier
    server.append_worker(worker, num=2, max_batch_size=size, max_wait_time=int(max_wait_ms), route="/classify")
    server.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
