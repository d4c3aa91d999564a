// The bench page as people use it: a real browser, the built binary, the simulators.

import { after, afterEach, before, test } from "node:test";
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { PATIENCE, TOKEN, World, until } from "./world.mjs";

const require = createRequire(join(process.env.BROWSER_MODULES, "package.json"));
const { chromium } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const PICTURES = process.env.BROWSER_PICTURES || "";
const DESK = { width: 1280, height: 800 }, KIOSK = { width: 800, height: 480 }, PHONE = { width: 360, height: 740 };

let browser, world;
// What a page complained about: errors, and whatever its own policy stopped.
const complaints = [];

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium", headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"],
  });
  world = await World.start({ cartoncloud: true });
}, { timeout: 120_000 });
after(async () => {
  await browser?.close();
  await world?.stop();
}, { timeout: 120_000 });

// A test that failed leaves nothing behind that the next one could meet.
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  world.cable.mode = "whole";
});

async function page(options = {}, url = world.url) {
  const context = await browser.newContext({ viewport: DESK, locale: "en-AU", ...options });
  const opened = await context.newPage();
  opened.setDefaultTimeout(PATIENCE);
  opened.on("pageerror", (error) => complaints.push(String(error)));
  opened.on("console", (message) => {
    // The browser's own line for an answer that is an error; the page deals with those.
    if (message.type() === "error" && !/Failed to load resource|ERR_/.test(message.text())) complaints.push(message.text());
  });
  await context.addInitScript(() => {
    // What would be heard: the length of each tone.
    globalThis.heardTones = [];
    class Fake {
      state = "running"; currentTime = 0; destination = {};
      resume() {}
      createGain() { return { gain: {}, connect: (to) => to }; }
      createOscillator() { let at = 0; return { frequency: {}, connect: (to) => to, start: (when) => { at = when; }, stop: (when) => globalThis.heardTones.push(Math.round((when - at) * 1000)) }; }
    }
    globalThis.AudioContext = Fake;
  });
  if (process.env.PAGE_PARTS) await context.route((to) => to.pathname === "/", fromParts);
  await opened.goto(url);
  await until("the page's script runs", () => opened.evaluate(() => document.body.dataset.view || !document.getElementById("login").hidden));
  return opened;
}
// While working on the page: its parts as they lie in the source, without building the program.
async function fromParts(route) {
  const answer = await route.fetch();
  const parts = process.env.PAGE_PARTS, part = (name) => readFileSync(join(parts, name), "utf8");
  const nonce = /nonce-([0-9a-f]+)/.exec(answer.headers()["content-security-policy"])[1];
  const served = await answer.text(), data = (name) => new RegExp(`data-${name}="([^"]*)"`).exec(served)[1];
  const script = readFileSync(join(parts, "../page.rs"), "utf8").match(/[a-z]+\.js/g).map(part).join("");
  const fill = { style: part("page.css"), script, station: data("station"), prefix: data("prefix"), presets: data("presets"), nonce };
  await route.fulfill({ response: answer, body: part("page.html").replaceAll(/{{(\w+)}}/g, (_, name) => fill[name]) });
}
const word = (on) => on.locator("#word").textContent();
const says = (on, what, order) => until(`${what} ${order || ""}`, async () => {
  const now = await word(on), at = await on.locator("#order").textContent();
  if (now === what && (!order || at === order)) return true;
  throw new Error(`${now} ${at} ${await on.locator("#message").textContent()}`);
});
// As a keyboard scanner does it: wherever the cursor is, fast, then Enter.
async function scan(on, code) {
  await on.keyboard.type(code);
  await on.keyboard.press("Enter");
}
async function fresh(on) { await until("connected", () => on.locator("#state").textContent().then((t) => t && t !== "starting")); }
async function picture(on, name) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  await on.screenshot({ path: join(PICTURES, `${name}.png`) });
}
async function accessible(on, where) {
  await on.evaluate(AXE);
  const found = await on.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] });
    return violations.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) => `${v.id}: ${v.nodes.map((n) => n.target + " " + n.failureSummary).join("; ")}`);
  });
  assert.deepEqual(found, [], where);
}

