"""A real Slurm for tests: munge, a controller and two nodes on this machine, gone when the block ends.

It needs Debian's packages slurm-wlm and munge (or the same programs elsewhere), but no database, cgroups,
system user or service: everything runs as whoever runs the tests, in a temporary folder, on free ports.
"""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scancel", "scontrol", "squeue")
SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin"])
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=10
CredType=cred/munge
SlurmctldPort={controller}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdSpoolDir={folder}/spool.%n
StateSaveLocation={folder}/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=30
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=2 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
"""Credentials that expire soon: a job that is put back into the queue starts again after as long."""


def missing() -> str:
    """Programs of Slurm that are not installed, as a reason to skip a test; empty where there are none."""
    away = [name for name in PROGRAMS if shutil.which(name, path=SEARCHED) is None]
    return f"not installed: {', '.join(away)} (Debian: slurm-wlm, munge)" if away else ""


@dataclass(frozen=True)
class Slurm:
    """A running cluster of the nodes n1 and n2.

    Attributes:
        folder: Its configuration, sockets and logs.
        environment: Variables with which its commands find it; jobs get them too.
    """

    folder: Path
    environment: dict[str, str]

    def call(self, *command: str, cwd: Path | None = None, timeout: float = 30) -> str:
        """What one of its commands prints."""
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}{self.logs()}"
        return done.stdout.strip()

    def logs(self) -> str:
        """The ends of what the daemons have said, for the message of a failure."""
        return "".join(f"\n{p.name}:\n{p.read_text()[-1500:]}" for p in sorted(self.folder.glob("*.log")))


@contextlib.contextmanager
def slurm(variables: dict[str, str]) -> Iterator[Slurm]:
    """Start a cluster, and end it with all of its jobs.

    Args:
        variables: Added to the environment of its commands, which Slurm passes on to the jobs.
    """
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # a socket's path must be short
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    ports = _free_ports(3)
    host = socket.gethostname().split(".", maxsplit=1)[0]
    text = CONFIGURATION.format(
        host=host,
        user=getpass.getuser(),
        folder=folder,
        controller=ports[0],
        first=ports[1],
        second=ports[2],
    )
    (folder / "slurm.conf").write_text(text, encoding="utf-8")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_", "SRUN_"))}
    environment = kept | {"PATH": SEARCHED, "SLURM_CONF": str(folder / "slurm.conf")} | variables
    made = Slurm(folder, environment)
    daemons: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> None:
        with (folder / f"{len(daemons)}-{command[0]}.log").open("wb") as log:
            daemons.append(
                subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
            )

    try:
        names = [("socket", "sock"), ("key-file", "key"), ("log-file", "out"), ("pid-file", "pid")]
        names.append(("seed-file", "seed"))
        files = [f"--{name}={folder}/munge.{suffix}" for name, suffix in names]
        start("munged", "--foreground", "--force", *files)
        _wait((folder / "munge.sock").exists, made)
        start("slurmctld", "-D")
        start("slurmd", "-D", "-N", "n1")
        start("slurmd", "-D", "-N", "n2")
        _wait(lambda: _states(made) == ["idle", "idle"], made)
        yield made
    finally:
        with contextlib.suppress(AssertionError, subprocess.SubprocessError):
            made.call("scancel", "--full", "--signal=KILL", "--user", getpass.getuser())
            made.call("scancel", "--user", getpass.getuser())
            _wait(lambda: not made.call("squeue", "--noheader"), made)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(timeout=10)
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _states(cluster: Slurm) -> list[str]:
    try:
        return cluster.call("sinfo", "--noheader", "--Node", "--format=%T", timeout=10).split()
    except (AssertionError, subprocess.TimeoutExpired):
        return []  # the controller is not there yet


def _wait(met: Callable[[], bool], cluster: Slurm, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, cluster.logs()
        time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("", 0))
        return [each.getsockname()[1] for each in sockets]
