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

const webhooks = require("@octokit/webhooks-schemas/schema.json");
for (const name of Object.keys(webhooks.definitions).sort())
  cases.push({ draft: 7, name, schema: { $ref: `#/definitions/${name.replaceAll("~", "~0").replaceAll("/", "~1").replaceAll("$", "%24")}`, definitions: webhooks.definitions }, tests: [] });
writeFileSync(process.argv[2], JSON.stringify(cases));
