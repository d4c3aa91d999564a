// ---- ask.js: what may be done next, as buttons --------------------------------------------------

const ENTRY = { "WEIGHT-": "Weight in kg", "BOX-": "Packaging", "COURIER-": "Courier or courier:service", "PARCELS-": "Parcels" };
// `answered`: the question that was answered here and that the status may still name.
const open = { question: false, closing: 0, order: "", key: "", answered: "" };
const keyOf = (d) => (d.order || "") + " " + (d.code || "");

function closeAsk() {
  clearTimeout(open.closing);
  open.question = false;
  open.order = "";
  $("ask").hidden = true;
  $("offers").replaceChildren();
  if (shown.kind === "asked") shown.kind = "told";
  sounding("");
}

// `d`: a scan document, or the question of the status. A command belongs to whoever scanned: for the
// question of another scanner the page scans the order itself first, and answers its own question.
function ask(d) {
  const asks = d.outcome === "question";
  // Scans that queued while the network was gone: no question of anybody's.
  const release = asks && !d.order && !d.code && (d.next || "").endsWith("RESUME");
  const names = prefix ? (d.next || "").split(" or ").filter((n) => n.startsWith(prefix)).map((n) => n.slice(prefix.length)) : [];
  const own = d.trigger === undefined || d.trigger === null || d.trigger === "page" && (d.user || "") === user();
  const done = () => { open.answered = keyOf(d); closeAsk(); };
  const say = (name) => {
    done();
    if (own || !d.order || name === "RESUME") command(name);
    else answer(d.order, d.code, name);
  };
  const offers = [];
  for (const name of names) {
    if (name === "ORDER-") for (const c of d.candidates || []) offers.push(button(c.account + ": " + c.id, () => { closeAsk(); command("ORDER-" + c.id); }));
    else if (name === "YES") {
      offers.push(button(d.code === "printer-in-doubt" ? "YES, the label is there" : "YES", () => say("YES"), "F8"));
      if (asks && d.code !== "printer-in-doubt") offers.push(button("NO", () => own ? say("NO") : done(), "F9"));
    }
    else if (name === "REPRINT") {
      const act = () => { done(); if (d.order) orderAct(d.order, "reprint", {}); else command(name); };
      offers.push(button(d.code === "printer-in-doubt" ? "REPRINT, it is not" : "REPRINT", act, "F10"));
      if (d.order && !asks) offers.push(button("REPRINT with a reason…", () => { closeAsk(); dialogFor(d.order, "reprint"); }));
    }
    else if (name === "NEXT-PARCEL" && d.order) offers.push(button(name, () => { closeAsk(); dialogFor(d.order, "next-parcel"); }));
    else if (name.endsWith("-")) offers.push(entry(name, say));
    else offers.push(button(name, () => say(name)));
  }
  closeAsk();
  if (!offers.length) return;
  if (asks && !release) shown.kind = "asked";
  open.answered = "";
  open.question = asks && !release;
  open.order = d.order || "";
  $("question").textContent = release ? "The network is back. Print what was queued?" : (d.order ? d.order + ": " : "") + (asks && d.code === "printer-in-doubt" ? "did the label come out?" : "what next?");
  $("offers").replaceChildren(...offers);
  $("ask").hidden = false;
  if (asks && !release) sounding("question");
  // A question lasts 30 s; what a refusal offers, a minute. The release after an outage stays.
  const lasts = asks ? (d.left_s ?? 30) * 1000 : 60000;
  if (!release) open.closing = setTimeout(() => { closeAsk(); later(); }, lasts);
}

// An entry for what is missing: weight, packaging, courier, parcels.
function entry(name, say) {
  const form = el("form", "", "entry"), label = el("label", ENTRY[name] || name);
  const list = name === "BOX-" && presets.length > 0;
  const input = el(list ? "select" : "input");
  input.id = "entry-" + name + Math.random().toString(36).slice(2, 8);
  label.htmlFor = input.id;
  if (list) input.append(...presets.map((preset) => el("option", preset)));
  else {
    input.autocomplete = "off";
    input.maxLength = 60;
    if (name === "WEIGHT-") input.inputMode = "decimal";
    if (name === "PARCELS-") input.inputMode = "numeric";
  }
  const send = el("button", "OK");
  send.setAttribute("aria-label", "Send: " + (ENTRY[name] || name));
  form.append(label, input, send);
  form.onsubmit = (e) => {
    e.preventDefault();
    const text = input.value.trim().replace(",", ".");
    if (text) say(name + text);
    if (!list) input.value = "";
    home();
  };
  return form;
}
for (const name of Object.keys(ENTRY)) $("for-next").append(entry(name, (text) => command(text)));

