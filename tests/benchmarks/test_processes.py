"""Watching programs through /proc."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.processes import CannotRun, Program, cpu_seconds, memory_bytes, tree
from toolforge_gateway.testing.ports import free_port

BUSY_CHILD = """
import os, sys, time
child = os.fork()
if not child:
    held = bytearray(os.urandom(1 << 20) * 20)
    while time.process_time() < 0.2:
        pass
    print("ready", os.getpid(), flush=True)
time.sleep(60)
"""


class ProgramTests(SynchronousTestCase):
    """A program with a child that has worked and holds memory."""

    def program(self, code: str) -> Program:
        folder = Path(self.mktemp())
        folder.mkdir()
        read, write = os.pipe()
        program = Program([sys.executable, "-c", code], self.cpu(), folder / "log", stdout=write)
        os.close(write)
        self.said = os.fdopen(read)
        self.addCleanup(self.said.close)
        self.addCleanup(program.end)
        return program

    def cpu(self) -> int:
        return min(os.sched_getaffinity(0))

    def test_whole_tree(self) -> None:
        """Time and memory of a child count for the program that started it."""
        program = self.program(BUSY_CHILD)
        child = int(self.said.readline().split()[1])
        pids = [program.process.pid]
        self.assertEqual(set(tree(pids)), {program.process.pid, child})
        self.assertGreater(cpu_seconds(pids), 0.19)
        self.assertGreater(memory_bytes(pids), 20_000_000)

    def test_own_cpu(self) -> None:
        """A program is kept on the CPU that it was given."""
        program = self.program("import time; print('ready', flush=True); time.sleep(60)")
        self.said.readline()
        self.assertEqual(os.sched_getaffinity(program.process.pid), {self.cpu()})

    def test_end(self) -> None:
        """A program that does not mind being asked to end is ended."""
        program = self.program(
            "import signal, time; signal.signal(15, signal.SIG_IGN); print('x', flush=True); "
            "time.sleep(60)"
        )
        self.said.readline()
        self.patch(Program, "GRACE", 0.1)
        program.end()
        self.assertIsNotNone(program.process.poll())

    def test_does_not_listen(self) -> None:
        """A program that ends instead of listening is an error with its last words."""
        folder = Path(self.mktemp())
        folder.mkdir()
        command = [sys.executable, "-c", "raise SystemExit('no such option')"]
        program = Program(command, self.cpu(), folder / "log")
        error = self.assertRaises(CannotRun, program.wait_for, free_port())
        self.assertIn("no such option", str(error))
