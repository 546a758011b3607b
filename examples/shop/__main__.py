"""`python -m examples.shop --port 8080`. The owner's token comes from SHOP_TOKEN."""

import argparse
import os
import socket

import uvicorn

from examples.shop.app import create_app

DEFAULT_TOKEN = "shop-demo-token"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.shop", description="A small shop to try PlanVault on.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0 picks a free port")
    parser.add_argument("--latency", type=float, default=0.02, metavar="SECONDS", help="time that every answer takes")
    options = parser.parse_args()
    app = create_app(token=os.environ.get("SHOP_TOKEN", DEFAULT_TOKEN), latency_s=options.latency)
    # Bound before it is announced, so that whoever reads the line can connect at once, on whichever port it became.
    with socket.create_server((options.host, options.port)) as listener:
        print(f"shop: http://{options.host}:{listener.getsockname()[1]}", flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