// The order again from here, so that its question is the page's, then the answer.
async function answer(order, code, name) {
  verdict("working", "WORKING", "", "work", { order, message: "Asking again, to answer from this page." });
  const asked = await send("/api/scan?wait=15s", { code: order }, order);
  if (!asked) return;
  if (asked.outcome === "question" && asked.code === code) command(name);
  else show(asked, order);
}

// ---- the dialog before an act -----------------------------------------------------------------

const ACTS = {
  reprint: { title: "Reprint", text: "The same label again. Nothing is bought.", go: "Reprint", reason: true },
  redo: { title: "Redo", text: "Buys a new shipment in place of the old one: new label, new tracking number. The old one is archived in Starshipit; its courier may still bill it.", go: "Buy a new shipment", reason: true },
  "next-parcel": { title: "Next parcel", text: "Buys one more parcel for this order.", go: "Buy one more parcel" },
  release: { title: "Print the held label", text: "The label is bought already; it is printed now.", go: "Print" },
  cancel: { title: "Cancel", text: "Drops what is pending for this order. What is bought already stays bought: its courier may still bill it.", go: "Drop it" },
};
const REASONS = ["damaged", "smudged", "lost", "wrong parcel", "printer fault"];

async function dialogFor(reference, name) {
  try {
    actDialog(await (await get("/api/orders/" + encodeURIComponent(reference))).json(), name);
  } catch (error) {
    show({ outcome: "refused", order: reference, message: error.message });
  }
}
function actDialog(o, name) {
  const act = ACTS[name], fields = [];
  let reason = null;
  if (act.reason) {
    const label = el("label", "Why (kept with the order)");
    reason = el("input");
    reason.id = "act-reason";
    reason.maxLength = 200;
    reason.autocomplete = "off";
    label.htmlFor = reason.id;
    const chips = el("div", "", "buttons");
    chips.append(...REASONS.map((word) => { const chip = el("button", word); chip.type = "button"; chip.onclick = () => { reason.value = word; reason.focus(); }; return chip; }));
    fields.push(label, reason, chips);
  }
  const labels = (o.pages || []).filter((p) => p.role === "label").length;
  const boxes = [];
  if (name === "reprint" && labels > 1) {
    const set = el("fieldset");
    set.append(el("legend", "Which labels"));
    for (let n = 1; n <= labels; n++) {
      const box = el("input"), label = el("label");
      box.type = "checkbox";
      box.checked = true;
      box.value = n;
      boxes.push(box);
      label.append(box, n + " of " + labels);
      set.append(label);
    }
    fields.push(set);
  }
  confirmDialog(act.title + ": " + o.order, act.text, fields, act.go, () => {
    const body = {};
    if (reason && reason.value.trim()) body.reason = reason.value.trim();
    const chosen = boxes.filter((box) => box.checked).map((box) => Number(box.value));
    if (boxes.length && !chosen.length) return false;
    if (chosen.length < boxes.length) body.parcels = chosen;
    if (name === "redo") body.confirm = true;
    orderAct(o.id, name, body, o.order);
    return true;
  });
  if (reason) reason.focus();
}

function confirmDialog(title, text, fields, go, then) {
  $("order-dialog").close();
  $("act-title").textContent = title;
  $("act-text").textContent = text;
  $("act-fields").replaceChildren(...fields);
  $("act-go").textContent = go;
  $("act-form").onsubmit = (e) => { if (then()) setTimeout(home); else e.preventDefault(); };
  $("act-dialog").showModal();
  $("act-go").focus();
}
for (const close of document.querySelectorAll("[data-close]")) close.onclick = () => { close.closest("dialog").close(); home(); };
