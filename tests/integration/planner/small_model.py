"""Serves a small GGUF model over HTTP in a process of its own: `python small_model.py MODEL.gguf`.

Prints its base URL when it can answer, and runs until it is terminated.
"""

import signal
import sys

import xllamacpp


def main(model: str) -> None:
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {"smollm2"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = 4_096
    params.n_parallel = 1
    params.n_predict = 500
    params.n_gpu_layers = 0
    params.warmup = False
    params.ui = False
    # So small a model repeats itself for ever inside a list, which the grammar allows.
    params.sampling.penalty_repeat = 1.3
    params.sampling.penalty_last_n = 512
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)  # noqa: T201 - the parent reads it
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[1])
