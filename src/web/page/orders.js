// ---- orders.js: what waits, the last orders, the search, one order with its label ---------------

const LOOKS = { printed: "good", held: "good", printing: "", buying: "", pushing: "", replacing: "", cloning: "", known: "", cancelled: "" };
const ALL_STATES = ["known", "queued", "pushing", "buying", "held", "replacing", "cloning", "printing", "waiting-printer", "in-doubt", "printed", "refused", "expired", "cancelled"];
const live = (o) => (o.shipments || []).filter((s) => !s.superseded);
const numbers = (o) => live(o).flatMap((s) => s.tracking || []).join(", ");
const printedAt = (o) => (o.pages || []).filter((p) => p.proof).map((p) => p.at || "").sort().pop() || "";
const pill = (state) => el("span", spaced(state), "pill " + (state in LOOKS ? LOOKS[state] : "look"));

function row(o, acts = []) {
  const li = el("li"), text = el("span", "", "t"), tools = el("span", "", "a");
  const tracking = numbers(o);
  if (tracking) text.append(el("b", tracking), " ");
  text.append([live(o).map((s) => s.carrier).filter(Boolean)[0], printedAt(o) ? "printed " + clockTime(printedAt(o)) : clockTime(o.updated)].filter(Boolean).join(" · "));
  const add = (name, press) => { const b = button(name, press); b.setAttribute("aria-label", name + " " + o.order); tools.append(b); };
  for (const name of acts) add(ACTS[name].title === "Print the held label" ? "Print" : ACTS[name].title, () => actDialog(o, name));
  add("Open", () => openOrder(o.id));
  li.append(el("span", o.order, "n"), pill(o.state), text, tools);
  return li;
}
// What may be done to an order as it is.
function actsOf(o) {
  switch (o.state) {
    case "printed": return ["reprint", "next-parcel", "redo"];
    case "in-doubt": return ["reprint", "redo"];
    case "held": return ["release", "redo", "cancel"];
    case "queued": case "waiting-printer": return ["cancel"];
    default: return [];
  }
}

// Draws a list again without taking the focus out of it.
function redraw(list, rows) {
  const at = list.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  list.replaceChildren(...rows);
  if (at) [...list.querySelectorAll("button, a")].find((b) => b.getAttribute("aria-label") === at)?.focus();
}

async function waiting() {
  const s = now.status || {};
  const wanted = [];
  if ((s.in_doubt || []).length) wanted.push("in-doubt");
  if (s.held) wanted.push("held");
  if ((s.printers || []).some((p) => p.code)) wanted.push("waiting-printer");
  const found = [];
  for (const state of wanted) found.push(...await lines("/api/orders?limit=20&state=" + state));
  const known = new Set(found.map((o) => o.order));
  const acts = (s.acts || []).filter((a) => !known.has(a.order) && (a.queued || new Date(s.at) - new Date(a.at) > 2000)).map((a) => {
    const li = el("li"), text = el("span", "", "t"), tools = el("span", "", "a");
    const who = [a.user || a.trigger, "scanned " + clockTime(a.at), a.expires && "until " + clockTime(a.expires)];
    text.textContent = who.filter(Boolean).join(" · ");
    if (a.queued) {
      const name = a.order || a.scanned, drop = button("Drop", () => confirmDialog("Cancel: " + plain(name), ACTS.cancel.text, [], ACTS.cancel.go, () => { orderAct(name, "cancel", {}); return true; }));
      drop.setAttribute("aria-label", "Drop " + plain(name));
      tools.append(drop);
    }
    li.append(el("span", a.order || plain(a.scanned), "n"), pill(a.queued ? "queued" : "working"), text, tools);
    return li;
  });
  const rows = [...found.map((o) => row(o, o.state === "in-doubt" ? ["reprint"] : o.state === "held" ? ["release", "cancel"] : [])), ...acts];
  if (s.queued && (s.online || {}).starshipit !== false) {
    const li = el("li"), tools = el("span", "", "a");
    tools.append(button("RESUME: print them", () => command("RESUME")));
    li.append(el("span", "The network is back", "n"), el("span", "queued", "pill look"), el("span", "Each label comes behind a ticket with its order.", "t"), tools);
    rows.unshift(li);
  }
  redraw($("waiting"), rows);
  $("waiting-card").hidden = rows.length === 0;
}

async function recent() {
  const all = await lines("/api/orders?limit=10");
  redraw($("recent"), all.map((o) => row(o)));
  $("recent-none").hidden = all.length > 0;
}

// ---- the last label as a picture ----------------------------------------------------------------

