// An inventory worker as many are written with golevelup: an error handler answers `{"status":"error","message":…}`, and a
// handler without a value answers an empty body. It refuses every reservation, the first time without a reason code.

import { createRequire } from "node:module";

const require = createRequire(new URL("../../examples/workers/golevelup/package.json", import.meta.url));
const { AmqpConnection } = require("@golevelup/nestjs-rabbitmq");

const asked = new Set();

async function handle(message) {
  const { commandType, metadata } = message.data;
  if (commandType === "RELEASE_INVENTORY") return;
  if (asked.has(metadata.idempotencyKey)) throw new Error("INSUFFICIENT_STOCK");
  asked.add(metadata.idempotencyKey);
  throw new Error("connect ECONNREFUSED 10.0.0.1:5432");
}

function replyError(channel, message, error) {
  const { replyTo, correlationId } = message.properties;
  const body = Buffer.from(JSON.stringify({ status: "error", message: error.message }));
  channel.publish("", replyTo, body, { correlationId });
  channel.ack(message);
}

const connection = new AmqpConnection({ uri: process.env.AMQP_URL, exchanges: [], queues: [], exchangeBindings: [] });
await connection.init();
await connection.createRpc(handle, {
  queue: "inventory.commands",
  routingKey: "inventory.*",
  createQueueIfNotExists: false,
  errorHandler: replyError,
});
