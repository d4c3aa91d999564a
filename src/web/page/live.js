// ---- live.js: events, the lost connection, views, start -----------------------------------------

const link = { lost: false, source: null, due: 0, drawn: 0 };

// Lists are read again soon after something happened, and at most once a second.
function later() {
  clearTimeout(link.due);
  link.due = setTimeout(draw, Math.max(150, 1000 - (Date.now() - link.drawn)));
}
async function draw() {
  link.drawn = Date.now();
  // One after the other: a page takes few of the station's connections.
  for (const part of [waiting, recent, picture, ...(document.body.dataset.view === "outbox" ? [outbox] : [])]) {
    try { await part(); } catch { /* said by the banner when the line is gone */ }
  }
}

function lost(why) {
  if (link.lost) return;
  link.lost = true;
  document.body.classList.add("stale");
  $("lost").textContent = "NO CONNECTION to the station since " + clockTime(Date.now()) + ". " + why;
  $("lost").hidden = false;
  $("state").textContent = "not connected";
  $("state").className = "pill bad";
  sounding("");
  play("fault");
}
function found() {
  if (!link.lost) return;
  link.lost = false;
  document.body.classList.remove("stale");
  $("lost").hidden = true;
  $("lost").textContent = "";
  catchUp();
  later();
}
// What became of the order that was under way when the line broke.
async function catchUp() {
  if (shown.kind !== "working" || !shown.order || underWay) return;
  const order = shown.order;
  try {
    const o = await (await get("/api/orders/" + encodeURIComponent(order))).json();
    if (shown.kind !== "working" || shown.order !== order) return;
    const d = { order, tracking: numbers(o).split(", ").filter(Boolean) };
    if (o.state === "printed") show({ ...d, outcome: "printed", message: "Printed while there was no connection." });
    else if (!["buying", "printing", "replacing", "cloning", "pushing"].includes(o.state)) show({ ...d, outcome: "refused", message: "While there was no connection: " + spaced(o.state) + ".", next: "scan the same order again" });
  } catch {
    if (shown.kind === "working" && shown.order === order) show({ outcome: "refused", order, message: "It is not known what became of this scan.", next: "scan the same order again" });
  }
}

function follow() {
  if (link.source) link.source.close();
  const source = link.source = new EventSource("/api/events");
  const on = (kind, take) => source.addEventListener(kind, (e) => {
    found();
    take(JSON.parse(e.data));
  });
  on("status", (s) => {
    status(s);
    if (s.signal === "nothing-waiting") play(s.signal);
    later();
  });
  on("scan", (d) => heard(d));
  on("order", later);
  on("writeback", later);
  on("printer", () => get("/api/status").then((r) => r.json()).then(status).catch(() => {}));
  source.onerror = () => {
    lost("What you see is old. Scans at a real scanner may still work; what you type here is answered.");
    if (source.readyState === EventSource.CLOSED) setTimeout(() => { if (link.source === source) get("/api/status").then(follow, () => setTimeout(follow, 2000)); }, 1000);
  };
}
// A station without power closes nothing, and events are rare: ask for a sign of life, too.
setInterval(async () => {
  if ($("bench").hidden) return;
  try {
    const s = await (await get("/api/status", 4000)).json();
    // Its first event is the status, and ends the alarm.
    if (link.lost) follow();
    else { status(s); picture(); }
  } catch {
    lost("The station does not answer. What you see is old; what you type here is answered.");
  }
}, 5000);

// ---- views --------------------------------------------------------------------------------------

for (const tab of document.querySelectorAll("[data-view]")) {
  if (tab === document.body) continue;
  tab.title = tab.dataset.key;
  tab.onclick = () => view(tab.dataset.view);
}
function view(name) {
  document.body.dataset.view = name;
  for (const tab of document.querySelectorAll("nav [data-view]")) {
    if (tab.dataset.view === name) tab.setAttribute("aria-current", "page"); else tab.removeAttribute("aria-current");
  }
  for (const part of document.querySelectorAll(".view")) part.hidden = part.id !== "view-" + name;
  if (name === "orders") { if (hasMouse) $("q").focus(); search(false); } else home();
  if (name === "outbox") outbox().catch(() => {});
}
for (const b of document.querySelectorAll("[data-command]")) b.onclick = () => { command(b.dataset.command); home(); };

// ---- who is at the bench ------------------------------------------------------------------------

function showWho() { $("who").textContent = user() || "Your name?"; }
$("who").onclick = () => {
  const label = el("label", "Your name or badge, kept with what you do here; empty for none"), input = el("input");
  input.id = "who-name";
  label.htmlFor = input.id;
  input.maxLength = 60;
  input.value = user();
  input.autocomplete = "off";
  confirmDialog("Who is at this page", "", [label, input], "Keep", () => { kept.set("user", input.value.trim()); showWho(); return true; });
  input.focus();
};
showWho();

// ---- start --------------------------------------------------------------------------------------

$("login-form").addEventListener("submit", async (e) => {
  e.preventDefault();
  const answer = await fetch("/api/session", { method: "POST", body: JSON.stringify({ token: $("token").value }), headers: { "Content-Type": "application/json" } }).catch(() => null);
  if (answer && answer.status === 204) location.reload();
  else $("login-says").textContent = answer ? "This is not the station's token." : "The station does not answer.";
});
(async () => {
  // The scan box first: a scanner does not wait for a page.
  $("bench").hidden = false;
  view("bench");
  unanswered.load();
  const answer = await fetch("/api/status", { credentials: "same-origin", cache: "no-store" }).catch(() => null);
  if (answer && answer.status === 401) { $("bench").hidden = true; $("login").hidden = false; $("token").focus(); return; }
  if (answer && answer.ok) status(await answer.json());
  follow();
  draw();
})();
