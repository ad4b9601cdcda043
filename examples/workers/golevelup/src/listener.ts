// A listener: prints every event of every order, one a line.

import 'reflect-metadata';
import { defaultNackErrorHandler, RabbitMQModule, RabbitSubscribe } from '@golevelup/nestjs-rabbitmq';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';

const uri = process.env.AMQP_URL ?? 'amqp://localhost';

@Injectable()
class Orders {
  @RabbitSubscribe({
    exchange: 'order-events',
    routingKey: '#',
    queue: 'shop.golevelup',
    queueOptions: { durable: true, arguments: { 'x-queue-type': 'quorum' } },
    errorHandler: defaultNackErrorHandler, // gone, unless the queue has a dead-letter exchange
  })
  on(event: { type: string; data: object }) {
    console.log(JSON.stringify(event.data));
  }
}

@Module({
  imports: [
    RabbitMQModule.forRoot({
      uri,
      exchanges: [{ name: 'order-events', type: 'topic' }],
      prefetchCount: 20,
      enableDirectReplyTo: false,
    }),
  ],
  providers: [Orders],
})
class Listener {}

const app = await NestFactory.createApplicationContext(Listener);
app.enableShutdownHooks();
