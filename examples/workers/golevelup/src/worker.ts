// A notification worker: answers `notification.send`. A mail is a file here; its name follows from the key, so a repeat
// writes the same file again.

import 'reflect-metadata';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultNackErrorHandler, RabbitMQModule, RabbitRPC } from '@golevelup/nestjs-rabbitmq';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';

const uri = process.env.AMQP_URL ?? 'amqp://localhost';
const folder = process.env.MAIL_FOLDER ?? 'mails';

interface Message {
  data: {
    data: { template: string; orderId: string; email?: string };
    metadata: { idempotencyKey: string };
  };
}

@Injectable()
class Notifications {
  @RabbitRPC({
    queue: 'notification.commands',
    routingKey: 'notification.send',
    createQueueIfNotExists: false, // Skald declares its queues
    errorHandler: defaultNackErrorHandler, // `errorBehavior` has no effect on RPC, and the default is a hot loop
  })
  send(message: Message) {
    const { template, orderId, email } = message.data.data;
    if (!email) return { outcome: 'NO_ADDRESS' };
    const [saga, step] = message.data.metadata.idempotencyKey.split(':');
    const mail = join(folder, `${saga}.${step}.eml`);
    writeFileSync(`${mail}.${process.pid}`, `To: ${email}\nSubject: ${template}\n\nOrder ${orderId}\n`);
    renameSync(`${mail}.${process.pid}`, mail);
    return { outcome: 'SENT' };
  }
}

@Module({
  imports: [RabbitMQModule.forRoot({ uri, prefetchCount: 20 })],
  providers: [Notifications],
})
class Worker {}

mkdirSync(folder, { recursive: true });
const app = await NestFactory.createApplicationContext(Worker);
app.enableShutdownHooks();