let pictured = "";
async function picture() {
  const last = (now.status || {}).last_print;
  if (!last) return;
  const key = last.id + " " + last.at + " " + last.label;
  if (key === pictured) return;
  pictured = key;
  try {
    const src = await image(last.id, last.label);
    if (pictured !== key) return;
    $("caption").textContent = last.order + ", " + clockTime(last.at);
    $("picture").src = src;
    $("picture").alt = "Label of " + last.order;
    $("picture-open").hidden = false;
    $("picture-open").onclick = () => openOrder(last.id);
  } catch (error) {
    if (!(error instanceof Refused)) pictured = "";
    $("picture-open").hidden = true;
    $("caption").textContent = last.order + ": " + (error instanceof Refused ? error.message : "no picture");
  }
}
// As a data address: the page may load nothing but the station's own answers.
async function image(id, label) {
  const blob = await (await get("/api/orders/" + encodeURIComponent(id) + "/label.png?page=" + label, 30000)).blob();
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(blob);
  });
}

// ---- one order ----------------------------------------------------------------------------------

async function openOrder(id) {
  let o;
  try {
    o = await (await get("/api/orders/" + encodeURIComponent(id))).json();
  } catch (error) {
    show({ outcome: "refused", order: id, message: error.message });
    return;
  }
  const told = el("div"), pictures = el("div", "", "pictures"), tools = el("div", "", "buttons full");
  $("order-title").textContent = o.order;
  for (const name of actsOf(o)) { const b = el("button", ACTS[name].title + "…"); b.type = "button"; b.onclick = () => actDialog(o, name); tools.append(b); }
  if (o.state === "in-doubt") tools.prepend(button("YES, the label is there", () => { $("order-dialog").close(); answer(o.order, "printer-in-doubt", "YES"); }));
  const main = el("ul", "", "facts");
  main.append(fact("State", spaced(o.state)), fact("Account", o.account), fact("Reference", o.reference || "–"), fact("Ledger id", o.id));
  for (const s of o.shipments || []) main.append(fact(s.superseded ? "Replaced shipment" : "Shipment", (s.tracking || []).join(", ") || "no number yet", "", s.carrier));
  told.append(main);
  const section = (title, rows) => { if (rows.length) { const list = el("ul", "", "facts"); list.append(...rows); told.append(el("h3", title), list); } };
  section("Pages", (o.pages || []).map((p) => fact(p.n + " of " + p.of + " · " + p.role + " · " + p.printer, spaced(p.state), p.state === "printed" ? "good-text" : "look-text", [p.proof && "proof: " + p.proof, p.at && clockTime(p.at), p.by && "by " + p.by].filter(Boolean).join(" · "))));
  section("Tracking numbers on their way", (o.writebacks || []).map((w) => fact(w.sink, w.state, w.state === "done" ? "good-text" : "look-text", [w.where, w.why, w.theirs && "there stands " + w.theirs].filter(Boolean).join(" · "))));
  section("What was done", (o.deeds || []).slice(-12).reverse().map((d) => fact(spaced(d.what), clockTime(d.at), "", [d.user || d.trigger, d.reason && "because: " + d.reason].filter(Boolean).join(" · "))));
  $("order-body").replaceChildren(tools, told, pictures);
  if (!$("order-dialog").open) $("order-dialog").showModal();
  const labels = (o.pages || []).filter((p) => p.role === "label").length;
  for (let n = 1; n <= Math.min(labels, 12); n++) {
    const img = el("img");
    img.alt = "Label " + n + " of " + labels + " of " + o.order;
    try { img.src = await image(o.id, n); pictures.append(img); } catch (error) { pictures.append(el("p", error.message, "quiet")); break; }
    if (!$("order-dialog").open || $("order-title").textContent !== o.order) break;
  }
}

// ---- the search ---------------------------------------------------------------------------------

$("state-filter").append(...ALL_STATES.map((state) => { const option = el("option", spaced(state)); option.value = state; return option; }));
let after = "";
async function search(more) {
  const params = new URLSearchParams({ limit: "20" });
  if ($("q").value.trim()) params.set("q", $("q").value.trim());
  if ($("state-filter").value) params.set("state", $("state-filter").value);
  if (more && after) params.set("after", after);
  try {
    const all = await lines("/api/orders?" + params);
    const rows = all.map((o) => row(o, o.state === "printed" ? ["reprint"] : []));
    if (more) $("found").append(...rows); else $("found").replaceChildren(...rows);
    after = all.length === 20 ? all[all.length - 1].id : "";
    $("more").hidden = !after;
    const count = $("found").childElementCount;
    $("found-note").textContent = count ? count + (count === 1 ? " order" : " orders") + (after ? ", and more" : "") : "No order fits.";
  } catch (error) {
    $("found-note").textContent = error instanceof Refused ? error.message : "The station did not answer; search again.";
  }
}
$("search").onsubmit = (e) => { e.preventDefault(); search(false); };
$("more").onclick = () => search(true);
