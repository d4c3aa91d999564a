// ---- status.js: the status document: state, troubles, equipment, times, peers ------------------

const now = { status: null, version: "" };
const STATES = { ready: "good", working: "good", paused: "look", starting: "look", draining: "look", fault: "bad" };

function status(s) {
  if (now.version && s.version && s.version !== now.version && !$("code").value && !document.querySelector("dialog[open]")) {
    // Another version runs: so should its page.
    location.reload();
    return;
  }
  now.status = s;
  now.version ||= s.version || "";
  $("state").textContent = s.state || "";
  $("state").className = "pill " + (STATES[s.state] || "look");
  troubles(s);
  equipment(s);
  latency(s.latency_ms || {});
  facts(s);
  peers(s.peers || []);
  const question = s.question;
  if (!question) open.answered = "";
  if (question && question.next && $("ask").hidden && open.answered !== keyOf(question)) {
    // Opened by another scanner, or before this page was.
    if (shown.kind !== "asked" && question.order) show({ ...question, outcome: "question", message: "A question is open at the bench." }, "");
    ask({ ...question, outcome: "question" });
  } else if (!question && open.question) closeAsk();
  if ((s.printers || []).some((p) => p.code)) sounding("printer-needs-hand");
  else if (sound.sounding === "printer-needs-hand") sounding("");
  rest(s);
}

function troubles(s) {
  const all = [];
  const add = (cls, symbol, text) => { const li = el("li", "", cls); li.append(shape(symbol), el("span", text)); all.push(li); };
  for (const h of s.health || []) add("bad", "fault", h.code + ": " + h.detail);
  for (const p of s.printers || []) if (p.code) add("hand", "hand", "Printer " + p.name + ": " + spaced(p.code).replace("printer ", "") + ". " + (p.you || ""));
  for (const name of Object.keys(s.online || {})) if (s.online[name] === false) add("", "lost", name + " cannot be reached: " + (name === "starshipit" ? "scans are queued." : "tracking numbers wait."));
  for (const kind of ["scanners", "buttons", "lights"]) {
    for (const d of s[kind] || []) if (["missing", "stuck"].includes(d.state)) add("", "lost", kind.slice(0, -1) + " " + d.name + " is " + d.state + (d.detail ? ": " + d.detail : ""));
  }
  const conflicts = (s.writebacks || {}).conflicts;
  if (conflicts) add("", "question", conflicts === 1 ? "One order has another tracking number in CartonCloud: see Outbox." : conflicts + " orders have other tracking numbers in CartonCloud: see Outbox.");
  $("troubles").replaceChildren(...all);
  $("troubles").hidden = all.length === 0;
  const w = s.writebacks || {};
  $("outbox-count").textContent = w.conflicts ? w.conflicts + " !" : w.pending || "";
}

function fact(name, value, cls, why) {
  const li = el("li");
  li.append(el("span", name), el("b", value, cls));
  if (why) li.append(el("span", why, "why"));
  return li;
}
// How far head and roll have run, of printers that count.
function worn(wear) {
  if (!wear) return "";
  const km = (m) => m >= 1000 ? (m / 1000).toFixed(1) + " km" : Math.round(m) + " m";
  const ran = [[wear.head_m, " with this head"], [wear.roll_m, " of this roll"]].filter(([m]) => typeof m === "number");
  return ran.length ? "It has run " + ran.map(([m, of]) => km(m) + of).join(", ") + "." : "";
}
function equipment(s) {
  const all = [];
  for (const p of s.printers || []) {
    const warned = (p.warnings || []).filter((w) => w !== p.detail).map((w) => w + ".");
    const why = [p.code && p.you, p.detail, ...warned, p.proof === "sent" && "no back channel: it cannot say whether a label came out", worn(p.wear)];
    const look = p.code ? "bad-text" : warned.length ? "look-text" : "good-text";
    all.push(fact("Printer " + p.name, p.code ? spaced(p.code).replace("printer ", "") : "ready", look, why.filter(Boolean).join(" ")));
  }
  const device = (name, d) => {
    const good = ["reading", "ready"].includes(d.state);
    all.push(fact(name, d.state, good ? "good-text" : "look-text", good ? "" : d.detail));
  };
  if (s.scale) device("Scale", s.scale);
  for (const [kind, name] of [["scanners", "Scanner "], ["buttons", "Button "], ["lights", "Light "]]) {
    for (const d of s[kind] || []) device(name + d.name, d);
  }
  $("equipment").replaceChildren(...(all.length ? all : [el("li", "none", "quiet")]));
}

