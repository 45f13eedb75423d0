// What the browser tests share: a browser, pages that watch what they load,
// and the API for preparing and checking.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { randomUUID } from "node:crypto";
import { chromium } from "playwright-core";
import { expand, find, known, parseCaptures } from "../playground/src/captures.js";

export const baseUrl = process.env.PURSER_URL.replace(/\/$/, "");
export const token = process.env.PURSER_TOKEN;
const screenshots = process.env.PURSER_TEST_SCREENSHOTS;
const patience = 60_000;

/** A test that cannot hang: a browser that stops answering fails it. */
export const scenario = (name, body) => test(name, { timeout: 180_000 }, body);

/** Starts a browser with a profile of its own; its close() removes both. */
export function openBrowser() {
  return chromium.launch({
    executablePath: process.env.PURSER_TEST_CHROMIUM || "/usr/bin/chromium",
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/**
 * Opens a page in a window with storage of its own. It keeps every console
 * error, uncaught error, policy violation and request to another host in
 * page.trouble.
 */
export async function openPage(browser, path = "/", options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, ...options });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  page.trouble = [];
  const host = new URL(baseUrl).host;
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (!["data:", "blob:", "about:"].includes(url.protocol) && url.host !== host) page.trouble.push(`request to ${url}`);
  });
  page.on("websocket", (socket) => {
    if (new URL(socket.url()).host !== host) page.trouble.push(`socket to ${socket.url()}`);
  });
  page.on("pageerror", (error) => page.trouble.push(`uncaught ${error}`));
  page.on("console", (message) => {
    // Chromium reports violations of the policy here as errors too.
    if (message.type() === "error") page.trouble.push(`console: ${message.text()} (${message.location().url})`);
  });
  await page.goto(new URL(path, baseUrl).href);
  await page.bringToFront();
  return page;
}

/** Fills in a hosted page's form with a card of this number. */
export async function fillCard(page, number) {
  await page.locator("input[name=number]").fill(number);
  await page.locator("input[name=expiry]").fill("12 / 34");
  await page.locator("input[name=cvc]").fill("123");
  await page.locator("input[name=name]").fill("Ada Lovelace");
}

/** Fails when anything was noted on the page since it was opened. */
export function assertQuiet(page) {
  assert.deepEqual(page.trouble, []);
}

/** Fails when the page can be scrolled sideways. */
export async function assertNoSideways(page) {
  const { content, view } = await page.evaluate(() => ({ content: document.documentElement.scrollWidth, view: document.documentElement.clientWidth }));
  assert.ok(content <= view, `the page is ${content} pixels wide in a window of ${view}`);
}

/** Waits until check() gives something true and returns it. */
export async function until(what, check) {
  const end = Date.now() + patience;
  for (;;) {
    const value = await check();
    if (value) return value;
    assert.ok(Date.now() < end, `timed out waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export async function screenshot(page, name) {
  if (!screenshots) return;
  await mkdir(screenshots, { recursive: true });
  await page.screenshot({ path: join(screenshots, `${name}.png`) });
}

/** Runs one operation over HTTP; fails on GraphQL errors. */
export async function run(query, variables = {}) {
  const response = await fetch(`${baseUrl}/graphql`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json", Accept: "application/graphql-response+json" },
    body: JSON.stringify({ query, variables }),
  });
  const answer = await response.json();
  assert.equal(answer.errors, undefined, JSON.stringify(answer.errors));
  return answer;
}

/** Every list of userErrors in an answer must be empty. */
export function assertNoUserErrors(value) {
  if (Array.isArray(value)) value.forEach(assertNoUserErrors);
  else if (value !== null && typeof value === "object") {
    for (const [key, child] of Object.entries(value)) {
      if (key === "userErrors") assert.deepEqual(child, [], JSON.stringify(value));
      else assertNoUserErrors(child);
    }
  }
}

/** What the server tells the page: {endpoint, token, version, tabs}. */
export async function pageConfig() {
  const response = await fetch(`${baseUrl}/playground/config.json`);
  return response.json();
}

/** Runs example tabs over HTTP, handing values on as the page does. */
export class Flow {
  values = known(baseUrl, new Date());

  constructor(tabs) {
    this.tabs = tabs;
  }

  /** Runs the tab with this number and returns its data. */
  async tab(number) {
    const { query, variables } = this.tabs.find(({ name }) => name.startsWith(`${number} `));
    const lookup = (name) => (name === "uuid" ? randomUUID() : (this.values[name] ?? assert.fail(`no value for ${name}`)));
    const answer = await run(query, expand(JSON.parse(variables || "{}"), lookup));
    assertNoUserErrors(answer);
    for (const { name, path } of parseCaptures(query)) {
      this.values[name] = find(answer, path);
    }
    return answer.data;
  }

  /** Runs the tabs with these numbers in order and returns the last one's data. */
  async through(...numbers) {
    let data;
    for (const number of numbers) data = await this.tab(number);
    return data;
  }
}