test("a scan prints: word, shape, picture, tracking number", async () => {
  await world.order("WEB-1001");
  const on = await page();
  await says(on, "READY");
  assert.equal(await on.evaluate(() => document.activeElement.id), "code", "the scan box has the cursor");
  await scan(on, "WEB-1001");
  await says(on, "PRINTED", "WEB-1001");
  assert.equal(await on.locator("#symbol").getAttribute("href"), "#s-check");
  const [sale] = await world.sales();
  assert.match(await on.locator("#small").textContent(), new RegExp(sale.tracking?.[0] ?? sale.tracking_number ?? "proof"));
  await until("the label's picture", () => on.locator("#picture").evaluate((img) => img.complete && img.naturalWidth > 300));
  assert.equal(await on.locator("#picture").getAttribute("alt"), "Label of WEB-1001");
  await until("times of each stage", async () => (await on.locator("#latency-rows tr").count()) >= 4);
  await on.setViewportSize({ width: 1000, height: 640 });
  await picture(on, "printed");
});

test("a refusal says why and what next, and F10 reprints without buying", async () => {
  await world.order("WEB-1002");
  const on = await page();
  await scan(on, "WEB-9999");
  await says(on, "REFUSED", "WEB-9999");
  assert.equal(await on.locator("#symbol").getAttribute("href"), "#s-cross");
  assert.match(await on.locator("#small").textContent(), /order-not-found/);
  await scan(on, "WEB-1002");
  await says(on, "PRINTED", "WEB-1002");
  await new Promise((done) => setTimeout(done, 1600)); // scan.repeat_window
  await scan(on, "WEB-1002");
  await says(on, "REFUSED", "WEB-1002");
  await on.getByRole("button", { name: /^REPRINT ?F10/ }).waitFor();
  const sold = (await world.sales()).length;
  await on.keyboard.press("F10");
  await says(on, "PRINTED", "WEB-1002");
  assert.equal((await world.sales()).length, sold);
});

test("a reprint with a reason keeps the reason with the order", async () => {
  await world.order("WEB-1003");
  const on = await page();
  await scan(on, "WEB-1003");
  await says(on, "PRINTED", "WEB-1003");
  await on.locator("#recent").getByRole("button", { name: "Open WEB-1003" }).click();
  await on.locator("#order-dialog img").first().waitFor();
  await accessible(on, "order dialog");
  await picture(on, "order");
  await on.locator("#order-dialog").getByRole("button", { name: "Reprint…" }).click();
  await on.getByRole("button", { name: "damaged" }).click();
  await on.locator("#act-go").click();
  await until("the reason in the ledger", async () => {
    const order = await world.api("/api/orders/WEB-1003");
    return order.deeds.some((deed) => deed.what.includes("reprint") && deed.reason === "damaged");
  });
  await says(on, "PRINTED", "WEB-1003");
});

test("redo asks before it buys", async () => {
  const on = await page();
  const sold = (await world.sales()).length;
  await on.locator("#recent").getByRole("button", { name: "Open WEB-1003" }).click();
  await on.getByRole("button", { name: "Redo…" }).click();
  await on.locator("#act-dialog").getByRole("button", { name: "Back" }).click();
  assert.equal((await world.sales()).length, sold, "Back buys nothing");
  await on.locator("#recent").getByRole("button", { name: "Open WEB-1003" }).click();
  await on.getByRole("button", { name: "Redo…" }).click();
  await on.locator("#act-go").click();
  await until("a new shipment", async () => (await world.sales()).length === sold + 1);
  await says(on, "PRINTED");
});

test("what is missing is asked for, and typed in", async () => {
  await world.order("WEB-1004", { parcels: [null] });
  const on = await page();
  await scan(on, "WEB-1004");
  await says(on, "WEIGHT?", "WEB-1004");
  await picture(on, "weight");
  await on.locator("#ask").getByRole("textbox", { name: "Weight in kg" }).fill("1,25");
  await on.keyboard.press("Enter");
  await says(on, "PRINTED", "WEB-1004");
});

