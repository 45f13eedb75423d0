// A stand-in for the server behind the playground and for the hosted pages:
// it lets the tests of this folder be tested without the product. It keeps
// just enough state for the example tabs to run in order, validates their
// documents against the schema itself, and prints its address.

import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { buildSchema, graphql } from "graphql";
import { makeServer } from "graphql-ws";
import { WebSocketServer } from "ws";
import { hostedPage } from "./fake_pages.mjs";

const token = process.env.PURSER_TOKEN;
const publicUrl = process.env.PURSER_URL;
const schemaFolder = new URL("../../schema/", import.meta.url);
const schemaFiles = (await readdir(schemaFolder)).filter((name) => name.endsWith(".graphql"));
const schema = buildSchema((await Promise.all(schemaFiles.map((name) => readFile(new URL(name, schemaFolder), "utf8")))).join("\n"));

let ids = 0;
const newId = (prefix) => `${prefix}_${String((ids += 1)).padStart(4, "0")}`;
const usd = (amount) => ({ amount, currency: "USD" });
const done = (payload) => ({ ...payload, userErrors: [] });
const refuse = (code, message) => ({ userErrors: [{ code, message, field: ["input"] }] });

const store = new Map();
const add = (prefix, object) => {
  const stored = { id: newId(prefix), ...object };
  store.set(stored.id, stored);
  return stored;
};
const get = (id, type) => {
  const object = store.get(id);
  return object?.__typename === type ? object : null;
};

const entries = [];
const payments = [];
let remaining = 100;
let held = 0;
const listeners = new Set();
const balance = () => ({
  payer: ada,
  amount: usd("100.00"),
  usage: usd((100 - remaining).toFixed(4)),
  remaining: usd(remaining.toFixed(4)),
  held: usd(held.toFixed(4)),
  available: usd((remaining - held).toFixed(4)),
  updatedAt: new Date().toISOString(),
  entries: () => ({ edges: [...entries].reverse().map((node) => ({ node })), pageInfo: { hasNextPage: false, endCursor: null } }),
});

// The balance in euros knows nothing but its automatic reload, which happens
// as soon as the answer is made.
const eur = (amount) => ({ amount, currency: "EUR" });
let euros = 14.99;
let autoReload = null;
const euroBalance = () => ({
  remaining: eur(euros.toFixed(2)),
  autoReload,
  entries: { edges: [{ node: { kind: "TOP_UP", amount: eur("10.00"), remainingAfter: eur(euros.toFixed(2)), payment: payments.at(-1) ?? null } }] },
});
function useEuros(amount) {
  euros -= amount;
  const shown = euroBalance();
  if (autoReload && euros < Number(autoReload.threshold.amount)) euros += Number(autoReload.amount.amount);
  return shown;
}

/** Changes the balance and tells the subscriptions. */
function book(kind, amount, debitAccount, creditAccount) {
  remaining += amount;
  const entry = add("ent", {
    kind,
    amount: usd(amount.toFixed(4)),
    remainingAfter: usd(remaining.toFixed(4)),
    debitAccount,
    creditAccount,
    description: null,
    bookedAt: new Date().toISOString(),
  });
  entries.push(entry);
  for (const listener of listeners) listener();
  return entry;
}

const ada = add("dev", {
  __typename: "Developer",
  name: "Ada Lovelace",
  email: "ada@example.com",
  billingMode: "PREPAID",
  balances: () => [balance()],
  balance: ({ currency }) => (currency === "EUR" ? euroBalance() : balance()),
  paymentMethods: { edges: [] },
  payments: () => ({ edges: payments.slice(-1).map((node) => ({ node })) }),
  statement({ month, year, currency }) {
    const zero = { amount: "0.00", currency };
    return { month, year, previousBalance: zero, topUps: zero, credits: zero, currentUsage: zero, currentBalance: zero };
  },
});
const linus = add("dev", { __typename: "Developer", name: "Linus Berg", email: "linus@example.com", billingMode: "POSTPAID" });
const provider = add("prv", { name: "Stripe sandbox", kind: "STRIPE" });
const worldpay = add("prv", { name: "Worldpay sandbox", kind: "WORLDPAY" });
const price = add("prc", { nickname: "one-off", unitAmount: usd("49.00"), recurrence: null });
const monthly = add("prc", { nickname: "monthly", unitAmount: usd("19.00"), recurrence: { interval: "MONTH", intervalCount: 1 } });

