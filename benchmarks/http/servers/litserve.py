"""LitServe: FastAPI on uvicorn in front of two workers, in which msgspec checks the body.

An annotation on `decode_request` would have FastAPI check it in the front instead.
"""

import sys
from typing import Any

import litserve
import msgspec

from benchmarks.http.work import Request, classify


class Classifier(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.batched = self.max_batch_size > 1

    def decode_request(self, request, **_):  # type: ignore[no-untyped-def]
        return msgspec.convert(request, Request).item

    def predict(self, item: Any, **_: Any) -> Any:
        return [classify(one) for one in item] if self.batched else classify(item)

    def unbatch(self, output: Any) -> Any:
        return output

    def encode_response(self, output, **_):  # type: ignore[no-untyped-def]
        return {"label": output.label, "score": output.score}


def main(port: str, fronts: str = "2", max_batch_size: str = "1", queue: str = "default") -> None:
    api = Classifier(max_batch_size=int(max_batch_size), batch_timeout=0.001, api_path="/classify")
    server = litserve.LitServer(
        api, accelerator="cpu", devices=1, workers_per_device=2, fast_queue=queue == "fast", timeout=30
    )
    server.run(
        host="127.0.0.1",
        port=int(port),
        num_api_servers=int(fronts),
        log_level="error",
        access_log=False,
        generate_client_file=False,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
