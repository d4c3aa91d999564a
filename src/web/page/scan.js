// ---- scan.js: from the scan box (or a keyboard scanner anywhere) to the station ----------------
// One request at a time and in order: a command means the order scanned before it. The station's first
// word comes back here, the rest as events. What was not confirmed stays on the page until a person
// has seen to it.

let line = Promise.resolve();
let underWay = 0;

// The station's first word, or null when there was none.
function send(path, body, text) {
  const mine = ++shown.scan;
  underWay++;
  const turn = line.then(() => sendNow(path, body, text, mine)).finally(() => { underWay--; });
  line = turn.catch(() => null);
  return turn;
}

async function sendNow(path, body, text, mine) {
  const newest = () => mine === shown.scan;
  if (link.lost) {
    // Ask first: what never left the page is certainly not taken.
    const there = await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(2500) }).then((r) => r.ok, () => false);
    if (!there) {
      unanswered.add(path, body, text, "not sent");
      verdict("told", "NOT TAKEN", "fault", "lost", { order: text, message: "The station does not answer. This was not sent.", next: "Next: wait for the connection, then send it again below" });
      play("fault");
      return null;
    }
  }
  try {
    const { document: d } = await post(path, body);
    if (d.outcome) return d;
    unanswered.clear(text);
    if (newest()) verdict("told", "REFUSED", "look", "cross", { order: text, message: d.detail || d.title || "The station did not understand this.", small: d.code });
    play("refused");
    return null;
  } catch (error) {
    unanswered.add(path, body, text, error instanceof Refused ? "not sent" : "unknown");
    if (error instanceof Refused) { location.reload(); return null; }
    verdict("told", "NO ANSWER", "fault", "lost", { order: text, message: "The station did not answer: it is not known whether this was taken.", next: "Next: look at the list when the connection is back, then send it again below" });
    play("fault");
    return null;
  }
}

async function submit(path, body, text) {
  const mine = shown.scan + 1;
  closeAsk();
  verdict("working", "WORKING", "", "work", { order: plain(text), message: "Sending." });
  const began = Date.now();
  const d = await send(path, body, text);
  if (!d) return;
  unanswered.clear(text);
  // The end may be here before the beginning: a held label prints at once.
  if (d.outcome === "accepted" && ended.some((e) => e.at >= began && (e.scanned === text || d.order && e.order === d.order))) return;
  heard({ ...d, scanned: text, trigger: "page", user: user() || null, last: d.outcome !== "accepted" }, mine === shown.scan);
}
const scan = (code) => submit("/api/scan", { code }, code);
const command = (name) => scan(prefix + name);
const orderAct = (id, name, body, number) => submit("/api/orders/" + encodeURIComponent(id) + "/" + name, body, number || id);

// An answer, by whichever way it came first; the same words twice are shown and sounded once.
const ended = [];
let lastHeard = "", lastHeardAt = 0;
function heard(d, isNewest = true) {
  if (d.outcome !== "accepted") { ended.push({ scanned: d.scanned, order: d.order, at: Date.now() }); ended.splice(0, ended.length - 20); }
  const key = JSON.stringify([d.outcome, d.order, d.code, d.message, plain(d.scanned)]);
  const again = key === lastHeard && Date.now() - lastHeardAt < 3000;
  lastHeard = key;
  lastHeardAt = Date.now();
  if (again || !isNewest) return;
  // "Accepted" of one order does not hide what is being asked about another.
  if (d.outcome === "accepted" && shown.kind === "asked" && d.order !== shown.order) return;
  const stays = open.question && open.order && d.order !== open.order && d.outcome === "printed";
  if (!stays) {
    show(d, d.scanned);
    if (d.outcome !== "accepted") { if (d.next) ask(d); else closeAsk(); }
  }
  const signal = d.outcome === "question" ? "" : d.outcome === "refused" && FAULT.includes(d.code) ? "fault" : d.outcome;
  if (signal) play(signal);
  if (d.outcome !== "accepted") later();
}

