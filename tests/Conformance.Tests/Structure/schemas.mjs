// Left out: the optional cases about 1.0 and 1, which JSON as JavaScript writes it does not tell apart.
// node schemas.mjs CASES.JSON: collects schemas: those of JSON-Schema-Test-Suite (draft 4) with its instances, and GitHub's webhooks (draft 7). A case is { draft, name, schema, tests }.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);
const suite = join(dirname(require.resolve("json-schema-test-suite")), "tests", "draft4");
const cases = [];
for (const file of [...readdirSync(suite), ...readdirSync(join(suite, "optional")).map(name => join("optional", name))].filter(name => name.endsWith(".json") && !name.includes("zeroTerminatedFloats")).sort())
  for (const group of JSON.parse(readFileSync(join(suite, file), "utf8")))
    cases.push({ draft: 4, name: `${file}: ${group.description}`, schema: group.schema, tests: group.tests.map(({ data, valid }) => ({ data: JSON.stringify(data), valid })) });

const { definitions } = require("@octokit/webhooks-schemas/schema.json");
const escaped = name => name.replaceAll("~", "~0").replaceAll("/", "~1").replaceAll("$", "%24");
const unescaped = pointer => decodeURIComponent(pointer).replaceAll("~1", "/").replaceAll("~0", "~");

/** A definition with all that it refers to. */
function closure(name, found = {}) {
  if (name in found || !(name in definitions)) return found;
  found[name] = definitions[name];
  for (const [, pointer] of JSON.stringify(definitions[name]).matchAll(/"#\/definitions\/([^"]*)"/g)) closure(unescaped(pointer), found);
  return found;
}

// The smallest: whole events are thousands of tokens, and alike.
const smallest = Object.keys(definitions).map(name => ({ name, closed: closure(name) })).sort((a, b) => JSON.stringify(a.closed).length - JSON.stringify(b.closed).length || (a.name < b.name ? -1 : 1));
for (const { name, closed } of smallest.slice(0, 155))
  cases.push({ draft: 7, name, schema: { $ref: `#/definitions/${escaped(name)}`, definitions: closed }, tests: [] });
writeFileSync(process.argv[2], JSON.stringify(cases));
