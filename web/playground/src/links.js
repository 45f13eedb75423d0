// Addresses in an answer, so that a PDF or a payment page is one click away.

/** The http(s) addresses in value: [{name, href}], each address once, at most 8. */
export function findLinks(value) {
  const links = [];
  const seen = new Set();
  const visit = (node, name) => {
    if (links.length === 8) return;
    if (typeof node === "string") {
      if (!/^https?:\/\//.test(node) || seen.has(node) || !URL.canParse(node)) return;
      seen.add(node);
      links.push({ name, href: node });
    } else if (Array.isArray(node)) {
      for (const element of node) visit(element, name);
    } else if (node !== null && typeof node === "object") {
      // "url" says little: nextAction { url } is called nextAction.
      for (const [key, child] of Object.entries(node)) visit(child, key === "url" && name !== "" ? name : key);
    }
  };
  visit(value, "");
  return links;
}
