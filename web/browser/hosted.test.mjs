// The gateway's hosted pages in a real browser that runs no script: invoice,
// checkout and 3-D Secure are plain forms.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { assertNoSideways, Flow, assertQuiet, fillCard, pageConfig, openBrowser, openPage, run, scenario, screenshot, until } from "./harness.mjs";

const goodCard = "4242 4242 4242 4242";
const decliningCard = "4000 0000 0000 0002";
const challengedCard = "4000 0027 6000 3184";

const noScript = { javaScriptEnabled: false };

let browser;
let tabs;
before(async () => {
  browser = await openBrowser();
  ({ tabs } = await pageConfig());
});
after(() => browser?.close());

async function openInvoice() {
  const flow = new Flow(tabs);
  const { invoiceFinalize } = await flow.through(1, 2, 3, 4, 5);
  return { id: flow.values.invoiceId, url: invoiceFinalize.invoice.hostedUrl };
}

async function openCheckout() {
  const flow = new Flow(tabs);
  const { paymentStart } = await flow.through(1, 9);
  return { id: paymentStart.payment.id, url: paymentStart.payment.nextAction.url };
}

async function openChallenge() {
  const flow = new Flow(tabs);
  const { invoicePay } = await flow.through(1, 2, 3, 4, 5, 6, 7, 8);
  return { id: flow.values.secondInvoiceId, paymentId: invoicePay.payment.id, url: invoicePay.payment.nextAction.url };
}

// leadsBack is the tab's returnUrl, with our own name of the payment.
const leadsBack = (url) => url.pathname === "/" && url.searchParams.has("paymentId");

const statusQuery = `query Status($id: ID!) {
  node(id: $id) {
    ... on Invoice { invoiceStatus: status receiptUrl }
    ... on Payment { paymentStatus: status }
  }
}`;
const read = async (id) => (await run(statusQuery, { id })).data.node;
async function statusOf(id) {
  const { invoiceStatus, paymentStatus } = await read(id);
  return invoiceStatus ?? paymentStatus;
}
const untilStatus = (id, status) => until(`${id} is ${status}`, async () => (await statusOf(id)) === status);

const submit = (page) => page.locator("form:has(input[name=number]) button[type=submit]").first();

/** Every input of the card form has a label, and the page says what it is. */
async function assertUsable(page) {
  for (const name of ["number", "expiry", "cvc", "name"]) {
    const labels = await page.locator(`input[name=${name}]`).evaluate((input) => [...(input.labels ?? [])].map((label) => label.textContent.trim()));
    assert.ok(labels.some((text) => text !== ""), `input ${name} has no label`);
  }
  assert.match(await page.locator("body").innerText(), /TEST/);
  assert.ok((await page.locator("html").getAttribute("lang")) ?? "", "the page names no language");
}

scenario("an invoice is paid on its hosted page", async () => {
  const invoice = await openInvoice();
  const page = await openPage(browser, invoice.url, noScript);
  await assertUsable(page);
  await screenshot(page, "hosted-invoice");
  await fillCard(page, goodCard);
  await submit(page).click();
  await untilStatus(invoice.id, "PAID");
  const { receiptUrl } = await read(invoice.id);
  await screenshot(page, "hosted-invoice-paid");
  const receipt = await page.goto(receiptUrl);
  assert.equal(receipt.status(), 200);
  await screenshot(page, "hosted-receipt");
  assertQuiet(page);
  await page.context().close();
});

scenario("a declined card leaves the invoice open and the form usable", async () => {
  const invoice = await openInvoice();
  const page = await openPage(browser, invoice.url, noScript);
  await fillCard(page, decliningCard);
  await submit(page).click();
  await page.getByRole("alert").waitFor();
  await screenshot(page, "hosted-invoice-declined");
  assert.equal(await statusOf(invoice.id), "OPEN");
  await fillCard(page, goodCard);
  await submit(page).click();
  await untilStatus(invoice.id, "PAID");
  await page.context().close();
});

scenario("an invoice is paid with the keyboard alone", async () => {
  const invoice = await openInvoice();
  const page = await openPage(browser, invoice.url, noScript);
  const reached = [];
  const texts = { number: goodCard, expiry: "12/34", cvc: "123", name: "Ada Lovelace" };
  // No page may hold more stops than this before the last input of its form.
  for (let stop = 0; stop < 40 && reached.length < 4; stop++) {
    await page.keyboard.press("Tab");
    const focused = page.locator("*:focus");
    const name = (await focused.count()) > 0 ? await focused.first().getAttribute("name") : null;
    if (name in texts && !reached.includes(name)) {
      await page.keyboard.type(texts[name]);
      reached.push(name);
    }
  }
  assert.deepEqual([...reached].sort(), Object.keys(texts).sort());
  await page.keyboard.press("Enter");
  await untilStatus(invoice.id, "PAID");
  await page.context().close();
});

scenario("a balance is topped up on the checkout page", async () => {
  const payment = await openCheckout();
  const page = await openPage(browser, payment.url, noScript);
  await assertUsable(page);
  await screenshot(page, "hosted-checkout");
  await fillCard(page, goodCard);
  await submit(page).click();
  await untilStatus(payment.id, "SUCCEEDED");
  await page.waitForLoadState();
  await screenshot(page, "thank-you");
  assertQuiet(page);
  await page.context().close();
});

scenario("3-D Secure completes a payment", async () => {
  const challenge = await openChallenge();
  const page = await openPage(browser, challenge.url, noScript);
  await screenshot(page, "hosted-3ds");
  await page.locator("#complete").click();
  await page.waitForURL(leadsBack);
  await untilStatus(challenge.id, "PAID");
  await untilStatus(challenge.paymentId, "SUCCEEDED");
  await page.context().close();
});

scenario("3-D Secure that fails leaves the invoice open", async () => {
  const challenge = await openChallenge();
  const page = await openPage(browser, challenge.url, noScript);
  await page.locator("#fail").click();
  await page.waitForURL(leadsBack);
  // The payer may try again: the payment waits, the invoice stays open.
  await untilStatus(challenge.paymentId, "REQUIRES_ACTION");
  assert.equal(await statusOf(challenge.id), "OPEN");
  await page.context().close();
});

scenario("a card that asks for 3-D Secure on the hosted invoice leads there and back", async () => {
  const invoice = await openInvoice();
  const page = await openPage(browser, invoice.url, noScript);
  await fillCard(page, challengedCard);
  await submit(page).click();
  await page.locator("#complete").click();
  await untilStatus(invoice.id, "PAID");
  await page.context().close();
});

scenario("the hosted pages fit a narrow window", async () => {
  const [invoice, checkout, challenge] = [await openInvoice(), await openCheckout(), await openChallenge()];
  const page = await openPage(browser, "/", noScript);
  await page.setViewportSize({ width: 320, height: 640 });
  for (const [name, { url }] of Object.entries({ invoice, checkout, challenge })) {
    await page.goto(url);
    await assertNoSideways(page);
    await screenshot(page, `hosted-${name}-320`);
  }
  await page.context().close();
});
