// The headers by which one tab hands values to the next. captures.go reads
// the same language; testdata/captures.json holds both to the same answers.
//
//   # 2 Write a quote                                 the tab's title
//   # capture: quoteId = data.quoteCreate.quote.id    kept from the answer
//
// and in the variables {"id": "{{quoteId}}"}. A path names fields, list
// positions (0), the first element that leads to a value (*), or the first
// one among those with a given field ([recurrence=null]). {{month}} and
// {{year}} become numbers where they are the whole string.

const captureLine = /^#\s*capture:\s*(.*)$/;
const captureRule = /^([A-Za-z][A-Za-z0-9]*)\s*=\s*(\S+)$/;
const placeholder = /\{\{([A-Za-z][A-Za-z0-9]*)\}\}/g;
// What is a number where it stands alone.
const number = /^\{\{(month|year)\}\}$/;

/** The comment and blank lines before the first line of the operation. */
function headerLines(query) {
  const lines = [];
  for (const line of (query ?? "").split("\n")) {
    const text = line.trim();
    if (text !== "" && !text.startsWith("#")) break;
    lines.push(text);
  }
  return lines;
}

/** The text of the document's first line if that is a comment, else "". */
export function documentTitle(query) {
  const first = headerLines(query)[0] ?? "";
  const title = first.replace(/^#+/, "").trim();
  return captureLine.test(first) ? "" : title;
}

/** The captures of a document: [{name, path}]; throws on a malformed one. */
export function parseCaptures(query) {
  const captures = [];
  for (const line of headerLines(query)) {
    const match = captureLine.exec(line);
    if (!match) continue;
    const rule = captureRule.exec(match[1].trim());
    if (!rule || rule[2].split(".").some((step) => step === "")) {
      throw new Error(`capture "${match[1].trim()}": want "name = path.in.the.answer"`);
    }
    captures.push({ name: rule[1], path: rule[2].split(".") });
  }
  return captures;
}

/** The string at the path, or undefined when there is none. */
export function find(value, path) {
  if (path.length === 0) {
    return typeof value === "string" && value !== "" ? value : undefined;
  }
  if (value === null || typeof value !== "object") return undefined;
  const [step, ...rest] = path;
  if (!Array.isArray(value)) {
    return Object.hasOwn(value, step) ? find(value[step], rest) : undefined;
  }
  if (/^[0-9]+$/.test(step)) {
    return find(value[Number(step)], rest);
  }
  const filter = /^\[([A-Za-z_][A-Za-z0-9_]*)=(.*)\]$/.exec(step);
  if (step !== "*" && !filter) return undefined;
  for (const element of value) {
    if (filter && !(element && typeof element === "object" && printed(element[filter[1]]) === filter[2])) continue;
    const found = find(element, rest);
    if (found !== undefined) return found;
  }
  return undefined;
}

function printed(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** What every page knows without a tab: the origin, and the running month and year. */
export function known(origin, now) {
  return { origin, month: String(now.getUTCMonth() + 1), year: String(now.getUTCFullYear()) };
}

/** The variables with every {{name}} in their strings replaced by lookup(name). */
export function expand(variables, lookup) {
  if (typeof variables === "string") {
    const text = variables.replace(placeholder, (_, name) => lookup(name));
    return number.test(variables) ? Number(text) : text;
  }
  if (Array.isArray(variables)) {
    return variables.map((element) => expand(element, lookup));
  }
  if (variables !== null && typeof variables === "object") {
    return Object.fromEntries(Object.entries(variables).map(([key, value]) => [key, expand(value, lookup)]));
  }
  return variables;
}
