"""The world around the virtual Pi, which stays when its power is cut: Starshipit, CartonCloud and the
printer (the program's own simulators, as a process of this machine), the wires to them, and the web
server of the update channel."""

import http.server
import json
import os
import re
import socket
import subprocess
import threading
import time
import urllib.request


class Wire:
    """Forwards TCP to `target`. `hook(way, bytes, seen)` looks at each piece before it goes on: way is
    "out" (from the Pi) or "in", `seen` all that went out on this connection before. When the hook
    says "cut" the piece goes no further and both ends are closed."""

    def __init__(self, target):
        self.target = target
        self.hook = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            inside, _ = self.listener.accept()
            threading.Thread(target=self.carry, args=(inside,), daemon=True).start()

    def carry(self, inside):
        try:
            outside = socket.create_connection(self.target)
        except OSError:
            inside.close()
            return
        seen = bytearray()
        back = threading.Thread(target=self.pump, args=("in", outside, inside, seen), daemon=True)
        back.start()
        self.pump("out", inside, outside, seen)
        back.join()
        inside.close()
        outside.close()

    def pump(self, way, source, sink, seen):
        try:
            while piece := source.recv(65536):
                hook = self.hook
                if hook is not None and hook(way, piece, bytes(seen)) == "cut":
                    for end in (source, sink):
                        end.shutdown(socket.SHUT_RDWR)
                    return
                if way == "out":
                    seen += piece
                    del seen[: -(1 << 20)]
                sink.sendall(piece)
            # One direction has ended; the other goes on.
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


class Channel:
    """Serves a release folder, with ranges. `hook(path, sent, length)` is told as an archive goes out."""

    def __init__(self, folder):
        self.hook = None
        self.asked = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path = os.path.join(folder, os.path.basename(self.path))
                wanted = re.match(r"bytes=(\d+)-$", self.headers.get("Range") or "")
                outer.asked.append((self.path, self.headers.get("Range")))
                if not os.path.isfile(path):
                    self.send_error(404)
                    return
                with open(path, "rb") as file:
                    body = file.read()
                start = int(wanted[1]) if wanted and int(wanted[1]) < len(body) else 0
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
                self.send_header("Content-Length", str(len(body) - start))
                self.end_headers()
                for at in range(start, len(body), 32768):
                    self.wfile.write(body[at : at + 32768])
                    # Slower than the guest: what has been sent has arrived, and not in a buffer on the way.
                    time.sleep(0.05)
                    if outer.hook is not None and path.endswith(".tar.gz"):
                        outer.hook(self.path, at, len(body))

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a client whose power was cut

        server = Quiet(("127.0.0.1", 0), Handler)
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()


class World:
    """The simulators, and what they saw."""

    def __init__(self, program, folder):
        self.labels = os.path.join(folder, "labels")
        state = os.path.join(folder, "sim")
        os.makedirs(state)
        os.makedirs(self.labels)
        self.process = subprocess.Popen(
            [program, "sim", "--starshipit", "127.0.0.1:0", "--cartoncloud", "127.0.0.1:0",
             "--printer", "label=127.0.0.1:0,zpl", "--state", state, "--out", self.labels, "--rate", "200"],
            stdout=subprocess.PIPE, stderr=open(os.path.join(folder, "sim.log"), "w"), text=True,
        )
        self.ready = json.loads(self.process.stdout.readline())
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        self.starshipit = Wire(address(self.ready["starshipit"]["url"]))
        self.cartoncloud = Wire(address(self.ready["cartoncloud"]["url"]))
        self.printer = Wire(address(self.ready["printers"][0]["addr"]))

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def admin(self, service, path, body=None):
        url = f"{self.ready[service]['admin'].rstrip('/')}/_sim/{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def order(self, reference, parcels=1):
        """A sale order of CartonCloud that is packed."""
        self.admin("cartoncloud", "orders", {
            "reference": reference, "status": "PACKED", "packages": [1.0 + n for n in range(parcels)],
        })

    def sold(self, reference):
        """The shipments that were paid for."""
        return [sale for sale in self.admin("starshipit", "ledger")["sales"] if sale["order_number"] == reference]

    def written(self, tracking):
        """How often a tracking number was written into a consignment."""
        writes = self.admin("cartoncloud", "journal")["writes"]
        return sum(1 for w in writes if w["call"] == "consignment-put" and w.get("tracking") == tracking)

    def paper(self):
        """Labels that lie at the printer."""
        return len([name for name in os.listdir(self.labels) if name.endswith(".png")])


def address(text):
    host, port = re.search(r"([0-9.]+):(\d+)", text).groups()
    return host, int(port)
