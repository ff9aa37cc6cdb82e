// node validate.mjs FILE…: one JSON object a line with the numbers of errors and warnings and the messages of the Khronos validator.
import { readFile } from "node:fs/promises";
import validator from "gltf-validator";

for (const file of process.argv.slice(2)) {
  const { issues } = await validator.validateBytes(new Uint8Array(await readFile(file)), { maxIssues: 100 });
  const messages = issues.messages.map(({ code, severity, pointer, message }) => ({ code, severity, pointer, message }));
  console.log(JSON.stringify({ file, errors: issues.numErrors, warnings: issues.numWarnings, messages }));
}