const sum = (lineItems) => lineItems.reduce((total, line) => total + Number(line.unitAmount?.amount ?? price.unitAmount.amount) * line.quantity, 0).toFixed(2);

function newInvoice(total) {
  return add("inv", { __typename: "Invoice", status: "DRAFT", total: usd(total), amountDue: usd(total), amountPaid: usd("0.00") });
}

/** Marks a payment's outcome and what it pays for, as a gateway event would. */
function settle(payment, status) {
  payment.status = status;
  payment.nextAction = null;
  if (status !== "SUCCEEDED") {
    payment.failure = { code: "declined", message: "The card was declined." };
    return;
  }
  payment.settledAt = new Date().toISOString();
  payment.receiptUrl = `${publicUrl}/hosted/receipt/${payment.id}`;
  const { invoice } = payment;
  if (invoice) {
    Object.assign(invoice, { status: "PAID", amountPaid: invoice.total, amountDue: usd("0.00"), paidAt: payment.settledAt, receiptUrl: payment.receiptUrl });
  } else {
    book("TOP_UP", Number(payment.amount.amount), "clearing", ada.id);
  }
}

const plan = add("sub", {
  __typename: "Subscription",
  status: "ACTIVE",
  currentPeriodStart: new Date().toISOString(),
  currentPeriodEnd: new Date(Date.now() + 31 * 864e5).toISOString(),
  amount: usd("19.00"),
  items: [{ description: "Platform", quantity: 1 }],
  quote: null,
  invoices: () => ({ edges: [{ node: late }] }),
  latestInvoice: () => late,
  allowedActions: ["UPDATE", "CANCEL"],
});

// What is late of the plan from the beginning; its page can be paid.
const late = newInvoice("19.00");
Object.assign(late, {
  status: "OPEN",
  number: "2026-0002",
  attempts: 1,
  subscription: plan,
  hostedUrl: `${publicUrl}/hosted/invoice/${late.id}`,
  payments: () => ({ edges: [...store.values()].filter(({ invoice }) => invoice === late).map((node) => ({ node: { ...node, attempts: { edges: [] } } })) }),
});

