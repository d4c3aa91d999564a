"use strict";
// ---- base.js: elements, words, requests -------------------------------------------------------
// Everything from outside becomes text (textContent, attributes), never markup.

const $ = (id) => document.getElementById(id);
const prefix = document.body.dataset.prefix;
const presets = document.body.dataset.presets.split("\n").filter(Boolean);

function el(name, text, cls) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null && text !== "") made.textContent = text;
  if (cls) made.className = cls;
  return made;
}
function button(text, press, key) {
  const made = el("button", text);
  made.type = "button";
  if (key) { made.append(" ", el("kbd", key)); made.dataset.key = key; }
  made.onclick = () => { press(); home(); };
  return made;
}
function shape(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "symbol");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", "#s-" + name);
  svg.append(use);
  return svg;
}

// What a person set on this browser; a browser that keeps nothing loses nothing else.
const kept = {
  get(key) { try { return localStorage.getItem("printstation-" + key) || ""; } catch { return ""; } },
  set(key, value) { try { localStorage.setItem("printstation-" + key, value); } catch { /* not kept */ } },
};
const user = () => kept.get("user");

// The scan box has the cursor, except on a touch screen, where that would open the keyboard.
const hasMouse = matchMedia("(pointer: fine)").matches;
function home() {
  if (hasMouse && !$("bench").hidden && !document.querySelector("dialog[open]")) $("code").focus({ preventScroll: true });
}

function clockTime(at) {
  const date = new Date(at);
  if (!at || isNaN(date)) return "";
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  return Math.abs(Date.now() - date) < 72000000 ? time : date.toLocaleDateString([], { day: "numeric", month: "short" }) + " " + time;
}
function span(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 60) return Math.max(0, Math.round(seconds)) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  if (seconds < 172800) return Math.round(seconds / 3600) + " h";
  return Math.round(seconds / 86400) + " days";
}
const ago = (at) => { const date = new Date(at); return isNaN(date) ? "" : span((Date.now() - date) / 1000); };
const millis = (ms) => ms < 1000 ? ms + " ms" : (ms / 1000).toFixed(1) + " s";
const spaced = (word) => String(word || "").replaceAll("-", " ");
// The prefix is for scanners; people read the name of the barcode.
const plain = (text) => {
  const bare = prefix ? String(text || "").replaceAll(prefix, "") : String(text || "");
  return bare.replace(/-(?= or |$)/g, "-…");
};

class Refused extends Error {}

// A request with a deadline. An answer that is no JSON is an error like none at all.
async function get(path, patience = 15000) {
  const answer = await fetch(path, { credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(patience) });
  if (answer.status === 401) location.reload();
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new Refused(told.detail || told.title || "The station answered " + answer.status + ".");
  }
  return answer;
}
const lines = async (path) => (await (await get(path)).text()).split("\n").filter(Boolean).map((line) => JSON.parse(line));

async function post(path, body) {
  const send = () => fetch(path, {
    method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json" },
    body: JSON.stringify(user() ? { ...body, user: user() } : body), signal: AbortSignal.timeout(30000),
  });
  let answer = await send();
  if (answer.status === 401) {
    // The station has started anew and knows no sessions of before; on its own machine the page gives one.
    await fetch("/", { credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(5000) });
    answer = await send();
    if (answer.status === 401) throw new Refused("login");
  }
  return { status: answer.status, document: await answer.json() };
}