// ---- what has no answer ------------------------------------------------------------------------

const unanswered = {
  list: [],
  load() {
    try { this.list = JSON.parse(sessionStorage.getItem("printstation-unanswered") || "[]"); } catch { this.list = []; }
    this.draw();
  },
  add(path, body, text, why) {
    this.list.push({ path, body, text, why, at: Date.now() });
    this.draw();
  },
  // Confirmed after all.
  clear(text) {
    const at = this.list.findIndex((entry) => entry.text === text);
    if (at >= 0) { this.list.splice(at, 1); this.draw(); }
  },
  draw() {
    try { sessionStorage.setItem("printstation-unanswered", JSON.stringify(this.list)); } catch { /* the page still has it */ }
    $("unanswered").hidden = this.list.length === 0;
    $("unanswered-list").replaceChildren(...this.list.map((entry) => {
      const row = el("li");
      const why = entry.why === "unknown" ? "not known whether it was taken" : "not taken";
      const away = () => { this.list = this.list.filter((other) => other !== entry); this.draw(); };
      const again = button("Send again", () => { away(); submit(entry.path, entry.body, entry.text); });
      const forget = button("Forget", away);
      again.setAttribute("aria-label", "Send again: " + plain(entry.text));
      forget.setAttribute("aria-label", "Forget: " + plain(entry.text));
      row.append(el("span", plain(entry.text)), el("span", clockTime(entry.at) + ", " + why), again, forget);
      return row;
    }));
  },
};

$("scan").addEventListener("submit", (e) => {
  e.preventDefault();
  const code = $("code").value.trim();
  $("code").value = "";
  home();
  if (code) scan(code);
});

// ---- the keyboard ------------------------------------------------------------------------------

// A keyboard scanner types faster than any hand. A scan that lands in another field or over a dialog is
// taken out of there and is a scan all the same.
const burst = { text: "", at: 0, field: null, before: "" };
const BURST_GAP = 40, BURST_LEAST = 5;

addEventListener("keydown", (e) => {
  if ($("bench").hidden) return;
  mute();
  if (!e.ctrlKey && !e.altKey && !e.metaKey && !e.repeat) {
    const now = e.timeStamp, ends = e.key === "Enter" || e.key === "Tab";
    if (e.key.length === 1) {
      if (now - burst.at > BURST_GAP) {
        burst.text = "";
        burst.field = document.activeElement;
        burst.before = burst.field && "value" in burst.field ? burst.field.value : "";
      }
      burst.text += e.key;
      burst.at = now;
    } else if (ends && burst.text.length >= BURST_LEAST && now - burst.at <= BURST_GAP && !(e.key === "Enter" && document.activeElement === $("code"))) {
      e.preventDefault();
      e.stopPropagation();
      if (document.activeElement === $("code")) { burst.text = ""; $("scan").requestSubmit(); return; }
      const code = burst.text.trim();
      if (burst.field && "value" in burst.field) burst.field.value = burst.before;
      burst.text = "";
      for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
      home();
      scan(code);
      return;
    } else if (ends) burst.text = "";
  }
  const keyed = [...document.querySelectorAll("[data-key]")].find((b) => b.dataset.key === e.key && b.offsetParent);
  if (["F2", "F3", "F4", "F6", "F8", "F9", "F10"].includes(e.key) && !e.ctrlKey && !e.altKey) {
    e.preventDefault();
    if (keyed && !document.querySelector("dialog[open]")) keyed.click();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  if (e.key === "Escape") { $("code").value = ""; $("code").focus(); return; }
  // A scanner types wherever the cursor is: outside a field, what it types lands in the scan box.
  const field = ["INPUT", "SELECT"].includes(document.activeElement.tagName);
  if (e.key.length === 1 && e.key !== " " && !e.ctrlKey && !e.altKey && !e.metaKey && !field) $("code").focus();
}, true);
addEventListener("pointerdown", mute);
addEventListener("focus", home);