const root = {
  node: ({ id }) => store.get(id) ?? null,
  viewer: { serverVersion: "fake" },
  organization: { slug: "demo", name: "Demo", environment: "SANDBOX", defaultCurrency: "USD", defaultProvider: provider, now: new Date().toISOString(), clockUntil: null },
  payer: ({ by }) => [ada, linus].find(({ id, email }) => by.developerEmail === email || by.id === id) ?? null,
  providers: [provider, worldpay],
  products: { edges: [{ node: { name: "Platform", prices: [monthly, price] } }] },
  clockAdvance: () => done({ organization: { now: new Date().toISOString(), clockUntil: new Date().toISOString() } }),
  subscriptions: { edges: [{ node: plan }] },
  emails: { edges: [{ node: { kind: "CHARGE_FAILED", status: "SENT", payer: ada, createdAt: new Date().toISOString() } }] },
  paymentMethodSetDefault: ({ input }) => done({ paymentMethod: { ...get(input.id, "PaymentMethod"), isDefault: true } }),
  creditNoteCreate({ input }) {
    const invoice = get(input.invoiceId, "Invoice");
    if (invoice?.status !== "PAID") return refuse("INVALID_STATE", "the invoice is not paid");
    const payment = { status: "SUCCEEDED", refunded: invoice.total };
    const refunds = [{ status: "SUCCEEDED", amount: invoice.total, payment }];
    return done({ creditNote: add("crn", { number: "CN-1", total: invoice.total, pdfUrl: `${publicUrl}/hosted/pdf/${invoice.id}`, refunds, invoice: { ...invoice, credited: invoice.total } }) });
  },

  quoteCreate: ({ input }) =>
    done({
      quote: add("quo", {
        __typename: "Quote",
        status: "DRAFT",
        total: usd(sum(input.lineItems)),
        lineItems: input.lineItems.map((line) => ({ description: line.description ?? "Platform", quantity: line.quantity, amount: usd(sum([line])) })),
        allowedActions: ["FINALIZE", "CANCEL"],
      }),
    }),
  quoteFinalize({ input }) {
    const quote = get(input.id, "Quote");
    if (quote?.status !== "DRAFT") return refuse("INVALID_STATE", "the quote is no draft");
    return done({ quote: Object.assign(quote, { status: "OPEN", number: "Q-1", pdfUrl: `${publicUrl}/hosted/pdf/${quote.id}`, expiresAt: new Date(Date.now() + 864e5).toISOString() }) });
  },
  quoteAccept({ input }) {
    const quote = get(input.id, "Quote");
    if (quote?.status !== "OPEN") return refuse("INVALID_STATE", "the quote is not open");
    return done({ quote: Object.assign(quote, { status: "ACCEPTED", invoice: newInvoice(quote.total.amount) }) });
  },
  invoiceCreate: ({ input }) => done({ invoice: newInvoice(sum(input.lineItems)) }),
  invoiceFinalize({ input }) {
    const invoice = get(input.id, "Invoice");
    if (invoice?.status !== "DRAFT") return refuse("INVALID_STATE", "the invoice is no draft");
    return done({ invoice: Object.assign(invoice, { status: "OPEN", number: "2026-0001", hostedUrl: `${publicUrl}/hosted/invoice/${invoice.id}`, pdfUrl: `${publicUrl}/hosted/pdf/${invoice.id}` }) });
  },
  invoicePay({ input }) {
    const invoice = get(input.id, "Invoice");
    const method = get(input.paymentMethodId, "PaymentMethod");
    if (invoice?.status !== "OPEN") return refuse("INVALID_STATE", "the invoice is not open");
    const payment = add("pmt", { __typename: "Payment", orderCode: newId("ORDER"), amount: invoice.amountDue, invoice, returnUrl: input.returnUrl });
    if (method.behaviour === "pm_card_authenticationRequiredSetupForOffSession") {
      payment.status = "REQUIRES_ACTION";
      payment.nextAction = { __typename: "RedirectAction", url: `${publicUrl}/hosted/3ds/${payment.id}`, expiresAt: null };
    } else {
      settle(payment, method.behaviour === "pm_card_visa" ? "SUCCEEDED" : "FAILED");
    }
    return done({ invoice, payment });
  },
  paymentMethodAttach: ({ input }) =>
    done({ paymentMethod: add("pmd", { __typename: "PaymentMethod", behaviour: input.gatewayToken, card: { brand: "visa", last4: "4242" } }) }),
  paymentStart({ input }) {
    const payment = add("pmt", {
      __typename: "Payment",
      status: "REQUIRES_ACTION",
      orderCode: newId("ORDER"),
      referenceId: null,
      provider: store.get(input.providerId) ?? provider,
      payer: ada,
      purpose: "TOP_UP",
      amount: input.amount,
    });
    payments.push(payment);
    payment.nextAction = { __typename: "RedirectAction", url: `${publicUrl}/hosted/checkout/${payment.id}`, expiresAt: null };
    return done({ payment });
  },
  paymentSync: ({ input }) => done({ payment: get(input.id, "Payment") }),
  usageRecord({ input }) {
    if (input.amount.currency === "EUR") return done({ balance: useEuros(Number(input.amount.amount)) });
    return done({ entry: book("USAGE", -Number(input.amount.amount), ada.id, "revenue"), balance: balance() });
  },
  balanceReload: ({ input }) => done({ entry: book("RELOAD", Number(input.amount.amount), "bank", ada.id), balance: balance() }),
  autoReloadSet({ input }) {
    autoReload = { enabled: true, threshold: input.threshold, amount: input.amount, dailyCap: eur("100.00"), paymentMethod: store.get(input.paymentMethodId), nextAttemptAt: null, suspendedReason: null };
    return done({ balance: euroBalance() });
  },

  holdCreate({ input }) {
    held += Number(input.amount.amount);
    const hold = add("hld", { __typename: "Hold", status: "OPEN", amount: input.amount, captured: usd("0.00"), expiresAt: new Date(Date.now() + 1000 * input.expiresIn).toISOString() });
    return done({ hold, balance: balance() });
  },
  holdCapture({ input }) {
    const hold = get(input.id, "Hold");
    if (hold?.status !== "OPEN") return refuse("INVALID_STATE", "the hold is not open");
    held -= Number(hold.amount.amount);
    Object.assign(hold, { status: "CAPTURED", captured: input.amount });
    return done({ hold, entry: book("USAGE", -Number(input.amount.amount), ada.id, "revenue"), balance: balance() });
  },
  creditLimitSet({ input }) {
    const canSpend = ({ amount }) => ({ allowed: false, reason: "CREDIT_LIMIT_EXCEEDED", details: { required: amount, available: input.amount, held: usd("0.00"), shortfall: usd("975.00") } });
    return done({ balance: { remaining: usd("0.00"), creditLimit: input.amount, available: input.amount, payer: { ...linus, canSpend } } });
  },

  async *balanceChanged() {
    let wake = () => {};
    let due = 0;
    const listener = () => {
      due += 1;
      wake();
    };
    listeners.add(listener);
    try {
      for (;;) {
        if (due === 0) await new Promise((resolve) => (wake = resolve));
        due -= 1;
        yield { balanceChanged: balance() };
      }
    } finally {
      listeners.delete(listener);
    }
  },
};

