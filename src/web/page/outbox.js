// ---- outbox.js: tracking numbers on their way, and conflicts to resolve -------------------------

async function outbox() {
  // Open ones come first; unsupported ones are among the newest.
  const all = (await lines("/api/writebacks?limit=200")).filter((w) => w.state !== "done");
  redraw($("outbox"), all.map((w) => {
    const li = el("li"), text = el("span", "", "t"), tools = el("span", "", "a");
    const conflict = w.state === "conflict";
    text.append(w.sink + ": ", el("b", (w.tracking || []).join(", ") || "no number yet"));
    if (w.theirs) text.append(", there stands ", el("b", w.theirs));
    text.append(" · for " + span(w.age_s) + (w.attempts ? ", tried " + (w.attempts === 1 ? "once" : w.attempts + " times") : "") + (w.why ? " · " + w.why : ""));
    const add = (name, press) => { const b = button(name, press); b.setAttribute("aria-label", name + ": " + w.order); tools.append(b); };
    const decide = (keep, what) => confirmDialog("Outbox: " + w.order, what, [], keep === "ours" ? "Keep ours" : "Keep theirs", () => { resolve(w, "resolve", { keep }); return true; });
    if (conflict) {
      add("Keep ours", () => decide("ours", "Our number " + (w.tracking || []).join(", ") + " replaces " + (w.theirs || "theirs") + "."));
      add("Keep theirs", () => decide("theirs", (w.theirs || "Their number") + " stays; ours is not written."));
    } else if (w.state !== "waiting") add("Try now", () => resolve(w, "retry", {}));
    li.append(el("span", w.order, "n"), el("span", w.state, "pill " + (conflict ? "bad" : w.state === "pending" ? "" : "look")), text, tools);
    return li;
  }));
  $("outbox-none").hidden = all.length > 0;
}

async function resolve(w, act, body) {
  try {
    const { document: d } = await post("/api/writebacks/" + encodeURIComponent(w.id) + "/" + act, body);
    if (d.code || d.outcome) show({ outcome: "refused", ...d, order: w.order, message: d.message || d.detail || d.title }, w.order);
  } catch {
    verdict("told", "NO ANSWER", "fault", "lost", { order: w.order, message: "The station did not answer; look at the outbox again." });
  }
  later();
}
