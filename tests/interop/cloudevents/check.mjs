// Every golden message passes the strict validation of the CloudEvents SDK, read as a structured
// event from its bytes, and holds the same after it went through the SDK.

import { readFileSync, readdirSync } from "node:fs";
import { deepStrictEqual } from "node:assert";
import { CloudEvent, HTTP } from "cloudevents";

const golden = new URL("../../contract/golden/", import.meta.url);
const headers = { "content-type": "application/cloudevents+json; charset=utf-8" };
let failed = 0;
let checked = 0;

// The file holds the body as it goes over the wire, on the line after "body":.
function bodyOf(file) {
  const lines = readFileSync(file, "utf8").split("\n");
  return lines[lines.indexOf(' "body":') + 1];
}

function check(body) {
  const sent = JSON.parse(body);
  const strict = new CloudEvent(sent, true);
  strict.validate();
  const received = HTTP.toEvent({ headers, body });
  received.validate();
  // The SDK keeps times to the millisecond; metadata.timestamp has all of it.
  const time = new Date(sent.time).toISOString();
  deepStrictEqual(JSON.parse(JSON.stringify(received)), { ...sent, time });
}

for (const kind of ["commands", "events", "replies"]) {
  for (const name of readdirSync(new URL(`${kind}/`, golden)).sort()) {
    checked += 1;
    try {
      check(bodyOf(new URL(`${kind}/${name}`, golden)));
    } catch (error) {
      failed += 1;
      console.error(`${kind}/${name}: ${error.message}`, error.errors ?? "");
    }
  }
}

console.log(`${checked} messages, ${failed} not valid`);
process.exit(failed === 0 && checked > 0 ? 0 : 1);