const authorized = (value) => value === `Bearer ${token}`;

async function answer(request, response) {
  let body = "";
  for await (const chunk of request) body += chunk;
  if (!request.url.startsWith("/graphql")) {
    hostedPage({ request, response, body, store, settle, newPayment: (invoice) => add("pmt", { __typename: "Payment", orderCode: newId("ORDER"), amount: invoice.amountDue, invoice }) });
    return;
  }
  const reply = (status, value) => response.writeHead(status, { "Content-Type": "application/graphql-response+json" }).end(JSON.stringify(value));
  if (!authorized(request.headers.authorization)) {
    reply(401, { errors: [{ message: "the access token is unknown", extensions: { code: "UNAUTHENTICATED" } }] });
    return;
  }
  const { query, operationName, variables } = JSON.parse(body);
  reply(200, await graphql({ schema, rootValue: root, source: query, operationName, variableValues: variables }));
}

const server = createServer((request, response) => void answer(request, response));
const sockets = new WebSocketServer({ server, path: "/graphql", handleProtocols: () => "graphql-transport-ws" });
const transport = makeServer({ schema, roots: { subscription: root }, onConnect: ({ connectionParams }) => authorized(connectionParams?.Authorization) });
sockets.on("connection", (socket, request) => {
  const closed = transport.opened(
    {
      protocol: socket.protocol,
      // A page that has gone is told nothing any more.
      send: (data) => new Promise((resolve) => socket.send(data, () => resolve())),
      close: (code, reason) => socket.close(code, reason),
      onMessage: (handle) => socket.on("message", (data) => void handle(String(data))),
    },
    { socket, request },
  );
  socket.once("close", (code, reason) => closed(code, String(reason)));
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
console.log(`http://127.0.0.1:${server.address().port}`);
// The parent closes our standard input when it ends, however it ends.
process.stdin.resume().on("end", () => process.exit(0));
