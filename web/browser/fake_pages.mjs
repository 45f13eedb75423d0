// The hosted pages of the stand-in: invoice, checkout and 3-D Secure as plain
// HTML forms, with the inputs and buttons that the real ones have.

const cards = { 4242424242424242: "SUCCEEDED", 4000000000000002: "FAILED", 4000002760003184: "REQUIRES_ACTION" };

const shell = (title, body) => `<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title><main><h1>${title}</h1>${body}</main></html>`;

const cardForm = `<form method="post">
<p><label>Card number <input name="number" inputmode="numeric" size="20"></label>
<p><label>Expiry <input name="expiry" size="5"></label>
<p><label>CVC <input name="cvc" size="4"></label>
<p><label>Name <input name="name" size="20"></label>
<p><button type="submit">Pay (TEST)</button></form>`;

const challengeForm = `<form method="post">
<button id="complete" name="result" value="complete">Complete</button>
<button id="fail" name="result" value="fail">Fail</button></form>`;

/** Answers GET and POST of /hosted/<kind>/<id>. */
export function hostedPage({ request, response, body, store, settle, newPayment }) {
  const [, , kind, id] = new URL(request.url, "http://localhost").pathname.split("/");
  const object = store.get(id);
  const page = (status, title, content) => response.writeHead(status, { "Content-Type": "text/html; charset=utf-8" }).end(shell(title, content));
  const redirect = (to) => response.writeHead(303, { Location: to }).end();
  if (!object) return page(404, "Not found", "");
  if (kind === "pdf") return response.writeHead(200, { "Content-Type": "application/pdf" }).end("%PDF-1.4\n");
  if (kind === "receipt") return page(200, "Receipt TEST", `<p>${object.amount.amount}`);
  if (kind === "3ds") {
    if (request.method === "GET") return page(200, "3-D Secure TEST", challengeForm);
    settle(object, body.includes("complete") ? "SUCCEEDED" : "REQUIRES_ACTION");
    if (object.returnUrl) return redirect(`${object.returnUrl}?paymentId=${object.id}`);
    return redirect(object.invoice ? `/hosted/invoice/${object.invoice.id}` : `/hosted/receipt/${object.id}`);
  }
  const settled = object.status === "PAID" || object.status === "SUCCEEDED";
  if (request.method === "GET") {
    return page(200, "Pay TEST", settled ? `<p role="status">Paid <a href="/hosted/receipt/${id}">Receipt</a>` : cardForm);
  }
  const outcome = cards[new URLSearchParams(body).get("number").replaceAll(" ", "")];
  if (outcome !== "SUCCEEDED" && outcome !== "REQUIRES_ACTION") {
    return page(402, "Pay TEST", `<p role="alert">The card was declined.${cardForm}`);
  }
  const payment = kind === "invoice" ? newPayment(object) : object;
  if (outcome === "REQUIRES_ACTION") return redirect(`/hosted/3ds/${payment.id}`);
  settle(payment, outcome);
  return redirect(`/hosted/${kind}/${id}`);
}
