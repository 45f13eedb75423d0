// The playground in a real browser.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { assertNoSideways, assertNoUserErrors, assertQuiet, baseUrl, fillCard, openBrowser, openPage, pageConfig, run, scenario, screenshot, token, until } from "./harness.mjs";

let browser;
let config;
let tabs;
before(async () => {
  browser = await openBrowser();
  config = await pageConfig();
  tabs = config.tabs;
});
after(() => browser?.close());

const tokenField = (page) => page.getByLabel("Access token");
const status = (page) => page.locator("#token-status");
const play = (page) => page.locator(".graphiql-execute-button");
const tabButtons = (page) => page.locator(".graphiql-tab-button");

async function connect(page) {
  await tokenField(page).fill(token);
  await tokenField(page).press("Enter");
  await until("the page is connected", async () => (await status(page).textContent()) === "Connected");
}

/** The text of the answer pane; the editor draws only what is in view. */
const answerText = (page) => page.evaluate(() => document.querySelector(".result-window .CodeMirror").CodeMirror.getValue());

/** Presses play on the current tab and returns the answer. */
async function press(page) {
  const answered = page.waitForResponse((response) => response.url() === `${baseUrl}/graphql`);
  await play(page).click();
  await answered;
  return JSON.parse(await until("an answer is shown", () => answerText(page)));
}

/** Opens the invoice's page by its link and pays it with a card of which the bank asks. */
async function payOnPage(page) {
  const opened = page.context().waitForEvent("page");
  await page.locator('.purser-link[data-name="hostedUrl"]').click();
  const invoice = await opened;
  await fillCard(invoice, "4000 0027 6000 3184");
  await invoice.locator("form:has(input[name=number]) button[type=submit]").first().click();
  await invoice.locator("#complete").click();
  await invoice.getByText(/^Paid/).first().waitFor();
  await invoice.close();
}

scenario("the page loads from its own host only, without errors", async () => {
  const page = await openPage(browser);
  await tabButtons(page).first().waitFor();
  await connect(page);
  assert.deepEqual(await tabButtons(page).allTextContents(), tabs.map(({ name }) => name));
  // Documentation, history and both dialogs add elements and styles of their own.
  await page.getByLabel("Show Documentation Explorer").click();
  await page.locator(".graphiql-doc-explorer").getByText("Query", { exact: false }).first().waitFor();
  await screenshot(page, "playground-docs");
  await page.getByLabel("Show History").click();
  for (const name of ["Open short keys dialog", "Open settings dialog"]) {
    await page.getByLabel(name).click();
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  }
  await page.locator(".graphiql-query-editor .CodeMirror").click();
  await page.keyboard.press("Control+End");
  await page.keyboard.press("Control+Space");
  assertQuiet(page);
  await page.context().close();
});

scenario("the keyboard leaves the editors", async () => {
  const page = await openPage(browser);
  await tabButtons(page).first().waitFor();
  for (const key of ["Tab", "Shift+Tab"]) {
    const editor = page.locator(".graphiql-query-editor .CodeMirror");
    await editor.click();
    const text = () => editor.evaluate((element) => element.CodeMirror.getValue());
    const before = await text();
    await page.keyboard.press(key);
    assert.equal(await editor.evaluate((element) => element.contains(document.activeElement)), false, `${key} stays in the editor`);
    assert.equal(await text(), before);
  }
  await page.context().close();
});

scenario("the token field holds what the server prefills", async () => {
  const page = await openPage(browser);
  await tabButtons(page).first().waitFor();
  assert.equal(await tokenField(page).inputValue(), config.token);
  const expected = config.token === "" ? "No access token" : "Connected";
  await until(`the page says “${expected}”`, async () => (await status(page).textContent()) === expected);
  await page.context().close();
});

scenario("the answer's headers are strict", async () => {
  const response = await fetch(`${baseUrl}/`);
  const policy = response.headers.get("content-security-policy");
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe|https?:|\*/);
  assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  assert.equal(response.headers.get("referrer-policy"), "no-referrer");
});

