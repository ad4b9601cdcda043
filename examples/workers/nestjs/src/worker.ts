// A notification worker: answers `notification.send`. A mail is a file here; its name follows from the key, so a repeat
// writes the same file again.

import 'reflect-metadata';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, MessagePattern, Payload, RmqContext, RmqOptions, Transport } from '@nestjs/microservices';

const url = process.env.AMQP_URL ?? 'amqp://localhost';
const folder = process.env.MAIL_FOLDER ?? 'mails';

interface Command {
  data: { template: string; orderId: string; email?: string };
  metadata: { idempotencyKey: string };
}

@Controller()
class Notifications {
  @MessagePattern('notification.send')
  send(@Payload() command: Command, @Ctx() context: RmqContext) {
    // Nest answers on the next tick; acknowledged after that, also when this throws, the command is never stuck.
    setImmediate(() => context.getChannelRef().ack(context.getMessage()));
    const { template, orderId, email } = command.data;
    if (!email) return { outcome: 'NO_ADDRESS' };
    const [saga, step] = command.metadata.idempotencyKey.split(':');
    const mail = join(folder, `${saga}.${step}.eml`);
    writeFileSync(`${mail}.${process.pid}`, `To: ${email}\nSubject: ${template}\n\nOrder ${orderId}\n`);
    renameSync(`${mail}.${process.pid}`, mail);
    return { outcome: 'SENT' };
  }
}

@Module({ controllers: [Notifications] })
class Worker {}

const app = await NestFactory.createMicroservice<RmqOptions>(Worker, {
  transport: Transport.RMQ,
  options: {
    urls: [url],
    queue: 'notification.commands',
    noAssert: true, // Skald declares its queues
    noAck: false, // or a command is lost with the process that holds it
    prefetchCount: 20,
  },
});
mkdirSync(folder, { recursive: true });
await app.listen();
