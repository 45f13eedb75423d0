// Runs every browser test against a running server:
//
//   PURSER_URL=http://127.0.0.1:8080 PURSER_TOKEN=pur_… npm run browser
//
// PURSER_TEST_CHROMIUM names the browser (default /usr/bin/chromium), and
// PURSER_TEST_SCREENSHOTS a folder that gets pictures of the pages. The
// server must hold the demo data; the tests add to it. Arguments name test
// files instead of all.

import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

for (const name of ["PURSER_URL", "PURSER_TOKEN"]) {
  if (!process.env[name]) {
    console.error(`${name} is not set: the tests need a running server and its access token`);
    process.exit(2);
  }
}
const here = dirname(fileURLToPath(import.meta.url));
const named = process.argv.slice(2);
const files = named.length > 0 ? named : (await readdir(here)).filter((name) => name.endsWith(".test.mjs")).map((name) => join(here, name));
// One file at a time: they share the demo data.
const child = spawn(process.execPath, ["--test", "--test-concurrency=1", "--test-reporter=spec", ...files], { stdio: ["ignore", "inherit", "inherit"] });
child.on("exit", (code) => process.exit(code ?? 1));

// Nothing is left behind: the runner ends its files at this signal, and they
// close their browsers.
const stop = () => child.kill("SIGTERM");
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
setTimeout(() => {
  console.error("the browser tests took more than fifteen minutes");
  stop();
}, 900_000).unref();
