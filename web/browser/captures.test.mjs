// The page reads capture headers as the Go package does: both are held to
// testdata/captures.json.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { documentTitle, expand, find, parseCaptures } from "../playground/src/captures.js";
import { findLinks } from "../playground/src/links.js";

const vectors = JSON.parse(await readFile(new URL("../testdata/captures.json", import.meta.url), "utf8"));

for (const [index, { query, captures, error }] of vectors.parse.entries()) {
  test(`parse ${index}`, () => {
    if (error) assert.throws(() => parseCaptures(query));
    else assert.deepEqual(parseCaptures(query), captures);
  });
}

for (const [index, { path, answer, found }] of vectors.find.entries()) {
  test(`find ${index}: ${path}`, () => assert.equal(find(answer, path.split(".")), found));
}

for (const [index, { variables, values, expanded, error }] of vectors.expand.entries()) {
  test(`expand ${index}`, () => {
    const lookup = (name) => values[name] ?? assert.fail(name);
    if (error) assert.throws(() => expand(variables, lookup));
    else assert.deepEqual(expand(variables, lookup), expanded);
  });
}

test("a tab is titled by its first comment", () => {
  assert.equal(documentTitle("# 2 Write a quote\n#\nmutation { a }"), "2 Write a quote");
  assert.equal(documentTitle("# capture: a = data.a\nmutation { a }"), "");
  assert.equal(documentTitle("query { a }\n# later"), "");
  assert.equal(documentTitle(null), "");
});

test("links are http addresses, each once, at most eight", () => {
  const answer = { a: { pdfUrl: "https://x.test/1" }, b: [{ url: "http://x.test/2" }, { url: "https://x.test/1" }], c: "javascript:alert(1)", d: "see https://x.test", e: "https://" };
  assert.deepEqual(findLinks(answer), [
    { name: "pdfUrl", href: "https://x.test/1" },
    { name: "b", href: "http://x.test/2" },
  ]);
  assert.equal(findLinks(Array.from({ length: 20 }, (_, i) => `https://x.test/${i}`)).length, 8);
});
