// A bench for the browser tests: the built binary as `sim` and as `run`, and a printer cable that can be
// cut or told that the roll is empty. Everything on loopback, everything in a folder that is removed.

import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync, openSync, closeSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const PATIENCE = Number(process.env.BROWSER_PATIENCE || 60_000);
const PROGRAM = process.env.PRINTSTATION;
export const TOKEN = "browser-test-token-0123456789";
export const PEER_TOKEN = "browser-test-peers-0123456789";

/** Polls until `so()` gives something, or says after PATIENCE what it waited for. */
export async function until(what, so, patience = PATIENCE) {
  const end = Date.now() + patience;
  let last;
  for (;;) {
    try {
      const got = await so();
      if (got) return got;
      last = got;
    } catch (error) { last = error; }
    if (Date.now() > end) throw new Error(`not in time: ${what} (last: ${last})`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

export async function freePort(host = "127.0.0.1") {
  const server = net.createServer();
  await new Promise((done) => server.listen(0, host, done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** Starts the binary and waits for its ready line. */
async function start(args, env, log) {
  const fd = openSync(log, "a");
  const child = spawn(PROGRAM, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", fd] });
  closeSync(fd);
  const ready = await new Promise((done, failed) => {
    const lines = createInterface({ input: child.stdout });
    lines.once("line", (line) => done(JSON.parse(line)));
    child.once("exit", (code) => failed(new Error(`${args[0]} ended with ${code}: ${readFileSync(log, "utf8").slice(-2000)}`)));
  });
  return { child, ready };
}
export async function end(child, signal = "SIGTERM") {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once("exit", done));
  child.kill(signal);
  await gone;
}

/** The cable to the printer: `whole`, `cut` (the next label breaks off) or `empty` (no labels left). */
class Cable {
  constructor(to) {
    this.mode = "whole";
    const [host, port] = to.split(":");
    this.server = net.createServer((near) => {
      const far = net.connect(Number(port), host);
      let bytes = 0;
      for (const side of [near, far]) side.on("error", () => { near.destroy(); far.destroy(); });
      far.on("close", () => near.destroy());
      near.on("close", () => far.destroy());
      far.on("data", (data) => near.write(data));
      far.on("end", () => near.end());
      near.on("end", () => far.end());
      near.on("data", (data) => {
        const text = data.toString("latin1");
        if (this.mode === "empty" && text.includes("~HS")) {
          near.write("\x02030,1,0,1245,000,0,0,0,000,0,0,0\x03\r\n\x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n");
          return;
        }
        bytes += data.length;
        if (this.mode === "cut" && bytes > 3000) {
          this.mode = "whole";
          near.resetAndDestroy();
          far.resetAndDestroy();
          return;
        }
        far.write(data);
      });
    });
  }
  async open() {
    await new Promise((done) => this.server.listen(0, "127.0.0.1", done));
    this.at = `127.0.0.1:${this.server.address().port}`;
    return this;
  }
}

export class World {
  /** `name`: of the bench; `host`: where its page listens; `extra`: more configuration; `web`: more of `[web]`. */
  static async start({ name = "bench-1", host = "127.0.0.1", extra = "", web = "", cartoncloud = false } = {}) {
    const world = new World();
    world.dir = mkdtempSync(join(tmpdir(), "ps-browser-"));
    mkdirSync(join(world.dir, "sim"));
    const args = ["sim", "--starshipit", "127.0.0.1:0", "--printer", "label=127.0.0.1:0,zpl", "--state", join(world.dir, "sim"), "--rate", "200"];
    if (cartoncloud) args.push("--cartoncloud", "127.0.0.1:0");
    world.sim = await start(args, {}, join(world.dir, "sim.log"));
    const { ready } = world.sim;
    world.cable = await new Cable(ready.printers[0].addr).open();
    world.port = await freePort(host);
    world.url = `http://${host}:${world.port}`;
    world.scanner = await freePort();
    const account = ready.starshipit.accounts[0];
    world.env = { API_KEY: account.api_key, SUBSCRIPTION_KEY: account.subscription_key, WEB_TOKEN: TOKEN, PEER_TOKEN, RUST_LOG: "info" };
    let cloud = "";
    if (cartoncloud) {
      world.env.CARTONCLOUD_ID = ready.cartoncloud.client_id;
      world.env.CARTONCLOUD_SECRET = ready.cartoncloud.client_secret;
      cloud = `[cartoncloud]
base_url = "${ready.cartoncloud.url}"
tenant_id = "${ready.cartoncloud.tenant_id}"
client_id = { env = "CARTONCLOUD_ID" }
client_secret = { env = "CARTONCLOUD_SECRET" }
poll_interval = "1s"
requests_per_minute = 6000
[cartoncloud.push]
enabled = true
statuses = ["PACKED"]
[cartoncloud.writeback]
sinks = ["consignment"]
`;
    }
    world.config = join(world.dir, "config.toml");
    writeFileSync(world.config, `[station]
name = "${name}"
state_dir = ${JSON.stringify(join(world.dir, "state"))}
duties = ["push"]
[scan]
command_prefix = "PSTEST."
[[scanners]]
name = "gun"
connection = "tcp-listen://127.0.0.1:${world.scanner}"
[starshipit]
base_url = "${ready.starshipit.url}"
requests_per_second = 200
request_timeout = "10s"
settle = "1s"
[[starshipit.accounts]]
name = "main"
api_key = { env = "API_KEY" }
subscription_key = { env = "SUBSCRIPTION_KEY" }
${cloud}
[[printers]]
name = "label"
connection = "tcp://${world.cable.at}"
language = "zpl"
[packaging.presets]
small = { length_cm = 30, width_cm = 20, height_cm = 10, weight_kg = 0.2 }
large = { length_cm = 60, width_cm = 40, height_cm = 40, weight_kg = 0.6 }
[web]
listen = "${host}:${world.port}"
token = { env = "WEB_TOKEN" }
peer_token = { env = "PEER_TOKEN" }
${web}
${extra}
`);
    await world.run();
    return world;
  }

  async run() { this.station = await start(["run", "--config", this.config], this.env, join(this.dir, "run.log")); }
  async kill() { await end(this.station.child, "SIGKILL"); }

  async stop() {
    await end(this.station.child);
    await end(this.sim.child);
    this.cable.server.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  async api(path, body) {
    const answer = await fetch(this.url + path, {
      method: body ? "POST" : "GET",
      headers: { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json" },
      body: body && JSON.stringify(body), signal: AbortSignal.timeout(PATIENCE),
    });
    const text = await answer.text();
    return text.includes("\n") ? text.split("\n").filter(Boolean).map((line) => JSON.parse(line)) : JSON.parse(text);
  }
  async admin(service, path, body) {
    const of = this.sim.ready[service];
    const answer = await fetch(`${of.admin || of.url}/_sim/${path}`, { method: body ? "POST" : "GET", headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body), signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok) throw new Error(`${service} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }
  /** An order in the simulated Starshipit. */
  async order(number, more = {}) { await this.admin("starshipit", "orders", { number, recipient: { name: "Pat Example", suburb: "Carlton", post_code: "3053" }, ...more }); }
  async sales() { return (await this.admin("starshipit", "ledger")).sales; }

  /** A scan at the bench's own scanner. */
  async gun(code) {
    const socket = net.connect(this.scanner, "127.0.0.1");
    await new Promise((done, failed) => { socket.once("connect", done); socket.once("error", failed); });
    socket.end(`${code}\r`);
  }
}