scenario("the policy stops inline script and foreign hosts", async () => {
  const page = await openPage(browser);
  await tabButtons(page).first().waitFor();
  await page.evaluate(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.effectiveDirective));
    const script = document.createElement("script");
    script.textContent = "window.inlineScriptRan = true";
    document.head.append(script);
    const style = document.createElement("style");
    style.textContent = "body { display: none }";
    document.head.append(style);
    fetch("https://example.invalid/").catch(() => {});
  });
  await until("three violations are seen", () => page.evaluate(() => window.violations.length >= 3));
  const seen = await page.evaluate(() => ({ violations: window.violations.sort(), ran: window.inlineScriptRan === true, display: getComputedStyle(document.body).display }));
  assert.deepEqual(seen, { violations: ["connect-src", "script-src-elem", "style-src-elem"], ran: false, display: "block" });
  await page.context().close();
});

scenario("the token stays in the session and a wrong one is said to be wrong", async () => {
  const page = await openPage(browser);
  await tabButtons(page).first().waitFor();
  await tokenField(page).fill("pur_demo_nobody_0000");
  await until("the token is refused", async () => (await status(page).textContent()) === "Token refused");
  await tokenField(page).fill("");
  await until("the page asks for a token", async () => (await status(page).textContent()) === "No access token");
  await connect(page);
  await until("the old complaint is gone", async () => (await answerText(page)) === "");
  const kept = await page.evaluate(() => ({ local: JSON.stringify({ ...localStorage }), session: JSON.stringify({ ...sessionStorage }), cookies: document.cookie }));
  assert.ok(kept.session.includes(token));
  assert.ok(!kept.local.includes(token), "the token is in localStorage");
  assert.equal(kept.cookies, "");
  await page.reload();
  await tabButtons(page).first().waitFor();
  assert.equal(await tokenField(page).inputValue(), token);
  assert.equal(await tokenField(page).getAttribute("type"), "password");
  await page.context().close();
});

scenario("the example tabs run in order, by pressing play", async () => {
  const page = await openPage(browser);
  await tabButtons(page).first().waitFor();
  await connect(page);
  const count = await tabButtons(page).count();
  assert.equal(count, tabs.length);
  for (let index = 0; index < count; index++) {
    const { name, query } = tabs[index];
    if (index === 0) await tabButtons(page).first().click();
    else await page.getByRole("button", { name: `Next: ${name}` }).click();
    if (/^subscription /m.test(query)) {
      const opened = page.waitForEvent("websocket");
      await play(page).click();
      const socket = await opened;
      await until("the stream is subscribed", () => page.locator(".graphiql-execute-button[aria-label^='Stop']").count());
      // Usage is recorded again until the stream, which opens in its own time, tells of it.
      const usage = tabs.find((tab) => tab.name.startsWith("11 "));
      const values = await page.evaluate(() => JSON.parse(localStorage.getItem("purser:values")));
      await until("the stream tells of new usage", async () => {
        assertNoUserErrors(await run(usage.query, { payerId: values.payerId, key: crypto.randomUUID() }));
        return (await answerText(page)).includes("remaining");
      });
      await screenshot(page, "playground-live");
      const closed = socket.waitForEvent("close");
      await play(page).click();
      await closed;
      continue;
    }
    let answer = await press(page);
    // Clocks and the gateway's events take their time: the tabs say to run them again.
    const arrived = {
      21: ({ organization }) => organization.clockUntil === null,
      23: ({ organization }) => organization.clockUntil === null,
      24: ({ node }) => node.status === "PAID",
    }[name.split(" ")[0]];
    if (arrived) await until(`${name} shows what it is about`, async () => arrived(answer.data) || ((answer = await press(page)), false));
    assert.equal(answer.errors, undefined, `${name}: ${JSON.stringify(answer.errors)}`);
    assertNoUserErrors(answer);
    assert.equal(await page.locator(".purser-chip-missing").count(), 0, `${name} did not capture what it promises`);
    if (name.startsWith("3 ")) assert.equal(await page.locator('.purser-link[data-name="pdfUrl"]').count(), 1);
    if (name.startsWith("6 ")) assert.equal(answer.data.invoicePay.invoice.status, "PAID");
    if (name.startsWith("7 ")) assert.equal(answer.data.invoicePay.payment.status, "FAILED");
    if (name.startsWith("8 ")) assert.equal(answer.data.invoicePay.payment.status, "REQUIRES_ACTION");
    if (name.startsWith("14 ")) assert.equal(answer.data.holdCapture.hold.status, "CAPTURED");
    if (name.startsWith("15 ")) assert.equal(answer.data.usageRecord.balance.remaining.amount, "4.99");
    if (name.startsWith("16 ")) assert.equal(answer.data.creditLimitSet.balance.payer.canSpend.reason, "CREDIT_LIMIT_EXCEEDED");
    if (name.startsWith("23 ")) await payOnPage(page);
    if (name.startsWith("25 ")) assert.equal(answer.data.creditNoteCreate.creditNote.refunds[0].status, "SUCCEEDED");
    await screenshot(page, `playground-tab-${String(index + 1).padStart(2, "0")}`);
  }
  assertQuiet(page);

  // After a reload the same tabs are there, none added, and values are kept.
  await page.reload();
  await tabButtons(page).first().waitFor();
  assert.deepEqual(await tabButtons(page).allTextContents(), tabs.map(({ name }) => name));
  await page.context().close();
});

