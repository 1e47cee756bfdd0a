// Watch streams of a node. What a test opens is closed after it.
import { credentials } from '@grpc/grpc-js';
import { afterEach } from '@jest/globals';
import { CacheServiceClient } from '../../contract/ts/gen/bimetal/cache/v1/cache_service.ts';
import { Subscribe, type WatchRequest, type WatchResponse } from '../../contract/ts/gen/bimetal/cache/v1/watch.ts';
import { channelOptions } from '../../contract/ts/index.ts';
import { Duplex } from './duplex.ts';

export type Watch = Duplex<WatchRequest, WatchResponse>;

const open: Disposable[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one[Symbol.dispose]();
});

/** A stream on which nothing was sent yet. */
export const openWatch = (address: string): Watch => {
  const client = new CacheServiceClient(address, credentials.createInsecure(), channelOptions);
  const stream: Watch = new Duplex(client.watch());
  open.push(stream, { [Symbol.dispose]: () => client.close() });
  return stream;
};

export const watchNode = (address: string, subscribe: Partial<Subscribe>): Watch => {
  const stream = openWatch(address);
  stream.send({
    subscribe: Subscribe.fromPartial({ heartbeatInterval: { seconds: 0n, nanos: 50_000_000 }, ...subscribe }),
    tick: undefined,
  });
  return stream;
};

export const subscribed = (message: WatchResponse): boolean => message.subscribed !== undefined;