test("YES by key prints what was labelled elsewhere; NO leaves it", async () => {
  await world.order("WEB-1005", { printed: true });
  const on = await page();
  await scan(on, "WEB-1005");
  await says(on, "PRINT IT HERE?", "WEB-1005");
  await accessible(on, "question");
  await on.keyboard.press("F9");
  await until("the question is closed", () => on.locator("#ask").isHidden());
  await new Promise((done) => setTimeout(done, 1600)); // scan.repeat_window
  await scan(on, "WEB-1005");
  await says(on, "PRINT IT HERE?", "WEB-1005");
  await on.keyboard.press("F8");
  await says(on, "PRINTED", "WEB-1005");
});

test("in doubt: the page asks, also for the scanner beside it, and takes either answer", async () => {
  await world.order("WEB-1006");
  await world.order("WEB-1007");
  const on = await page();
  world.cable.mode = "cut";
  await scan(on, "WEB-1006");
  await says(on, "IN DOUBT", "WEB-1006");
  await picture(on, "in-doubt");
  await on.setViewportSize(KIOSK);
  for (const button of [on.getByRole("button", { name: /^YES, the label is there/ }), on.locator("#code")]) {
    const box = await button.boundingBox();
    assert.ok(box.y + box.height <= KIOSK.height, `in reach on a kiosk: ${JSON.stringify(box)}`);
  }
  await accessible(on, "question on a kiosk");
  await picture(on, "in-doubt-kiosk");
  await on.keyboard.press("F10");
  await says(on, "PRINTED", "WEB-1006");
  world.cable.mode = "cut";
  await world.gun("WEB-1007");
  await says(on, "IN DOUBT", "WEB-1007");
  await on.getByRole("button", { name: /^YES, the label is there/ }).click();
  await until("the ledger has it as printed", async () => (await world.api("/api/orders/WEB-1007")).state === "printed");
});

test("the printer needs a hand: blue, and on by itself", async () => {
  await world.order("WEB-1008");
  const on = await page();
  world.cable.mode = "empty";
  await scan(on, "WEB-1008");
  await says(on, "PRINTER");
  assert.match(await on.locator("#verdict").getAttribute("class"), /hand/);
  await on.locator("#troubles li").getByText("Put in a new roll").waitFor();
  await accessible(on, "printer out of labels");
  await picture(on, "printer");
  world.cable.mode = "whole";
  await says(on, "PRINTED", "WEB-1008");
});

test("Starshipit away: queued, listed, and released by RESUME", async () => {
  await world.order("WEB-1009");
  const on = await page();
  await world.admin("starshipit", "faults", { faults: ["reset:1"] });
  await scan(on, "WEB-1009");
  await says(on, "QUEUED", "WEB-1009");
  await on.locator("#waiting").getByText("WEB-1009").waitFor();
  await picture(on, "queued");
  await world.admin("starshipit", "faults", { faults: [] });
  await on.locator("#ask").getByRole("button", { name: "RESUME" }).click();
  await says(on, "PRINTED", "WEB-1009");
});

test("the connection is lost: loud, nothing typed is lost, and it comes back by itself", async () => {
  await world.order("WEB-1010");
  const on = await page();
  await fresh(on);
  await world.kill();
  await on.locator("#lost").waitFor();
  assert.match(await on.locator("#lost").textContent(), /NO CONNECTION/);
  assert.ok(await on.evaluate(() => document.body.classList.contains("stale")));
  await scan(on, "WEB-1010");
  await says(on, "NOT TAKEN", "WEB-1010");
  await on.locator("#unanswered-list").getByText("WEB-1010").waitFor();
  await picture(on, "lost");
  await world.run();
  await on.locator("#lost").waitFor({ state: "hidden" });
  assert.equal((await world.sales()).filter((s) => JSON.stringify(s).includes("WEB-1010")).length, 0);
  await on.getByRole("button", { name: "Send again: WEB-1010" }).click();
  await says(on, "PRINTED", "WEB-1010");
  assert.ok(await on.locator("#unanswered").isHidden());
});

