// Event streams of the gateway. What a test opens is closed after it.
import { request } from 'node:http';
import { afterEach } from '@jest/globals';

export type ServerSentEvent = { readonly id: string; readonly event: string; readonly data: Record<string, unknown> };

export type EventStream = Disposable & {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  /** What has arrived so far, without the first id. */
  readonly events: readonly ServerSentEvent[];
  readonly text: string;
  /** The newest id. */
  readonly lastId: string;
};

const open: Disposable[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one[Symbol.dispose]();
});

const parse = (block: string): Partial<ServerSentEvent> => {
  const field = (name: string): string | undefined => new RegExp(`^${name}: ?(.*)$`, 'm').exec(block)?.[1];
  const data = field('data');
  const [id, event] = [field('id'), field('event')];
  return {
    ...(id !== undefined && { id }),
    ...(event !== undefined && { event }),
    ...(data !== undefined && { data: JSON.parse(data) }),
  };
};

export const listenTo = (url: string, headers: Record<string, string> = {}): Promise<EventStream> =>
  new Promise((resolve, reject) => {
    const outgoing = request(url, { headers: { accept: 'text/event-stream', ...headers } }, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      incoming.on('error', () => {});
      const blocks = (): Partial<ServerSentEvent>[] => text.split('\n\n').slice(0, -1).map(parse);
      resolve({
        status: incoming.statusCode,
        headers: incoming.headers,
        get text() {
          return text;
        },
        get events() {
          return blocks().filter((block): block is ServerSentEvent => block.event !== undefined);
        },
        get lastId() {
          return blocks().findLast(({ id }) => id !== undefined)?.id ?? '';
        },
        [Symbol.dispose]: () => outgoing.destroy(),
      });
    });
    outgoing.on('error', reject).end();
    open.push({ [Symbol.dispose]: () => outgoing.destroy() });
  });
