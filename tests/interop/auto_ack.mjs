// A NestJS notification worker with the default `noAck: true`: the broker forgets a command as soon as it is sent.

import "../../examples/workers/nestjs/node_modules/reflect-metadata/Reflect.js";
import { Controller, Module } from "../../examples/workers/nestjs/node_modules/@nestjs/common/index.js";
import { NestFactory } from "../../examples/workers/nestjs/node_modules/@nestjs/core/index.js";
import { MessagePattern, Transport } from "../../examples/workers/nestjs/node_modules/@nestjs/microservices/index.js";

class Notifications {
  send() {
    return { outcome: "SENT" };
  }
}
const send = Object.getOwnPropertyDescriptor(Notifications.prototype, "send");
MessagePattern("notification.send")(Notifications.prototype, "send", send);
Controller()(Notifications);

class Worker {}
Module({ controllers: [Notifications] })(Worker);

const app = await NestFactory.createMicroservice(Worker, {
  transport: Transport.RMQ,
  options: { urls: [process.env.AMQP_URL], queue: "notification.commands", noAssert: true },
});
await app.listen();