test("two pages show the same bench", async () => {
  await world.order("WEB-1011");
  const one = await page(), two = await page({ viewport: PHONE, isMobile: true, hasTouch: true });
  await fresh(two);
  await scan(one, "WEB-1011");
  await says(two, "PRINTED", "WEB-1011");
  await says(one, "PRINTED", "WEB-1011");
});

test("keyboard only: views, search, an order, and back to the scan box", async () => {
  const on = await page();
  await fresh(on);
  await on.keyboard.press("F3");
  await on.keyboard.type("1011", { delay: 90 });
  await on.keyboard.press("Enter");
  await on.locator("#found").getByText("WEB-1011").waitFor();
  // By Tab alone to the order's Open button.
  await until("Tab reaches Open", async () => {
    await on.keyboard.press("Tab");
    return (await on.evaluate(() => document.activeElement.getAttribute("aria-label"))) === "Open WEB-1011";
  });
  await on.keyboard.press("Enter");
  await on.locator("#order-dialog[open] img").first().waitFor();
  await on.keyboard.press("Escape");
  await on.keyboard.press("F2");
  assert.equal(await on.evaluate(() => document.activeElement.id), "code");
  assert.equal(await on.evaluate(() => document.body.dataset.view), "bench");
});

test("a keyboard scan over a dialog is a scan and no reason", async () => {
  await world.order("WEB-1012");
  const on = await page();
  await on.locator("#recent").getByRole("button", { name: "Open WEB-1011" }).click();
  await on.getByRole("button", { name: "Reprint…" }).click();
  await on.locator("#act-reason").fill("smu");
  await on.locator("#act-reason").focus();
  await scan(on, "WEB-1012");
  await says(on, "PRINTED", "WEB-1012");
  assert.ok(!(await on.locator("#act-dialog").evaluate((d) => d.open)));
  const order = await world.api("/api/orders/WEB-1011");
  assert.ok(!order.deeds.some((deed) => (deed.reason || "").includes("WEB-1012")));
});

test("sounds are the buzzer's patterns, and off until somebody wants them", async () => {
  const on = await page();
  await scan(on, "WEB-9998");
  await says(on, "REFUSED", "WEB-9998");
  assert.deepEqual(await on.evaluate(() => globalThis.heardTones), []);
  await on.locator("#sound").click();
  await on.evaluate(() => { globalThis.heardTones.length = 0; });
  await scan(on, "WEB-9997");
  await says(on, "REFUSED", "WEB-9997");
  await until("S S S", async () => JSON.stringify(await on.evaluate(() => globalThis.heardTones)).endsWith("60,60,60]"));
});

test("another number in CartonCloud is shown beside ours, and a person decides", async () => {
  const { orders } = await world.admin("cartoncloud", "orders");
  const known = new Set(orders.map((o) => o.reference));
  await world.admin("cartoncloud", "orders", { reference: "SO-77", customer: "TEA" });
  assert.ok(!known.has("SO-77"));
  await world.admin("cartoncloud", "orders/SO-77/status", { status: "PACKED" });
  await until("it is in Starshipit", async () => JSON.stringify(await world.admin("starshipit", "orders")).includes("SO-77"));
  await world.admin("cartoncloud", "orders/SO-77/properties", { carrierTrackingNumberField: "THEIRS-<b>1</b>" });
  const on = await page();
  await scan(on, "SO-77");
  await says(on, "PRINTED", "SO-77");
  await until("the conflict is counted", async () => (await on.locator("#outbox-count").textContent()) === "1 !");
  await on.keyboard.press("F4");
  await on.locator("#outbox").getByText("THEIRS-<b>1</b>").waitFor();
  await accessible(on, "outbox");
  await picture(on, "outbox");
  await on.getByRole("button", { name: "Keep theirs: SO-77" }).click();
  await on.locator("#act-go").click();
  await until("it is resolved", async () => (await world.api("/api/status")).writebacks.conflicts === 0);
});