scenario("a tab run too early says which one comes first", async () => {
  const page = await openPage(browser);
  await tabButtons(page).first().waitFor();
  await connect(page);
  await tabButtons(page).filter({ hasText: /^3 / }).click();
  await play(page).click();
  const text = await until("an answer is shown", () => answerText(page));
  assert.match(text, /run the tab “2 Write a quote” first/);
  assertQuiet(page);
  await page.context().close();
});

scenario("Ctrl-Enter in the editor runs the operation", async () => {
  const page = await openPage(browser);
  await tabButtons(page).first().waitFor();
  await connect(page);
  await tabButtons(page).first().click();
  await page.locator(".graphiql-query-editor .CodeMirror").click();
  const answered = page.waitForResponse((response) => response.url() === `${baseUrl}/graphql`);
  await page.keyboard.press("Control+Enter");
  assert.equal((await answered).status(), 200);
  await page.context().close();
});

scenario("edited tabs survive a reload, and the button brings the examples back", async () => {
  const page = await openPage(browser);
  await tabButtons(page).first().waitFor();
  await connect(page);
  await page.locator(".graphiql-tab-add").click();
  await page.locator(".graphiql-query-editor .CodeMirror").click();
  await page.keyboard.press("Control+A");
  await page.keyboard.type("# Mine\n{ viewer { serverVersion } }");
  await until("the edited tab is stored", () => page.evaluate(() => (localStorage.getItem("graphiql:tabState") ?? "").includes("# Mine")));
  await page.reload();
  await tabButtons(page).first().waitFor();
  assert.deepEqual(await tabButtons(page).allTextContents(), [...tabs.map(({ name }) => name), "Mine"]);
  page.once("dialog", (dialog) => dialog.accept());
  await page.getByRole("button", { name: "Reset tabs" }).click();
  await until("the examples are back", async () => (await tabButtons(page).count()) === tabs.length);
  assert.equal(await tokenField(page).inputValue(), token);
  assertQuiet(page);
  await page.context().close();
});

scenario("a narrow window has no sideways scrolling", async () => {
  const page = await openPage(browser);
  await page.setViewportSize({ width: 320, height: 640 });
  await tabButtons(page).first().waitFor();
  await connect(page);
  await assertNoSideways(page);
  await screenshot(page, "playground-320");
  assertQuiet(page);
  await page.context().close();
});

scenario("dark mode works", async () => {
  const page = await openPage(browser);
  await page.emulateMedia({ colorScheme: "dark" });
  await tabButtons(page).first().waitFor();
  await connect(page);
  await tabButtons(page).first().click();
  await press(page);
  const [paper, ink] = await page.evaluate(() => {
    const style = getComputedStyle(document.body);
    return [style.backgroundColor, style.color].map((text) => text.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0));
  });
  assert.ok(paper < 200 && ink > 500, `dark mode shows ${ink} on ${paper}`);
  await screenshot(page, "playground-dark");
  assertQuiet(page);
  await page.context().close();
});

scenario("without JavaScript the page says how to go on", async () => {
  const page = await openPage(browser, "/", { javaScriptEnabled: false, viewport: { width: 320, height: 640 } });
  await page.getByRole("heading", { name: "Purser" }).waitFor();
  assert.ok((await page.locator("h1").boundingBox()).y < 200, "the text is below the window");
  assert.match(await page.locator("pre").textContent(), /curl .*\/graphql/);
  await assertNoSideways(page);
  await screenshot(page, "playground-no-script");
  assertQuiet(page);
  await page.context().close();
});
