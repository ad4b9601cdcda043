// A listener: prints the orders that are placed and cancelled, one a line.

import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, Payload, RmqContext, RmqOptions, Transport } from '@nestjs/microservices';

const url = process.env.AMQP_URL ?? 'amqp://localhost';

interface Event {
  eventType: string;
  data: { orderId: string };
  metadata: { sagaId: string; sequence: number };
}

@Controller()
class Orders {
  @EventPattern<string>('order.created')
  created(@Payload() event: Event, @Ctx() context: RmqContext) {
    console.log(JSON.stringify(event));
    context.getChannelRef().ack(context.getMessage());
  }

  @EventPattern<string>('order.cancelled')
  cancelled(@Payload() event: Event, @Ctx() context: RmqContext) {
    console.log(JSON.stringify(event));
    context.getChannelRef().ack(context.getMessage());
  }
}

@Module({ controllers: [Orders] })
class Listener {}

const app = await NestFactory.createMicroservice<RmqOptions>(Listener, {
  transport: Transport.RMQ,
  options: {
    urls: [url],
    queue: 'shop.nestjs',
    queueOptions: { durable: true, arguments: { 'x-queue-type': 'quorum' } },
    exchange: 'order-events',
    exchangeType: 'topic',
    wildcards: true, // binds the queue with each pattern
    noAck: false,
    // With its `id` Nest takes an event for a question, and sends an answer that nobody asked for.
    deserializer: { deserialize: ({ pattern, data }) => ({ pattern, data }) },
  },
});
await app.listen();
