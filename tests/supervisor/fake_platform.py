"""The supervisor with a small plan of its own: real servers, one step, a web process and an idle one."""

import os
import sys

from brokerage.env import Environment, environment_read
from brokerage.supervisor import cli, processes
from brokerage.supervisor.errors import SupervisorError
from brokerage.supervisor.plan import Addresses, Plan, Step, process_environment
from brokerage.supervisor.processes import Health, ProcessPlan
from brokerage.supervisor.run import Supervisor

WEB = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
STEP = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS starts (at timestamptz DEFAULT now())")
    connection.execute("INSERT INTO starts DEFAULT VALUES")
"""
IDLE = "import time; time.sleep(3600)"


def fake_plan(environment: Environment, addresses: Addresses) -> Plan:
    """Return a plan that can be told to fail."""
    owner = process_environment(environment, addresses, "owner", knows_owner=True)
    web = process_environment(environment, addresses, "web")
    step = STEP if os.environ.get("FAKE_STEP") != "fails" else "raise SystemExit('the step has failed')"
    idle = IDLE if os.environ.get("FAKE_IDLE") != "fails" else "raise SystemExit('idle will not stay')"
    health = Health(port=environment.port, path="/readyz")
    return Plan(
        (Step("step", "one step", (sys.executable, "-c", step), owner),),
        (
            ProcessPlan("web", (sys.executable, "-c", WEB, str(environment.port)), web, health),
            ProcessPlan(
                "idle", (sys.executable, "-c", idle), web, Health(alive_s=0.2), restarts_at_once=True
            ),
        ),
    )


def main(command: str) -> int:
    """Run one of the supervisor's commands with the small plan."""
    processes.BACKOFF_S = (0.1,)
    environment = environment_read("supervisor")
    try:
        if command == "run":
            return Supervisor(environment, fake_plan).run()
        if command == "up":
            return cli.up(environment, (sys.executable, "-m", "tests.supervisor.fake_platform", "run"))
        return {"down": cli.down, "status": cli.status}[command](environment)
    except SupervisorError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