function latency(l) {
  const names = { resolve: "Find the order", recheck: "Last look", buy: "Courier", render: "Draw", print: "Print", total: "Scan to label", live: "… bought at the scan", held: "… that lay ready" };
  const rows = Object.keys(names).filter((k) => l[k]).map((k) => {
    const tr = el("tr"), name = el("th", names[k]);
    name.scope = "row";
    tr.append(name, el("td", millis(l[k].p50)), el("td", millis(l[k].p95)));
    return tr;
  });
  $("latency").hidden = rows.length === 0;
  $("latency-rows").replaceChildren(...rows);
  $("latency-note").textContent = l.total ? "Of the last " + l.total.n + " scans that printed." : "Nothing was printed yet.";
}

function facts(s) {
  const w = s.writebacks || {}, ledger = s.ledger || {};
  const unused = s.unused || {}, money = ((unused.cents || 0) / 100).toFixed(2) + (unused.unpriced ? ", and " + unused.unpriced + " without a price" : "");
  const all = [
    fact("Under way", s.waiting || 0), fact("Queued", s.queued || 0), fact("Held labels", s.held || 0),
    ...(unused.labels ? [fact("Bought ahead and not used", unused.labels, "look-text", money)] : []),
    ...((s.prefetch || {}).code ? [fact("Bought ahead today", "limit reached", "look-text")] : []),
    fact("Tracking numbers on their way", w.pending ? w.pending + ", the oldest for " + span(w.oldest_s) : "0", w.oldest_s > 3600 ? "look-text" : ""),
    fact("Orders in the ledger", (ledger.orders || 0) + ", " + Math.round((ledger.bytes || 0) / 1048576 * 10) / 10 + " MiB"),
    fact("Version", s.version || ""),
  ];
  $("facts").replaceChildren(...all);
  const paused = s.state === "paused";
  $("pause").textContent = paused ? "Resume" : "Pause";
  $("pause").dataset.command = paused ? "RESUME" : "PAUSE";
}

// ---- the site's other benches -------------------------------------------------------------------

function peers(list) {
  $("site-tab").hidden = list.length === 0;
  const others = list.filter((p) => !p.own);
  const sick = others.filter((p) => p.trouble || p.state === "fault" || (p.writebacks || {}).conflicts || p.in_doubt);
  $("site-count").textContent = sick.length ? sick.length + " !" : "";
  const own = now.status && { ...now.status, own: true, in_doubt: (now.status.in_doubt || []).length, printers: (now.status.printers || []).filter((p) => p.code).map((p) => p.name + ": " + p.code) };
  redraw($("peers"), [own, ...others].filter(Boolean).map((p) => {
    const li = el("li", "", p.trouble ? "bad" : ""), title = el("h3");
    if (p.own) title.textContent = p.station + " (this bench)";
    else {
      const link = el("a", p.station || p.url);
      link.href = p.url;
      link.target = "_blank";
      link.rel = "noopener noreferrer";
      link.setAttribute("aria-label", (p.station || p.url) + ", opens its page");
      title.append(link);
    }
    const w = p.writebacks || {}, last = p.last_print || {};
    const list = el("ul", "", "facts");
    if (p.trouble) list.append(fact("No word", p.trouble, "bad-text", p.seen ? "what follows is from " + clockTime(p.seen) : ""));
    if (p.state) list.append(fact("State", p.state, STATES[p.state] === "good" ? "good-text" : "look-text", (p.printers || []).join(", ")));
    if (p.state) list.append(
      fact("Last print", last.at ? ago(last.at) + " ago" : "none", "", last.order),
      fact("Oldest tracking number on its way", w.pending ? span(w.oldest_s) : "none", w.oldest_s > 3600 ? "look-text" : ""),
      fact("Queued, held, in doubt", [p.queued, p.held, p.in_doubt].map((n) => n || 0).join(", "), p.in_doubt ? "look-text" : ""),
      fact("Version", p.version || "?", p.version && now.version && p.version !== now.version ? "look-text" : ""),
    );
    li.append(title, list);
    return li;
  }));
}
