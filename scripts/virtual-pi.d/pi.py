"""The virtual Pi: QEMU's processor, Debian's kernel, a disk image, and a shell at a serial port.

`hard_off()` is a power cut: QEMU is killed. What the guest had only in its page cache is gone, what it
had flushed to the disk is there. A card that lies about flushes is not modelled.
"""

import base64
import os
import socket
import subprocess
import tempfile
import time

# An emulated machine on a busy one: only silence for so long is a fault.
PATIENCE = 900


class Off(Exception):
    """The machine is off, or does not answer."""


class Pi:
    def __init__(self, folder, disk, share, forward):
        self.folder, self.disk, self.share, self.forward = folder, disk, share, forward
        self.run = tempfile.mkdtemp(prefix="virtual-pi-")
        self.boots = 0
        self.process = self.serial = None
        self.buffer = b""

    def command(self):
        guest = ",".join(f"hostfwd=tcp:127.0.0.1:{host}-10.0.2.15:{port}" for host, port in self.forward)
        return [
            "nice", "-n", "10", "qemu-system-aarch64",
            "-M", "virt,gic-version=3", "-cpu", "cortex-a53", "-accel", "tcg,thread=multi",
            "-m", "1024", "-smp", "2", "-nographic", "-no-reboot",
            "-kernel", f"{self.folder}/vmlinuz", "-initrd", f"{self.folder}/initrd",
            "-append", "root=/dev/vda rw console=ttyAMA0 systemd.show_status=0 quiet loglevel=4",
            "-drive", f"file={self.disk},format=raw,if=none,id=card,cache=writeback",
            "-device", "virtio-blk-pci,drive=card", "-device", "virtio-rng-pci",
            "-netdev", f"user,id=lan,{guest}", "-device", "virtio-net-pci,netdev=lan,romfile=",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=sh,path={self.run}/sh,server=on,wait=off",
            "-device", "virtserialport,chardev=sh,name=sh",
            "-serial", f"file:{self.console()}", "-monitor", "none", "-display", "none",
            "-virtfs", f"local,path={self.share},mount_tag=share,security_model=none,readonly=on",
        ]

    def console(self):
        return f"{self.run}/console-{self.boots}"

    def boot(self):
        """Power on; returns when the serial shell answers."""
        self.boots += 1
        self.buffer = b""
        if os.path.exists(f"{self.run}/sh"):
            os.unlink(f"{self.run}/sh")
        with open(f"{self.run}/qemu-{self.boots}", "w") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        begun = time.monotonic()
        while True:
            self.alive()
            try:
                self.serial = socket.socket(socket.AF_UNIX)
                self.serial.connect(f"{self.run}/sh")
                break
            except OSError:
                if time.monotonic() - begun > 60:
                    raise Off("qemu does not start")
                time.sleep(0.1)
        while not self.line().startswith(b"READY"):
            pass
        return time.monotonic() - begun

    def alive(self):
        if self.process is None or self.process.poll() is not None:
            with open(f"{self.run}/qemu-{self.boots}") as log:
                raise Off("the machine is off: " + log.read()[-1000:])

    def line(self):
        quiet_since = time.monotonic()
        written = -1
        while b"\n" not in self.buffer:
            self.alive()
            self.serial.settimeout(2)
            try:
                more = self.serial.recv(65536)
            except socket.timeout:
                # What it says on the console is progress as well.
                now = os.path.getsize(self.console()) if os.path.exists(self.console()) else 0
                if now != written:
                    written, quiet_since = now, time.monotonic()
                if time.monotonic() - quiet_since > PATIENCE:
                    with open(self.console(), errors="replace") as console:
                        raise Off("no answer; console:\n" + console.read()[-3000:])
                continue
            except OSError:
                raise Off("the machine went off")
            if not more:
                raise Off("the machine went off")
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def sh(self, script):
        """Exit code and output of a bash script in the guest."""
        try:
            self.serial.sendall(base64.b64encode(script.encode()) + b"\n")
        except OSError:
            raise Off("the machine went off")
        while True:
            line = self.line()
            if line.startswith(b"A "):
                break
        _, code, said = (line + b" ").split(b" ")[:3]
        return int(code), base64.b64decode(said).decode(errors="replace")

    def hard_off(self):
        """The plug is pulled. May be called from any thread."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def power_off(self):
        """As `poweroff` does; how long it took."""
        begun = time.monotonic()
        try:
            self.serial.sendall(base64.b64encode(b"systemctl --no-block poweroff") + b"\n")
            self.process.wait(PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Off(f"it does not go off: {error}")
        return time.monotonic() - begun
