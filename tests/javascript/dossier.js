// Prints, as JSON, what the JavaScript Automerge finds in the dossier's document that comes on the standard input.

import { isImmutableString, load } from "@automerge/automerge";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const document = load(new Uint8Array(Buffer.concat(chunks)));

// Plain texts are what this library calls immutable strings, Text objects are its strings: the board's note is one.
function plain(value) {
  if (isImmutableString(value)) return value.val;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value instanceof Date || value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

process.stdout.write(JSON.stringify({ ...plain(document), noteIsText: typeof document.board?.note === "string" }));
