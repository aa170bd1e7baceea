// node validate.mjs CASES.JSON TEXTS.JSON FAULTS.JSON: validates texts (an array per case) against the schema of their case; writes what is wrong, nothing if all are right.
import { readFileSync, writeFileSync } from "node:fs";
import Ajv from "ajv";
import Ajv04 from "ajv-draft-04";
import addFormats from "ajv-formats";

const [casesPath, textsPath, faultsPath] = process.argv.slice(2);
const cases = JSON.parse(readFileSync(casesPath, "utf8")), texts = JSON.parse(readFileSync(textsPath, "utf8")), faults = [];
const plain = value => (value.default ?? value);

function validatorOf({ draft, schema }) {
  const own = new (plain(draft === 7 ? Ajv : Ajv04))({ strict: false });
  plain(addFormats)(own);
  return own.compile(schema);
}

for (let i = 0; i < cases.length; i++) {
  if (!texts[i].length) continue;
  const validate = validatorOf(cases[i]);
  for (const text of texts[i]) {
    let problem = null;
    try {
      if (!validate(JSON.parse(text))) problem = JSON.stringify(validate.errors);
    } catch (error) {
      problem = String(error);
    }
    if (problem) faults.push(`${cases[i].name}: ${text.slice(0, 300)}: ${problem.slice(0, 500)}`);
  }
}
writeFileSync(faultsPath, JSON.stringify(faults));
