// The embedded event hub is honest: Microsoft's own JavaScript client publishes
// to it and reads from it, over AMQP and WebSocket with TLS, and two of its
// processors share a hub through a checkpoint store, in its emulator and in the embedded
// storage account, which its storage client accepts as well, and one of them shares it with an
// input of ours; its Python client does the same over plain TCP.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const EXECUTABLE = process.env.DEFENDER_BRIDGE_EXECUTABLE;
/** A Python with Microsoft's client in it. */
const PYTHON = process.env.DEFENDER_BRIDGE_PYTHON;
const RECORDS = 2000;
const HERE = fileURLToPath(new URL(".", import.meta.url));
/** What hangs is ended; nothing waits for a time. */
const PATIENCE = 180_000;

const running = [];
let folder, caFile, tenant, blobs;

/** Starts a server and waits for the line that says where it listens. */
async function serve(program, args, found) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  running.push(child);
  for await (const line of createInterface({ input: child.stdout })) {
    const answer = found(line);
    if (answer) {
      // What else it says is not wanted, and must not stop it.
      child.stdout.resume();
      return answer;
    }
  }
  throw new Error(`${program} ended`);
}

/** Runs a scenario with Microsoft's JavaScript packages, which trust the sandbox's certificate. */
function client(scenario, settings) {
  return run(process.execPath, ["client.mjs", scenario], settings);
}

async function run(program, [script, ...args], settings) {
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: caFile };
  const child = spawn(program, [join(HERE, script), ...args], {
    env,
    stdio: ["pipe", "pipe", "inherit"],
    timeout: PATIENCE,
  });
  child.stdin.end(JSON.stringify({ hub: tenant.event_hub, tenant, blobs, ...settings }));
  let said = "";
  for await (const piece of child.stdout) said += piece;
  const code = child.exitCode ?? (await new Promise((ended) => child.once("exit", ended)));
  assert.equal(code, 0, `${[script, ...args].join(" ")} failed`);
  return JSON.parse(said);
}

before(async () => {
  assert.ok(EXECUTABLE, "DEFENDER_BRIDGE_EXECUTABLE names the executable to test");
  assert.ok(PYTHON, "DEFENDER_BRIDGE_PYTHON names a Python with azure-eventhub");
  folder = await mkdtemp(join(tmpdir(), "event-hub-clients-"));
  caFile = join(folder, "ca.pem");
  const hub = ["--event-hub", "--event-hub-plain", "--event-hub-partitions", "4"];
  const words = ["--event-hub-records", String(RECORDS), "--json", "--ca-file", caFile];
  const account = ["--storage", "--storage-records", String(RECORDS)];
  tenant = await serve(EXECUTABLE, ["sandbox", "--splunkd", ...hub, ...account, ...words], (line) =>
    line.startsWith("{") ? JSON.parse(line) : undefined,
  );
  const azurite = join(HERE, "node_modules/.bin/azurite-blob");
  const store = ["--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck"];
  blobs = await serve(azurite, [...store, "--blobHost", "127.0.0.1", "--blobPort", "0"], (line) =>
    /listens on (http:\/\/\S+:\d+)/.exec(line)?.[1],
  );
}, { timeout: PATIENCE });

after(async () => {
  for (const child of running) child.kill();
  if (folder) await rm(folder, { recursive: true, force: true });
});

for (const way of ["amqp", "websocket"]) {
  test(`the JavaScript client reads every record over ${way}`, async () => {
    const read = await client("read", { way });
    assert.equal(read.partitions, 4);
    assert.equal(read.records, RECORDS);
    assert.equal(read.distinct, RECORDS);
    assert.ok(read.createdOn > 0);
  });

  test(`the JavaScript client publishes over ${way}, batched, by key and to a partition`, async () => {
    const { sent, read, keys } = await client("publish", { way });
    assert.deepEqual(read, sent);
    // What has one key lies in one partition.
    assert.equal(keys.length, 1);
  });
}

test("a sign-in of the tenant opens the hub as a shared access signature does", async () => {
  const read = await client("read", { way: "amqp", signIn: true });
  assert.ok(read.records >= RECORDS);
});

test("a wrong key is refused", async () => {
  const { code } = await client("wrong-key", { way: "amqp" });
  assert.match(code, /UnauthorizedError|InvalidSignature/);
});

for (const store of ["emulator", "sign-in", "signature"]) {
  test(`two processors share the partitions by ${store}, and the one that stays takes over`, async () => {
    const settings = { way: "amqp", store };
    const { missing, twice, first, second, taken } = await client("processors", settings);
    assert.deepEqual(missing, []);
    assert.equal(twice, 0);
    assert.deepEqual([first, second], [2, 2]);
    assert.equal(taken, 4);
  });
}

test("an input of ours and a processor share a group, and each takes over from the other", async () => {
  const settings = { way: "amqp", store: "sign-in", executable: EXECUTABLE };
  const { missing, twice, longest } = await client("beside", settings);
  assert.deepEqual(missing, []);
  assert.deepEqual(twice, []);
  // A round of ours.
  assert.ok(longest < 10_000, `both held a partition for ${longest} ms`);
});

for (const store of ["sign-in", "signature"]) {
  test(`the JavaScript client lists, reads and appends to the storage account by ${store}`, async () => {
    const { containers, distinct, lines, whole, codes } = await client("storage", { store });
    assert.ok(containers >= 8, String(containers));
    assert.equal(distinct, RECORDS);
    assert.ok(lines > RECORDS * 1.03 && lines < RECORDS * 1.04, String(lines));
    assert.equal(whole, "one\ntwo\n");
    assert.deepEqual(codes, [
      "412 ConditionNotMet",
      "416 InvalidRange",
      "409 BlobAlreadyExists",
      "404 BlobNotFound",
      "404 ContainerNotFound",
      "409 ContainerAlreadyExists",
      "403 AuthenticationFailed",
    ]);
  });
}

test("the Python client publishes and reads every record", async () => {
  const { records, distinct, published } = await run(PYTHON, ["client.py"], {});
  assert.equal(records, RECORDS);
  assert.equal(distinct, RECORDS);
  assert.deepEqual(published, Array.from({ length: 50 }, (_, number) => number));
});
