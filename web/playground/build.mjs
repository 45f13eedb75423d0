// Bundles the playground into ../static: run by `npm run build`.
//
// The result depends on the pinned packages and on nothing else (no clock, no
// absolute path), so building again must reproduce the committed files byte
// for byte; scripts/test holds it to that.

import { build } from "esbuild";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const out = join(root, "static");
const assetBase = "/playground/assets/";

/**
 * Changes that GraphiQL offers no setting for. Every replacement must find
 * its text: an update of GraphiQL that moves it stops the build.
 */
const patches = [
  {
    // A tab is titled by the first comment line of its document, and only
    // without one by the operation's name.
    file: /@graphiql\/react\/dist\/editor\/tabs\.js$/,
    replace: [
      ["title: operationName || DEFAULT_TITLE,\n    query,", "title: documentTitle(query) || operationName || DEFAULT_TITLE,\n    query,"],
      ["title: newTab.operationName ||", "title: documentTitle(newTab.query) || newTab.operationName ||"],
      ["const DEFAULT_TITLE", `import { documentTitle } from ${JSON.stringify(join(here, "src/captures.js"))};\nconst DEFAULT_TITLE`],
    ],
  },
  {
    // Long lines, the comments of the example tabs among them, are wrapped.
    file: /@graphiql\/react\/dist\/editor\/query-editor\.js$/,
    replace: [["lineNumbers: true,", "lineNumbers: true, lineWrapping: true,"]],
  },
  {
    // Tab leaves an editor, as it leaves any field: who has no mouse would be
    // caught in it. Completions are still chosen with it.
    file: /@graphiql\/react\/dist\/editor\/common\.js$/,
    replace: [["const commonKeys = {", 'const commonKeys = { Tab: false, "Shift-Tab": false,']],
  },
];

const patchPlugin = {
  name: "patch",
  setup(b) {
    for (const patch of patches) {
      b.onLoad({ filter: patch.file }, async ({ path }) => {
        let contents = await readFile(path, "utf8");
        for (const [from, to] of patch.replace) {
          if (contents.split(from).length !== 2) {
            throw new Error(`patch of ${path}: expected exactly one ${JSON.stringify(from)}`);
          }
          contents = contents.replace(from, () => to);
        }
        return { contents, loader: "js" };
      });
    }
  },
};

// GraphiQL's style sheet carries 380 kB of fonts; the page uses the system's.
const fontlessPlugin = {
  name: "fontless",
  setup(b) {
    b.onLoad({ filter: /graphiql\/dist\/style\.css$/ }, async ({ path }) => ({
      contents: (await readFile(path, "utf8")).replace(/@font-face\s*{[^}]*}/g, ""),
      loader: "css",
    }));
  },
};

// react-style-singleton makes style elements, which a strict style-src
// forbids; framer-motion is large for what is used of it.
const standInPlugin = {
  name: "stand-in",
  setup(b) {
    b.onResolve({ filter: /^react-style-singleton$/ }, () => ({ path: join(here, "src/adopted-styles.js") }));
    b.onResolve({ filter: /^framer-motion$/ }, () => ({ path: join(here, "src/reorder.jsx") }));
  },
};

/** Writes the licence text of every package that is part of the bundle. */
async function writeLicences(inputs) {
  const packages = new Set();
  for (const input of inputs) {
    const match = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(relative(root, join(root, input)));
    if (match) packages.add(match[1]);
  }
  const parts = ["The playground contains the following packages.\n"];
  for (const name of [...packages].sort()) {
    const folder = join(root, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((f) => /^licen[cs]e(\.(md|txt))?$/i.test(f));
    const text = file ? (await readFile(join(folder, file), "utf8")).replace(/\r\n/g, "\n").trim() : "(the package names its licence and carries no text)";
    parts.push(`${"-".repeat(72)}\n${name} ${version} (${license})\n\n${text}\n`);
  }
  await writeFile(join(out, "licenses.txt"), parts.join("\n"));
}

await rm(out, { recursive: true, force: true });
await mkdir(join(out, "assets"), { recursive: true });

const result = await build({
  absWorkingDir: root,
  entryPoints: { playground: "playground/src/main.jsx", icon: "playground/src/icon.svg" },
  outdir: "static/assets",
  entryNames: "[name]-[hash]",
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome111", "firefox114", "safari16.4"],
  jsx: "automatic",
  loader: { ".svg": "copy" },
  define: { "process.env.NODE_ENV": '"production"' },
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
  plugins: [patchPlugin, fontlessPlugin, standInPlugin],
});

const built = Object.keys(result.metafile.outputs).map((path) => basename(path));
const asset = (pattern) => {
  const found = built.filter((name) => pattern.test(name));
  if (found.length !== 1) throw new Error(`expected one file like ${pattern}, found ${found}`);
  return assetBase + found[0];
};
const page = (await readFile(join(here, "index.html"), "utf8"))
  .replace("%SCRIPT%", asset(/^playground-.*\.js$/))
  .replace("%STYLE%", asset(/^playground-.*\.css$/))
  .replace("%ICON%", asset(/^icon-.*\.svg$/));
await writeFile(join(out, "index.html"), page);
await writeLicences(Object.keys(result.metafile.inputs));

for (const [path, { bytes }] of Object.entries(result.metafile.outputs)) {
  console.log(`${String(bytes).padStart(9)}  ${path}`);
}
