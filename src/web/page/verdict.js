// ---- verdict.js: one word in huge letters, with its colour and its shape ------------------------

const HAND = ["printer-offline", "printer-media-out", "printer-cover-open", "printer-paused"];
const FAULT = ["internal", "disk-full", "starshipit-unauthorized", "cartoncloud-unauthorized", "config-invalid", "clock-not-set"];
const ASKED = {
  "printer-in-doubt": "IN DOUBT", "weight-missing": "WEIGHT?", "courier-missing": "COURIER?",
  "packaging-missing": "BOX?", "printed-elsewhere": "PRINT IT HERE?",
};
// What a verdict is replaced by when nobody scans for so long, in milliseconds.
const STALE_VERDICT = 120000;

// `shown.kind`: idle (made from the status), working, printed, asked, told.
const shown = { kind: "idle", order: "", at: 0, scan: 0 };

function verdict(kind, word, look, symbol, d = {}) {
  shown.kind = kind;
  shown.order = d.order || "";
  shown.at = Date.now();
  $("verdict").className = look + (kind === "working" ? " working" : "");
  $("symbol").setAttribute("href", "#s-" + symbol);
  const set = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };
  set("word", word);
  set("order", d.order || "");
  set("message", d.message || "");
  set("next", d.next || "");
  set("small", d.small || "");
}

// A scan document.
function show(d, scanned) {
  const code = d.code || "";
  const order = d.order || plain(scanned);
  const t = d.timings_ms || {};
  const steps = { resolve: "find", buy: "courier", render: "draw", print: "print" };
  const took = Object.keys(steps).filter((k) => t[k] != null).map((k) => steps[k] + " " + millis(t[k])).join(" + ");
  const small = [code, (d.tracking || []).join(", "), d.proof && "proof: " + d.proof, took].filter(Boolean).join("  ·  ");
  const way = d.next ? "Next: " + plain(d.next).replace(/^none: /, "") : "";
  const words = { order, message: d.message, next: way, small };
  switch (d.outcome) {
    case "accepted": return verdict("working", "WORKING", "", "work", { order, message: d.message });
    case "printed": return verdict("printed", "PRINTED", "good", "check", { ...words, next: "" });
    case "queued": return verdict("told", "QUEUED", "look", "clock", words);
    case "ignored": return verdict("told", "NOTED", "", "check", words);
    case "question":
      if (/^scan the /.test(d.next || "")) return verdict("told", "NEXT SCAN", "look", "question", words);
      return verdict("asked", ASKED[code] || "QUESTION", "look", "question", words);
  }
  if (HAND.includes(code)) return verdict("told", "PRINTER", "hand", "hand", words);
  if (FAULT.includes(code)) return verdict("told", "FAULT", "fault", "fault", words);
  return verdict("told", code === "bad-scan" ? "SCAN AGAIN" : "REFUSED", "look", "cross", words);
}

// What the bench as a whole says when no scan has the word.
function rest(s) {
  const printer = (s.printers || []).find((p) => p.code);
  const paused = s.state === "paused", offline = (s.online || {}).starshipit === false;
  const sick = (s.health || [])[0];
  const hands = shown.kind === "idle" || shown.kind === "printed" || shown.kind === "working";
  if (printer && hands) {
    return verdict("idle", "PRINTER", "hand", "hand", { order: shown.order, message: printer.name + ": " + spaced(printer.code) + ". " + (printer.you || ""), small: printer.detail || "" });
  }
  if (shown.kind === "working" || shown.kind === "asked") return;
  if (shown.kind !== "idle" && Date.now() - shown.at < STALE_VERDICT) return;
  if (sick) return verdict("idle", "FAULT", "fault", "fault", { message: sick.detail, small: sick.code });
  if (s.state === "draining") return verdict("idle", "STOPPING", "", "pause", { message: "The station stops or is being updated." });
  if (paused) return verdict("idle", "PAUSED", "look", "pause", { message: "The bench takes no new work.", next: "Next: RESUME" });
  if (s.queued && !offline) return verdict("idle", "RESUME?", "look", "clock", { message: "The network is back. " + s.queued + (s.queued === 1 ? " scan waits" : " scans wait") + " for your word." });
  if (offline) return verdict("idle", "OFFLINE", "look", "lost", { message: "Starshipit cannot be reached. Scans are kept and queued; held labels print." });
  verdict("idle", "READY", "good", "check", { message: "Scan an order." });
}

setInterval(() => {
  if (shown.kind === "working" && !$("bench").hidden) $("small").textContent = span((Date.now() - shown.at) / 1000);
}, 1000);
