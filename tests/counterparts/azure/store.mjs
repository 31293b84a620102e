// Microsoft's storage client and checkpoint store, one command a call: JSON in, JSON out.
// The emulator's account and key are published, and open nothing else.

import {
  AccountSASPermissions,
  AccountSASResourceTypes,
  AccountSASServices,
  BlobServiceClient,
  StorageSharedKeyCredential,
  generateAccountSASQueryParameters,
} from "@azure/storage-blob";
import { BlobCheckpointStore } from "@azure/eventhubs-checkpointstore-blob";

const [command, url, text] = process.argv.slice(2);
const given = JSON.parse(text);
const key =
  "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const credential = new StorageSharedKeyCredential("devstoreaccount1", key);
const service = new BlobServiceClient(url, credential);
const container = (name) => service.getContainerClient(name);
const store = () => new BlobCheckpointStore(container(given.container));
const group = () => [given.namespace, given.hub, given.consumerGroup];

const commands = {
  async make() {
    await container(given.container).create();
    return {};
  },

  async append() {
    const blob = container(given.container).getAppendBlobClient(given.blob);
    await blob.createIfNotExists();
    if (given.text) {
      await blob.appendBlock(given.text, Buffer.byteLength(given.text));
    }
    return {};
  },

  async upload() {
    const blob = container(given.container).getBlockBlobClient(given.blob);
    await blob.upload(given.text, Buffer.byteLength(given.text));
    return {};
  },

  /** A shared access signature that reads and lists. */
  async signature() {
    const values = {
      permissions: AccountSASPermissions.parse("rl"),
      services: AccountSASServices.parse("b").toString(),
      resourceTypes: AccountSASResourceTypes.parse("sco").toString(),
      expiresOn: new Date(Date.now() + 3_600_000),
    };
    return { signature: generateAccountSASQueryParameters(values, credential).toString() };
  },

  async ownership() {
    return store().listOwnership(...group());
  },

  async checkpoints() {
    return store().listCheckpoints(...group());
  },

  async claim() {
    const [fullyQualifiedNamespace, eventHubName, consumerGroup] = group();
    const { ownerId, partitionId, etag } = given;
    const claim = { fullyQualifiedNamespace, eventHubName, consumerGroup, ownerId, partitionId, etag };
    return store().claimOwnership([claim]);
  },

  async checkpoint() {
    const [fullyQualifiedNamespace, eventHubName, consumerGroup] = group();
    const { partitionId, sequenceNumber, offset } = given;
    await store().updateCheckpoint({
      fullyQualifiedNamespace,
      eventHubName,
      consumerGroup,
      partitionId,
      sequenceNumber,
      offset,
    });
    return {};
  },
};

console.log(JSON.stringify(await commands[command]()));