test("text from outside stays text", async () => {
  const evil = "<img src=x onerror=alert(1)>";
  await world.order("WEB-<b>13", { reference: evil });
  const on = await page();
  let alerted = false;
  on.on("dialog", (dialog) => { alerted = true; dialog.dismiss(); });
  await scan(on, "<img src=y onerror=alert(2)>");
  await says(on, "REFUSED", "<img src=y onerror=alert(2)>");
  await scan(on, "WEB-<b>13");
  await says(on, "PRINTED", "WEB-<b>13");
  await on.locator("#recent").getByRole("button", { name: "Open WEB-<b>13" }).click();
  await on.locator("#order-dialog").getByText(evil).waitFor();
  assert.equal(await on.locator("#order-dialog b > *, #verdict b").count(), 0);
  assert.ok(!alerted);
});

for (const [name, viewport, more] of [["desk", DESK, {}], ["kiosk", KIOSK, {}], ["phone", PHONE, { isMobile: true, hasTouch: true }]]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`${name}, ${colorScheme}: everything in reach, nothing cut off, no serious finding`, async () => {
      const on = await page({ viewport, colorScheme, ...more });
      await fresh(on);
      await until("the picture", () => on.locator("#picture").evaluate((img) => img.naturalWidth > 0));
      for (const view of ["bench", "orders", "outbox"]) {
        await on.locator(`nav [data-view=${view}]`).click();
        if (view === "orders") await on.locator("#found li").first().waitFor();
        const [wide, room] = await on.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
        assert.ok(wide <= room, `${view} is ${wide} wide in ${room}`);
        await accessible(on, `${name} ${colorScheme} ${view}`);
        await picture(on, `${name}-${colorScheme}-${view}`);
      }
      await on.locator("nav [data-view=bench]").click();
      if (name === "kiosk") {
        for (const id of ["word", "code", "picture"]) {
          const box = await on.locator(`#${id}`).boundingBox();
          assert.ok(box.y >= 0 && box.y + box.height <= viewport.height, `${id} without scrolling: ${JSON.stringify(box)}`);
        }
      }
      if (name !== "phone") assert.ok((await on.locator("#word").evaluate((e) => parseFloat(getComputedStyle(e).fontSize))) >= 48);
    });
  }
}

test("reduced motion: nothing moves", async () => {
  const on = await page({ reducedMotion: "reduce" });
  await on.evaluate(() => document.getElementById("verdict").classList.add("working"));
  assert.equal(await on.locator("#verdict .symbol").evaluate((e) => getComputedStyle(e).animationName), "none");
});

test("the site's other benches on one page; another machine's page asks for the token first", async (t) => {
  const here = Object.values(networkInterfaces()).flat().find((i) => i.family === "IPv4" && !i.internal)?.address;
  if (!here) return t.skip("this machine has only loopback");
  const two = await World.start({ name: "bench-2", host: here });
  const silent = "http://127.0.0.1:9";
  const three = await World.start({ name: "bench-3", web: `peers = ["${two.url}", "${silent}"]` });
  try {
    await two.order("WEB-2001");
    const far = await page({}, two.url);
    await far.locator("#token").fill("wrong");
    await far.keyboard.press("Enter");
    await far.getByText("This is not the station's token.").waitFor();
    await far.locator("#token").fill(TOKEN);
    await far.keyboard.press("Enter");
    await says(far, "READY");
    await scan(far, "WEB-2001");
    await says(far, "PRINTED", "WEB-2001");
    const on = await page({}, three.url);
    await on.locator("#site-tab").click();
    await on.locator("#peers").getByText("WEB-2001").waitFor();
    await on.locator("#peers").getByText("does not answer").waitFor();
    await accessible(on, "site");
    await picture(on, "site");
  } finally {
    await three.stop();
    await two.stop();
  }
});

test("no page complained", () => assert.deepEqual(complaints, []));
