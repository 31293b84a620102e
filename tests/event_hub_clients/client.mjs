// One scenario with Microsoft's packages; settings come on stdin, the result goes to stdout.

import {
  EventHubConsumerClient,
  EventHubProducerClient,
  earliestEventPosition,
} from "@azure/event-hubs";
import { BlobCheckpointStore } from "@azure/eventhubs-checkpointstore-blob";
import {
  AccountSASPermissions,
  AccountSASResourceTypes,
  AccountSASServices,
  BlobServiceClient,
  ContainerClient,
  ContainerSASPermissions,
  StorageSharedKeyCredential,
  generateAccountSASQueryParameters,
  generateBlobSASQueryParameters,
} from "@azure/storage-blob";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import WebSocket from "ws";

const settings = JSON.parse(await text(process.stdin));
const { hub, tenant, blobs, way, signIn, store: kind, executable } = settings;
const GROUP = "$Default";
const [root] = hub.policies;

const options = {
  ...(way === "websocket" ? { webSocketOptions: { webSocket: WebSocket } } : {}),
  retryOptions: { maxRetries: 0 },
};

function connectionString({ name, key } = root) {
  return `Endpoint=sb://${hub.namespace}/;SharedAccessKeyName=${name};SharedAccessKey=${key}`;
}

/** A token of the tenant's own sign-in. */
const credential = {
  async getToken(scopes) {
    const answer = await fetch(`${tenant.url}/${tenant.tenant_id}/oauth2/v2.0/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "client_credentials",
        client_id: tenant.client_id,
        client_secret: tenant.client_secret,
        scope: [scopes].flat().join(" "),
      }),
    });
    const { access_token: token, expires_in: seconds } = await answer.json();
    return { token, expiresOnTimestamp: Date.now() + seconds * 1000 };
  },
};

/** Balancing is quick, so that the tests are. */
const balancing = {
  strategy: "greedy",
  updateIntervalInMs: 500,
  partitionOwnershipExpirationIntervalInMs: 60_000,
};

function consumer(store, string = connectionString(), group = GROUP) {
  return signIn
    ? new EventHubConsumerClient(group, hub.namespace, hub.name, credential, options)
    : new EventHubConsumerClient(group, string, hub.name, ...(store ? [store] : []), {
        ...options,
        loadBalancingOptions: balancing,
      });
}

function producer() {
  return new EventHubProducerClient(connectionString(), hub.name, options);
}

/** Reads the partitions from these positions until `done` says so. */
function reading(client, positions, done, seen) {
  return new Promise((finished, failed) => {
    client.subscribe(
      {
        async processEvents(events, { partitionId }) {
          for (const event of events) seen(partitionId, event);
          if (done()) finished();
        },
        async processError(error) {
          failed(error);
        },
      },
      { startPosition: positions, maxBatchSize: 300, maxWaitTimeInSeconds: 1 },
    );
  });
}

/** The sandbox's account, opened by a sign-in or by a signature made here with its key. */
function storage(container) {
  const { url, account, key } = tenant.storage;
  const expiresOn = new Date(Date.now() + 3_600_000);
  const shared = new StorageSharedKeyCredential(account, key);
  if (kind === "sign-in") return container ? new ContainerClient(container, credential) : new BlobServiceClient(url, credential);
  if (container) {
    const permissions = ContainerSASPermissions.parse("racwdl");
    const containerName = new URL(container).pathname.split("/").at(-1);
    const query = generateBlobSASQueryParameters({ containerName, permissions, expiresOn }, shared);
    return new ContainerClient(`${container}?${query}`);
  }
  const query = generateAccountSASQueryParameters(
    {
      permissions: AccountSASPermissions.parse("rwdlac"),
      services: AccountSASServices.parse("b").toString(),
      resourceTypes: AccountSASResourceTypes.parse("sco").toString(),
      expiresOn,
    },
    shared,
  );
  return new BlobServiceClient(`${url}?${query}`);
}

/** Where claims and checkpoints are kept: in Microsoft's emulator, or in the sandbox. */
function checkpoints() {
  if (kind !== "emulator") return storage(tenant.storage.checkpoint_container);
  const key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
  const account = new StorageSharedKeyCredential("devstoreaccount1", key);
  return new ContainerClient(`${blobs}/devstoreaccount1/checkpoints`, account);
}

/** Processors that share a consumer group, and messages to count. */
async function sharing(group) {
  const container = checkpoints();
  await container.createIfNotExists();
  const store = new BlobCheckpointStore(container);
  const seen = new Map();
  const changed = new EventTarget();
  const tell = () => changed.dispatchEvent(new Event("change"));
  function count(name) {
    if (name) seen.set(name, (seen.get(name) ?? 0) + 1);
    tell();
  }

  /** A processor, and what it holds. */
  function processor() {
    const client = consumer(store, undefined, group);
    const held = new Set();
    const subscription = client.subscribe(
      {
        async processInitialize({ partitionId }) {
          held.add(partitionId);
          tell();
        },
        async processClose(reason, { partitionId }) {
          held.delete(partitionId);
          tell();
        },
        async processEvents(events, context) {
          if (events.length > 0) await context.updateCheckpoint(events.at(-1));
          // What is counted is behind the checkpoint: whoever comes next does not read it again.
          for (const { body } of events) count(body.name);
        },
        async processError() {
          // A stolen partition is told here, and in `processClose`.
        },
      },
      { startPosition: earliestEventPosition, maxBatchSize: 100, maxWaitTimeInSeconds: 1 },
    );
    return {
      held,
      async close() {
        await subscription.close();
        await client.close();
      },
    };
  }

  /** Until that is so, looked at whenever something changed. */
  function until(holds) {
    return new Promise((done) => {
      const look = () => {
        if (!holds()) return;
        changed.removeEventListener("change", look);
        done();
      };
      changed.addEventListener("change", look);
      look();
    });
  }

  const sent = [];
  const to = producer();
  const partitions = await to.getPartitionIds();
  async function publish(round) {
    for (const partitionId of partitions) {
      const batch = await to.createBatch({ partitionId });
      for (let number = 0; number < 25; number += 1) {
        const name = `${kind} ${round} ${partitionId} ${number}`;
        batch.tryAdd({ body: { name } });
        sent.push(name);
      }
      await to.sendBatch(batch);
    }
    await until(() => sent.every((name) => seen.has(name)));
  }

  return { store, seen, processor, until, publish, count, partitions, sent, to };
}

/** An input of ours that follows the hub as splunkd runs it, and tells each record. */
async function input(group, told) {
  const folder = await mkdtemp(join(tmpdir(), "event-hub-input-"));
  const { uri, session_key: key, account } = tenant.splunkd;
  const parameters = {
    account,
    feed: "event_hub",
    event_hub_namespace: hub.namespace,
    event_hub: hub.name,
    consumer_group: group,
    start: "earliest",
    checkpoint: "blob",
    checkpoint_container: tenant.storage.checkpoint_container,
    index: "main",
    interval: "60",
  };
  const elements = Object.entries(parameters).map(([name, value]) => `<param name="${name}">${value}</param>`);
  const child = spawn(executable, [], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, SPLUNK_HOME: folder },
  });
  child.stdin.write(
    `<input><server_host>here</server_host><server_uri>${uri}</server_uri><session_key>${key}</session_key>` +
      `<checkpoint_dir>${folder}</checkpoint_dir><configuration><stanza name="defender_bridge://beside" app="defender_bridge">` +
      `${elements.join("")}</stanza></configuration></input>\n`,
  );
  createInterface({ input: child.stdout }).on("line", (line) => {
    const [, name] = /^<data>\{"name":"([^"\\]*)"\}<\/data>$/.exec(line) ?? [];
    told(name);
  });
  const givenUp = new Set();
  createInterface({ input: child.stderr }).on("line", (line) => {
    process.stderr.write(`${line}\n`);
    const [, partition] = /partition (\S+) is given up/.exec(line) ?? [];
    if (partition) givenUp.add(partition);
  });
  async function stop() {
    child.kill("SIGTERM");
    const [code] = await once(child, "close");
    await rm(folder, { recursive: true, force: true });
    if (code !== 0) throw new Error(`the input ended with ${code}`);
  }
  return { stop, givenUp };
}

const scenarios = {
  async read() {
    const client = consumer();
    const { createdOn, partitionIds } = await client.getEventHubProperties();
    const left = new Map();
    for (const id of partitionIds) {
      const { lastEnqueuedSequenceNumber, isEmpty } = await client.getPartitionProperties(id);
      if (!isEmpty) left.set(id, lastEnqueuedSequenceNumber);
    }
    const texts = [];
    await reading(
      client,
      earliestEventPosition,
      () => left.size === 0,
      (id, event) => {
        // What another test published is no batch of records.
        texts.push(...(event.body.records ?? []).map((record) => JSON.stringify(record)));
        if (event.sequenceNumber === left.get(id)) left.delete(id);
      },
    );
    await client.close();
    return {
      partitions: partitionIds.length,
      records: texts.length,
      distinct: new Set(texts).size,
      createdOn: createdOn.getTime(),
    };
  },

  async publish() {
    const client = consumer();
    const sent = [];
    const read = [];
    const keys = new Set();
    // From where the partitions end now.
    const positions = {};
    for (const id of await client.getPartitionIds()) {
      const { lastEnqueuedSequenceNumber: last } = await client.getPartitionProperties(id);
      positions[id] = { sequenceNumber: last, isInclusive: false };
    }
    const to = producer();
    for (const target of [{}, { partitionId: "1" }, { partitionKey: "wks-001" }]) {
      const batch = await to.createBatch(target);
      for (let number = 0; number < 50; number += 1) {
        const name = `${JSON.stringify(target)} ${number}`;
        if (!batch.tryAdd({ body: { name }, properties: { number } })) throw new Error("full");
        sent.push(name);
      }
      await to.sendBatch(batch);
    }
    await to.close();
    await reading(
      client,
      positions,
      () => read.length >= sent.length,
      (id, event) => {
        read.push(event.body.name);
        if (event.partitionKey) keys.add(`${event.partitionKey} ${id}`);
      },
    );
    await client.close();
    return { sent: sent.sort(), read: read.sort(), keys: [...keys] };
  },

  async "wrong-key"() {
    const client = consumer(undefined, connectionString({ ...root, key: "d3Jvbmc=" }));
    try {
      await client.getEventHubProperties();
      return { code: "none" };
    } catch (error) {
      return { code: `${error.code} ${error.message} ${(error.errors ?? []).join()}` };
    } finally {
      await client.close();
    }
  },

  /** What the storage account holds, by one way in; and what it refuses. */
  async storage() {
    const service = storage();
    const [containers, lines] = [[], []];
    for await (const page of service.listContainers({ prefix: "insights-logs-" }).byPage({ maxPageSize: 3 })) {
      containers.push(...page.containerItems.map(({ name }) => name));
    }
    for (const name of containers) {
      const container = service.getContainerClient(name);
      for await (const { name, properties } of container.listBlobsFlat()) {
        const half = Math.floor(properties.contentLength / 2);
        const blob = container.getBlobClient(name);
        // In two ranges.
        const parts = [await blob.download(0, half), await blob.download(half)];
        const read = await Promise.all(parts.map((part) => text(part.readableStreamBody)));
        lines.push(...read.join("").split("\r\n").filter(Boolean));
        if (properties.blobType !== "AppendBlob") throw new Error(`${name} is a ${properties.blobType}`);
      }
    }
    const distinct = new Set(lines.map((line) => JSON.stringify(JSON.parse(line).properties)));
    const own = service.getContainerClient(new URL(tenant.storage.checkpoint_container).pathname.split("/").at(-1));
    const appended = own.getAppendBlobClient(`${kind}.json`);
    await appended.create();
    await appended.appendBlock("one\n", 4);
    const { etag } = await appended.getProperties();
    await appended.appendBlock("two\n", 4);
    const codes = [];
    const tries = [
      () => appended.download(0, undefined, { conditions: { ifMatch: etag } }),
      () => appended.download(9),
      () => appended.create({ conditions: { ifNoneMatch: "*" } }),
      () => own.getBlobClient("none").getProperties(),
      () => service.getContainerClient("none").getProperties(),
      () => service.getContainerClient("checkpoints").create(),
      () => new BlobServiceClient(`${tenant.storage.url}?sv=2023-11-03&sig=x`).getContainerClient("x").exists(),
    ];
    for (const attempt of tries) {
      const code = await attempt().then(
        () => "none",
        (error) => `${error.statusCode} ${error.code ?? error.details?.errorCode}`,
      );
      codes.push(code);
    }
    const whole = await appended.downloadToBuffer();
    await appended.delete();
    return {
      containers: containers.length,
      distinct: distinct.size,
      lines: lines.length,
      whole: whole.toString(),
      codes,
    };
  },

  async processors() {
    const { seen, processor, until, publish, partitions, sent, to } = await sharing(GROUP);
    const one = processor();
    await until(() => one.held.size === partitions.length);
    await publish("alone");
    const other = processor();
    await until(() => one.held.size === 2 && other.held.size === 2);
    const [first, second] = [one.held.size, other.held.size];
    await publish("shared");
    await one.close();
    await until(() => other.held.size === partitions.length);
    await publish("taken over");
    const taken = other.held.size;
    await other.close();
    await to.close();
    const twice = sent.filter((name) => seen.get(name) > 1).length;
    return { missing: sent.filter((name) => !seen.has(name)), twice, first, second, taken };
  },

  /** A processor and an input of ours share a group; each comes to the other, and takes over from it. */
  async beside() {
    const group = "splunk";
    const { store, seen, processor, publish, count, partitions, sent, to } = await sharing(group);
    const place = [hub.namespace.replace(/:.*/, ""), hub.name, group];
    const since = new Map();
    let theirs;
    let longest = 0;

    /** Who owns how many; how long the processor goes on with what is another's. */
    async function shares() {
      const owners = (await store.listOwnership(...place)).filter(({ ownerId }) => ownerId);
      for (const { partitionId, ownerId } of owners) {
        const both = theirs?.held.has(partitionId) && theirs.id !== undefined && ownerId !== theirs.id;
        if (!both) since.delete(partitionId);
        else if (!since.has(partitionId)) since.set(partitionId, Date.now());
        else longest = Math.max(longest, Date.now() - since.get(partitionId));
      }
      const counts = new Map();
      for (const { ownerId } of owners) counts.set(ownerId, (counts.get(ownerId) ?? 0) + 1);
      return { owners, counts: [...counts.values()].sort() };
    }

    async function settled(...wanted) {
      for (;;) {
        const { owners, counts } = await shares();
        if (counts.join() === wanted.join() && (!theirs || theirs.held.size === wanted[0])) return owners;
        await pause(100);
      }
    }

    /** A processor that holds all, or has just come to an input that did. */
    async function begin(...wanted) {
      const before = new Set((await shares()).owners.map(({ ownerId }) => ownerId));
      theirs = processor();
      const owners = await settled(...wanted);
      theirs.id = owners.find(({ ownerId }) => !before.has(ownerId)).ownerId;
    }

    await begin(partitions.length);
    await publish("theirs alone");
    // Ours comes to theirs, and leaves.
    let ours = await input(group, count);
    await settled(2, 2);
    await publish("both");
    await ours.stop();
    await settled(partitions.length);
    await publish("ours has left");
    // It comes again, and takes over.
    ours = await input(group, count);
    await settled(2, 2);
    await theirs.close();
    theirs = undefined;
    await settled(partitions.length);
    await publish("theirs has left");
    // Theirs comes to ours, once ours has saved what it delivered.
    const asking = consumer();
    for (const id of partitions) {
      const { lastEnqueuedSequenceNumber: last } = await asking.getPartitionProperties(id);
      const saved = async () => (await store.listCheckpoints(...place)).find(({ partitionId }) => partitionId === id);
      while ((await saved())?.sequenceNumber !== last) await pause(100);
    }
    await asking.close();
    await begin(2, 2);
    // Until ours hears that a partition is theirs, it reads it on, and theirs reads that once more.
    while (ours.givenUp.size < 2) await pause(100);
    await publish("both again");
    await ours.stop();
    await settled(partitions.length);
    await publish("theirs alone again");
    await theirs.close();
    await to.close();
    const twice = sent.filter((name) => seen.get(name) > 1);
    return { missing: sent.filter((name) => !seen.has(name)), twice, longest };
  },
};

process.stdout.write(JSON.stringify(await scenarios[process.argv[2]]()));
